"""Windows of budgets: days and months in UTC, each moment in exactly one of them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.periods import DAY_MS, Period, day_of, instant, window_end, window_start

MOMENTS = st.integers(0, int(dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000)


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "at", "start", "end"),
    [
        ("daily", "2026-11-21T06:30:00", "2026-11-21", "2026-11-22"),
        ("daily", "2026-12-31T23:59:59.999", "2026-12-31", "2027-01-01"),
        ("daily", "2026-11-21T00:00:00", "2026-11-21", "2026-11-22"),
        ("monthly", "2026-11-21T06:30:00", "2026-11-01", "2026-12-01"),
        ("monthly", "2026-12-31T23:59:59.999", "2026-12-01", "2027-01-01"),
        ("monthly", "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_window_goes_from_midnight_to_midnight(period: str, at: str, start: str, end: str) -> None:
    assert window_start(period, ms(at)) == ms(start)
    assert window_end(period, ms(at)) == ms(end)


def test_a_total_has_one_window_without_an_end() -> None:
    assert window_start("total", ms("2026-11-21")) == 0
    assert window_end("total", ms("2026-11-21")) is None


@given(at=MOMENTS, period=st.sampled_from([Period.DAILY, Period.MONTHLY]))
def test_every_moment_is_in_its_window_and_windows_follow_each_other(at: int, period: Period) -> None:
    start, end = window_start(period, at), window_end(period, at)
    assert end is not None
    assert start <= at < end
    assert window_start(period, start) == start
    assert window_start(period, end) == end
    assert window_end(period, start - 1 if start else start) == (start or end)


@given(at=MOMENTS)
def test_days_are_counted_by_windows(at: int) -> None:
    assert day_of(at) == day_of(window_start("daily", at))
    assert day_of(at) < day_of(at + DAY_MS)


def test_moments_are_shown_in_utc() -> None:
    assert instant(ms("2026-11-21T06:30:05")) == "2026-11-21T06:30:05Z"
    assert day_of(ms("2026-11-21T23:59:59.999")) == "2026-11-21"
