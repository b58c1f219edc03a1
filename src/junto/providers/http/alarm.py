"""One lazy timer for all the deadlines of a connection.

Setting or clearing a deadline is an attribute write; the loop's timer is touched only when it would fire too late, and
re-arms itself when it fires too early. Must not know what a deadline means.
"""

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Calls `ring` once when the loop's clock passes `at`; `at` may be moved, or set to `inf`, at any time before."""

    __slots__ = ("_fires_at", "_handle", "_loop", "_ring", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._fires_at = inf  # Invariant: a deadline that was set is never earlier than this
        self.at = inf

    def set(self, seconds: float) -> None:
        """Ring in `seconds`, unless moved."""
        at = self._loop.time() + seconds
        self.at = at
        if at < self._fires_at:
            self._arm(at)

    def cancel(self) -> None:
        """Let go of the timer."""
        self.at = inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._fires_at = inf

    def _arm(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = at
        self._handle = self._loop.call_at(at, self._fired)

    def _fired(self) -> None:
        self._handle = None
        self._fires_at = inf
        if self.at == inf:
            return  # nobody waits; the next deadline arms it
        if self._loop.time() < self.at:
            self._arm(self.at)
            return
        self.at = inf
        self._ring()
