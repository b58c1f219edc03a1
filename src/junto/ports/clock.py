"""Time as a port, so that decisions can be tested at any moment."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for durations, one for dates."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
