"""Who in this process listens to which topic. Both twins of the signals deliver through it."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable


class Subscribers:
    """Callbacks by topic."""

    def __init__(self) -> None:
        self._by_topic: dict[str, dict[int, Callable[[bytes], None]]] = {}
        self._ids = count()

    def add(self, topic: str, on_message: Callable[[bytes], None]) -> Callable[[], None]:
        """Deliver the topic's messages from now on; gives the way to stop it, which may be called twice."""
        number = next(self._ids)
        self._by_topic.setdefault(topic, {})[number] = on_message

        def remove() -> None:
            callbacks = self._by_topic.get(topic, {})
            callbacks.pop(number, None)
            if not callbacks:
                self._by_topic.pop(topic, None)

        return remove

    def deliver(self, topic: str, payload: bytes) -> None:
        """Let each subscriber have it in the loop's next round; who unsubscribes before that is not called."""
        loop = asyncio.get_running_loop()
        for number in self._by_topic.get(topic, ()):
            loop.call_soon(self._call, topic, number, payload)

    def _call(self, topic: str, number: int, payload: bytes) -> None:
        on_message = self._by_topic.get(topic, {}).get(number)
        if on_message is None:
            return
        try:
            on_message(payload)
        except Exception:  # noqa: BLE001  one that breaks its word must not keep the others from hearing
            structlog.get_logger().exception("signals.subscriber_failed", topic=topic)
