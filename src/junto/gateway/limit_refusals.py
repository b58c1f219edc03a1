"""What a caller is told when a limit has no room: which limit of whom, the figure, and until when."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from junto.core.errors import RateLimited, UsedUp

if TYPE_CHECKING:
    from junto.gateway.holdings import Holding, Refusal

_UNITS: Final = {"requests": "requests per minute", "tokens": "tokens per minute", "seats": "requests at once"}
_NAMES: Final = {"requests": "requests_per_minute", "tokens": "tokens_per_minute", "seats": "max_concurrency"}
_LEAST_WAIT = 1.0  # seconds: Retry-After knows no less


class SeatTaken(RateLimited):
    """As many requests run as may at once. Apart from the others, because a seat may be free again at any moment."""


def used_up(holding: Holding, refusal: Refusal, *, now: float, wall_ms: int) -> RateLimited:
    """The error for a limit that is used up until the refusal ends; `now` and `wall_ms` are the same moment."""
    who, kind = _who_and_kind(holding)
    wait = max(_LEAST_WAIT, refusal.free_at - now)
    until = dt.datetime.fromtimestamp(wall_ms / 1000 + wait, dt.UTC).isoformat(timespec="seconds")
    error = (SeatTaken if kind == "seats" else RateLimited)(
        f"The {who}'s limit of {holding.limit} {_UNITS[kind]} is used up.",
        reasons=(f"limit: {who} {_NAMES[kind]} {holding.limit}", f"remaining: {refusal.remaining}", f"until: {until}"),
        retry_after=wait,
    )
    if kind != "seats":
        error.used_up = UsedUp(kind, holding.limit, refusal.remaining, wait)
    return error


def too_large(holding: Holding, amount: int) -> RateLimited:
    """The error for a request that a limit will never have room for; waiting does not help, so no time is named."""
    who, kind = _who_and_kind(holding)
    what = f"may take {amount} tokens, more than" if kind == "tokens" else "does not fit into"
    return RateLimited(
        f"This request {what} the {who}'s limit of {holding.limit} {_UNITS[kind]}.",
        reasons=(f"limit: {who} {_NAMES[kind]} {holding.limit}", f"needed: {amount}"),
    )


def _who_and_kind(holding: Holding) -> tuple[str, str]:
    who, _, rest = holding.key.partition(":")
    return who, rest.rpartition(":")[2]
