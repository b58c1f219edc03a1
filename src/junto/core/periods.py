"""The windows of budgets: a day, a month, or all time, in UTC. Pure arithmetic on milliseconds since the epoch."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Final

DAY_MS: Final = 24 * 60 * 60 * 1000
_DECEMBER: Final = 12


class Period(StrEnum):
    """How long a budget lasts before it is whole again."""

    DAILY = "daily"
    MONTHLY = "monthly"
    TOTAL = "total"


def window_start(period: str, at_ms: int) -> int:
    """When the window began that this moment lies in; 0 for `total`."""
    if period == Period.DAILY:
        return at_ms - at_ms % DAY_MS
    if period == Period.MONTHLY:
        return _ms(_moment(at_ms).date().replace(day=1))
    return 0


def window_end(period: str, at_ms: int) -> int | None:
    """When the next window begins; None for `total`, which never ends."""
    if period == Period.DAILY:
        return window_start(period, at_ms) + DAY_MS
    if period == Period.MONTHLY:
        month = _moment(at_ms).date().replace(day=1)
        ended = month.month == _DECEMBER
        return _ms(month.replace(year=month.year + ended, month=1 if ended else month.month + 1))
    return None


def day_of(at_ms: int) -> str:
    """The day in UTC, as 2026-11-21."""
    return _moment(at_ms).date().isoformat()


def instant(at_ms: int) -> str:
    """The moment as people and machines read it: 2026-11-21T00:00:00Z."""
    return _moment(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)


def _ms(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 1000
