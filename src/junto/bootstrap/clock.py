"""The system's clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements ports.clock.Clock with the system's time."""

    monotonic = staticmethod(time.monotonic)  # no Python frame around it: it is asked many times a request

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
