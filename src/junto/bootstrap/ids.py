"""Where request ids come from: the clock and a counter that starts at random, so that ids of many processes do not meet."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from junto.core.ids import request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.ports.clock import Clock

_STEP = 0x9E3779B97F4A7  # odd, so that the counter walks through all 52 bits before it repeats


def id_maker(clock: Clock) -> Callable[[], str]:
    """A function that makes ids: sortable by time, unique across processes by 52 bits."""
    entropy = secrets.randbits(52)

    def make() -> str:
        nonlocal entropy
        entropy += _STEP
        return request_id(clock.wall_ms(), entropy)

    return make
