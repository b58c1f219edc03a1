"""Intervals of scores and of win rates hold the truth as often as they say."""

from __future__ import annotations

from functools import cache
from math import comb
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.evals.statistics import mean_interval, rate_interval
from junto.evals.statistics.beta import cdf, quantile
from junto.evals.statistics.intervals import SCORES, posterior

_TRUTHS: Final = {
    "even": (0.2, 0.2, 0.2, 0.2, 0.2),
    "good": (0.02, 0.03, 0.1, 0.35, 0.5),
    "all but perfect": (0.0, 0.01, 0.04, 0.15, 0.8),
    "tight": (0.0, 0.0, 0.1, 0.8, 0.1),
    "middling": (0.05, 0.2, 0.5, 0.2, 0.05),
}
_TIMES: Final = 400


@cache
def _seen(counts: tuple[int, ...]) -> tuple[float, float]:
    interval = mean_interval(counts)
    return interval.low, interval.high


def _coverage(shares: tuple[float, ...], n: int) -> float:
    random = Random(f"{shares}{n}")
    truth = sum(score * share for score, share in zip(SCORES, shares, strict=True))
    held = 0
    for _ in range(_TIMES):
        scores = random.choices(range(5), shares, k=n)
        low, high = _seen(tuple(scores.count(each) for each in range(5)))
        held += low <= truth <= high
    return held / _TIMES


@pytest.mark.parametrize("n", [5, 20, 60])
@pytest.mark.parametrize("shares", _TRUTHS.values(), ids=_TRUTHS)
def test_a_95_percent_interval_of_a_mean_holds_the_truth_about_that_often(shares: tuple[float, ...], n: int) -> None:
    coverage = _coverage(shares, n)
    assert coverage >= (0.90 if n >= 20 else 0.87)  # within what 400 samples and steps of a whole score can tell


def test_intervals_of_a_win_rate_hold_the_truth() -> None:
    random = Random(5)
    held = 0
    for _ in range(_TIMES):
        outcomes = random.choices("wtl", (0.5, 0.2, 0.3), k=30)
        interval = rate_interval(outcomes.count("w"), outcomes.count("t"), outcomes.count("l"))
        held += interval.low <= 0.6 <= interval.high
    assert held / _TIMES >= 0.91


def test_nothing_seen_says_nothing() -> None:
    interval = mean_interval((0, 0, 0, 0, 0))
    assert (interval.mean, interval.low, interval.high, interval.n) == (None, 1.0, 5.0, 0)


def test_nothing_speaks_against_the_best_where_only_the_best_was_seen() -> None:
    interval = mean_interval((0, 0, 0, 0, 12))
    assert interval.mean == interval.high == 5.0
    assert 4.0 < interval.low < 5.0


@pytest.mark.parametrize("counts", [(1, 2, 3), (0, 0, 0, 0, -1)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="counts"):
        mean_interval(counts)


def test_a_confidence_is_between_0_and_1() -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval((0, 0, 0, 0, 1), 1.0)


@given(st.lists(st.integers(0, 3000), min_size=5, max_size=5), st.floats(0.5, 0.999))
def test_the_mean_lies_in_its_interval_within_the_scale(counts: list[int], confidence: float) -> None:
    interval = mean_interval(counts, confidence)
    assert 1.0 <= interval.low < interval.high <= 5.0
    assert interval.mean is None or interval.low <= interval.mean <= interval.high


@given(st.lists(st.integers(0, 60), min_size=5, max_size=5))
def test_more_of_the_same_narrows_the_interval(counts: list[int]) -> None:
    once, often = posterior(counts), posterior([10 * count for count in counts])
    if any(counts):
        assert often.a + often.b >= once.a + once.b


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 0.99))
def test_the_distribution_function_is_the_binomial_sum(a: int, b: int, x: float) -> None:
    n = a + b - 1
    assert cdf(x, a, b) == pytest.approx(sum(comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1)), abs=1e-9)


@given(st.floats(0.05, 5000), st.floats(0.05, 5000), st.floats(0.001, 0.999))
def test_a_quantile_undoes_the_distribution_function(a: float, b: float, p: float) -> None:
    x = quantile(p, a, b)
    assert 0.0 <= x <= 1.0
    if 1e-9 < x < 1 - 1e-9:
        assert cdf(x, a, b) == pytest.approx(p, abs=1e-6)
