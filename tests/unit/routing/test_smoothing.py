"""Smoothed speeds: cold apart from warm, nonsense ignored."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.routing.facts import Live
from junto.routing.smoothing import Speeds, observed
from tests.unit.routing.facts import examples


def test_the_first_observation_is_taken_as_it_is_and_later_ones_by_a_fifth() -> None:
    assert observed(Live(), ttft=2.0, rate=40.0) == Speeds(2.0, 40.0, 0.0)
    assert observed(Live(ttft=2.0, rate=40.0, load=9.0), ttft=1.0, rate=50.0) == Speeds(1.8, 42.0, 9.0)


def test_a_cold_answer_teaches_the_load_and_the_rate_but_not_the_warm_speed() -> None:
    assert observed(Live(ttft=0.5, rate=40.0), ttft=8.5, rate=40.0, cold=True) == Speeds(0.5, 40.0, 8.0)
    assert observed(Live(ttft=0.5, load=8.0), ttft=10.5, cold=True) == Speeds(0.5, 0.0, 8.4)


@pytest.mark.parametrize("nonsense", [None, 0.0, -1.0, math.inf, math.nan])
def test_what_is_not_a_positive_figure_teaches_nothing(nonsense: float | None) -> None:
    live = Live(ttft=1.0, rate=2.0, load=3.0)
    assert observed(live, ttft=nonsense, rate=nonsense) == Speeds(1.0, 2.0, 3.0)
    assert observed(live, ttft=nonsense, rate=nonsense, cold=True) == Speeds(1.0, 2.0, 3.0)


@examples(60)
@given(known=st.floats(0.001, 100), newest=st.floats(0.001, 100))
def test_the_average_moves_towards_the_newest_and_never_past_it(known: float, newest: float) -> None:
    moved = observed(Live(ttft=known), ttft=newest).ttft
    assert min(known, newest) <= moved + 1e-9
    assert moved - 1e-9 <= max(known, newest)
