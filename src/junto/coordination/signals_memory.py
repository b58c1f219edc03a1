"""Signals within one process, where there is no other. The twin of signals_redis.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.coordination.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable


class MemorySignals:
    """Implements ports.signals.Signals without leaving the process."""

    def __init__(self) -> None:
        self._subscribers = Subscribers()

    async def start(self) -> None:
        """Nothing to begin."""

    async def close(self) -> None:
        """Nothing to stop."""

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        self._subscribers.deliver(topic, payload)

    def subscribe(self, topic: str, on_message: Callable[[bytes], None]) -> Callable[[], None]:
        return self._subscribers.add(topic, on_message)
