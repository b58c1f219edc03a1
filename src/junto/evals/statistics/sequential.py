"""Tests that stay true however often somebody looks: evidence as money that a gambler made of one.

Whoever bets against a claim that is true multiplies one to a hundred with a chance of at most one in a hundred, ever (Ville). So
the claim may be given up the moment the money reaches 1/level, and looking after every single score costs nothing. The money
depends on how often each value was seen, not on the order, and is spread over bets of several sizes. All values are 0..1.
"""

from __future__ import annotations

from math import exp, inf, log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BETS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)  # of the most that may be bet
_GOLDEN: Final = (5.0**0.5 - 1.0) / 2.0
_SECTIONS: Final = 32  # to within a five-millionth


def evidence_above(counts: Sequence[float], values: Sequence[float], bound: float) -> float:
    """The logarithm of the evidence against the claim that the mean is at most `bound`."""
    if bound <= 0.0:
        return inf if any(count for count, value in zip(counts, values, strict=True) if value > 0.0) else 0.0
    seen = [(count, value / min(bound, 1.0) - 1.0) for count, value in zip(counts, values, strict=True) if count]
    return _averaged([sum(count * log(1.0 + bet * gain) for count, gain in seen) for bet in BETS])


def evidence_below(counts: Sequence[float], values: Sequence[float], bound: float) -> float:
    """The same against the claim that the mean is at least `bound`."""
    return evidence_above(counts, [1.0 - value for value in values], 1.0 - bound)


def evidence_of_gap(first: Sequence[float], second: Sequence[float], values: Sequence[float], margin: float) -> float:
    """The same against the claim that the first mean is at most the second one less `margin`, of two separate samples.

    For every place where the second mean might be, both must have lost together: the least of the products counts.
    """

    def against(place: float) -> float:
        return evidence_above(first, values, place - margin) + evidence_below(second, values, place)

    least, most = max(0.0, margin), min(1.0, 1.0 + margin)
    if least > most:  # the claim cannot be true
        return inf
    return _least(against, least, most)


def _averaged(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs) / len(logs))


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """The least value of a convex function between two places, by golden sections.

    Invariant: the evidence is convex in the bound, as each of its bets is, so there are no other valleys to fall into.
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_SECTIONS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return min(at_left, at_right, function(low), function(high))
