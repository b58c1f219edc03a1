"""Looking after every single score does no harm: what is claimed falsely is believed as rarely as it is said to be."""

from __future__ import annotations

from itertools import accumulate
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.evals.statistics.sequential import evidence_above, evidence_below, evidence_of_gap

_FIFTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_counts = st.lists(st.integers(0, 60), min_size=5, max_size=5)


def _ever_believed(shares: tuple[float, ...], bound: float, *, level: float, looks: int, seed: int) -> bool:
    random, counts = Random(seed), [0] * len(shares)
    for value in random.choices(range(len(shares)), shares, k=looks):
        counts[value] += 1
        if evidence_above(counts, _FIFTHS, bound) >= log(1 / level):
            return True
    return False


@pytest.mark.parametrize(
    "shares",
    [(0.2, 0.2, 0.2, 0.2, 0.2), (0.0, 0.2, 0.6, 0.2, 0.0), (0.5, 0.0, 0.0, 0.0, 0.5), (0.05, 0.0, 0.0, 0.0, 0.95)],
)
def test_a_true_claim_is_given_up_no_more_often_than_the_level_though_looked_at_each_time(
    shares: tuple[float, ...],
) -> None:
    mean = sum(value * share for value, share in zip(_FIFTHS, shares, strict=True))
    wrong = sum(_ever_believed(shares, mean, level=0.1, looks=150, seed=seed) for seed in range(80))
    assert wrong / 80 <= 0.1


def test_a_false_claim_is_given_up_soon() -> None:
    right = sum(_ever_believed((0, 0, 0.2, 0.6, 0.2), 0.65, level=0.05, looks=300, seed=seed) for seed in range(60))
    assert right / 60 >= 0.9


def test_two_equal_arms_are_not_told_apart_though_looked_at_each_time() -> None:
    random, wrong = Random(11), 0
    for _ in range(40):
        first, second = [0, 0], [0, 0]
        for look in range(60):
            first[random.random() < 0.9] += 1
            second[random.random() < 0.9] += 1
            if look % 5 == 4 and evidence_of_gap(first, second, (0.0, 1.0), 0.0) >= log(10):
                wrong += 1
                break
    assert wrong / 40 <= 0.1


@given(_counts, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_lower_bound_has_more_against_it(counts: list[int], one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    assert evidence_above(counts, _FIFTHS, low) >= evidence_above(counts, _FIFTHS, high) - 1e-9


@given(_counts, st.floats(0.05, 0.95))
def test_above_and_below_mirror_each_other(counts: list[int], bound: float) -> None:
    mirrored = evidence_above(counts[::-1], _FIFTHS, 1 - bound)
    assert evidence_below(counts, _FIFTHS, bound) == pytest.approx(mirrored, abs=1e-6)


@given(st.floats(0.05, 0.95))
def test_one_value_multiplies_the_money_by_one_on_average_where_the_claim_is_true(mean: float) -> None:
    """The bet is fair: the money after one draw, averaged over a distribution with that mean, is what it was."""
    expected = (1 - mean) * exp(evidence_above((1, 0), (0.0, 1.0), mean)) + mean * exp(
        evidence_above((0, 1), (0.0, 1.0), mean)
    )
    assert expected == pytest.approx(1.0)


@given(_counts, _counts, st.floats(-0.3, 0.3))
def test_the_gap_is_never_surer_than_a_second_mean_that_is_known(
    first: list[int], second: list[int], margin: float
) -> None:
    found = evidence_of_gap(first, second, _FIFTHS, margin)
    for place in accumulate([0.01] * 99):
        if 0 <= place - margin <= 1:
            known = evidence_above(first, _FIFTHS, place - margin) + evidence_below(second, _FIFTHS, place)
            assert found <= known + 1e-6


def test_what_cannot_be_is_known_at_once() -> None:
    assert evidence_above((0, 1), (0.0, 1.0), 0.0) == inf
    assert evidence_above((1, 0), (0.0, 1.0), 0.0) == 0.0
    assert evidence_above((0, 3), (0.0, 1.0), 1.0) <= 0.0
