"""The Beta distribution: its distribution function and its quantiles, in plain Python.

Owns the numbers only. Accurate to about ten digits for the parameters that counts give (0.01 to a million).
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Final

_TINY: Final = 1e-300
_DIGITS: Final = 1e-12
_TERMS: Final = 10_000
_HALVINGS: Final = 60


def cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) for X ~ Beta(a, b)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(a * log(x) + b * log1p(-x) - (lgamma(a) + lgamma(b) - lgamma(a + b)))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def quantile(p: float, a: float, b: float) -> float:
    """The x in 0..1 with P(X <= x) = p: Newton's steps, halving where one would leave what is known to hold it."""
    if p <= 0.0 or p >= 1.0:
        return float(p >= 1.0)
    low, high, x = 0.0, 1.0, a / (a + b)
    scale = lgamma(a) + lgamma(b) - lgamma(a + b)
    for _ in range(_HALVINGS):
        over = cdf(x, a, b) - p
        low, high = (low, x) if over > 0.0 else (x, high)
        slope = exp((a - 1.0) * log(x) + (b - 1.0) * log1p(-x) - scale)
        step = x - over / slope if slope > 0.0 else low
        following = step if low < step < high else (low + high) / 2.0
        if abs(following - x) < _DIGITS or not 0.0 < following < 1.0:
            return following
        x = following
    return x


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, _away(1.0 - (a + b) * x / (a + 1.0))
    d = 1.0 / d
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / _away(1.0 + even * d)
        c = _away(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 / _away(1.0 + odd * d)
        c = _away(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < _DIGITS:
            break
    return value


def _away(value: float) -> float:
    """The value, kept away from zero: it is divided by."""
    return value if abs(value) > _TINY else _TINY
