"""Intervals of mean scores and of win rates: what is believed about a model after so many scores.

The shares of the possible values have a Dirichlet prior of one observation in all, spread evenly; the mean is then all but
Beta-distributed, with the exact mean and variance. Owns no decision: what is looked at again and again is sequential.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.evals.statistics.beta import cdf, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

SCORES: Final = (1.0, 2.0, 3.0, 4.0, 5.0)
_OUTCOMES: Final = (1.0, 0.5, 0.0)
_PRIOR: Final = 1.0  # observations that the prior is worth, in all


class Interval(msgspec.Struct, frozen=True):
    """An average with what it may be. `mean` is the plain one of what was seen, None where nothing was."""

    mean: float | None
    low: float
    high: float
    n: int


class Posterior(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed about a mean between `least` and `most`: a Beta distribution, stretched."""

    a: float
    b: float
    least: float
    most: float

    @property
    def mean(self) -> float:
        """The mean that is expected."""
        return self.least + (self.most - self.least) * self.a / (self.a + self.b)

    def quantile(self, p: float) -> float:
        """The value that the mean is below with the probability p."""
        return self.least + (self.most - self.least) * quantile(p, self.a, self.b)

    def above(self, value: float) -> float:
        """The probability that the mean is above a value."""
        return 1.0 - cdf((value - self.least) / (self.most - self.least), self.a, self.b)


def posterior(counts: Sequence[int], values: Sequence[float] = SCORES) -> Posterior:
    """What counts of each value say about their mean; raises ValueError for counts that cannot be."""
    if len(counts) != len(values) or any(count < 0 for count in counts):
        message = f"{len(values)} counts that are not negative are needed."
        raise ValueError(message)
    least, most = min(values), max(values)
    places = [(value - least) / (most - least) for value in values]
    weights = [count + _PRIOR / len(values) for count in counts]
    total = sum(weights)
    mean = sum(weight * place for weight, place in zip(weights, places, strict=True)) / total
    spread = sum(weight * (place - mean) ** 2 for weight, place in zip(weights, places, strict=True)) / total
    strength = mean * (1.0 - mean) * (total + 1.0) / spread - 1.0
    return Posterior(a=mean * strength, b=(1.0 - mean) * strength, least=least, most=most)


def mean_interval(counts: Sequence[int], confidence: float = 0.95) -> Interval:
    """The mean of scores, of which `counts` says how many were 1, 2, 3, 4 and 5."""
    return _interval(counts, SCORES, confidence)


def rate_interval(wins: int, ties: int, losses: int, confidence: float = 0.95) -> Interval:
    """The share of comparisons that were won, 0..1; a tie is half of one."""
    return _interval((wins, ties, losses), _OUTCOMES, confidence)


def _interval(counts: Sequence[int], values: Sequence[float], confidence: float) -> Interval:
    if not 0.0 < confidence < 1.0:
        message = "A confidence is between 0 and 1."
        raise ValueError(message)
    believed = posterior(counts, values)
    seen = sum(counts)
    if not seen:
        return Interval(None, believed.least, believed.most, 0)
    mean = sum(count * value for count, value in zip(counts, values, strict=True)) / seen
    tail = (1.0 - confidence) / 2.0
    # Where all that was seen is the best there is, nothing speaks against the best.
    return Interval(mean, min(mean, believed.quantile(tail)), max(mean, believed.quantile(1.0 - tail)), seen)
