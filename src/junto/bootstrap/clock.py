"""The system's clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements ports.clock.Clock with the system's time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
