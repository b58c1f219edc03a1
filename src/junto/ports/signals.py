"""Telling the other processes that something has changed. A signal is a hint: it may be lost, and may come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Signals(Protocol):
    """Messages between the processes of one Junto, this one included."""

    async def start(self) -> None:
        """Begin to receive; a broker that is away now is tried again in the background."""

    async def close(self) -> None:
        """Stop; safe to call twice."""

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        """Send to every subscriber of the topic, here and elsewhere. Never raises: what is lost is found by looking."""

    def subscribe(self, topic: str, on_message: Callable[[bytes], None]) -> Callable[[], None]:
        """Call `on_message` (which must not block or raise) for each message; gives the way to unsubscribe."""
