"""How measured speeds become facts: exponentially weighted averages, cold loads kept apart from warm speed.

Computes new values; writing them into `Live` is the gateway's.
"""

from __future__ import annotations

import msgspec

from junto.routing.facts import Live

NEWEST_SHARE = 0.2  # of the newest observation in the average: about the last ten count


class Speeds(msgspec.Struct, frozen=True):
    """The smoothed figures of `Live`: seconds, output tokens per second, seconds. 0 means not known yet."""

    ttft: float = 0.0
    rate: float = 0.0
    load: float = 0.0


def observed(live: Live, *, ttft: float | None = None, rate: float | None = None, cold: bool = False) -> Speeds:
    """The figures after one answer: `ttft` its seconds to the first token, `rate` its output tokens per second.

    Where the model had to be loaded first (`cold`), what its first token took beyond a warm one is the load. None, and
    whatever is not a positive figure, teaches nothing.
    """
    rate_now = _smoothed(live.rate, rate)
    if not cold:
        return Speeds(_smoothed(live.ttft, ttft), rate_now, live.load)
    load = None if ttft is None else ttft - live.ttft
    return Speeds(live.ttft, rate_now, _smoothed(live.load, load))


def _smoothed(known: float, newest: float | None) -> float:
    if newest is None or not 0.0 < newest < float("inf"):
        return known
    return known + NEWEST_SHARE * (newest - known) if known else newest
