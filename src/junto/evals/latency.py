"""Latencies counted in buckets that grow by 5 %, so that percentiles of any number of them are within 3 % of the truth.

Pure. Bucket 0 is no time at all; bucket b, from 1 on, is from 1.05^(b-1) up to, and not with, 1.05^b milliseconds.
"""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GROWTH: Final = 1.05
LONGEST_MS: Final = 2**32  # fifty days: what is longer counts as that long
_LOG: Final = log(GROWTH)
_MIDDLE: Final = 2.0 / (1.0 + GROWTH)  # of a bucket's upper end: as far, in parts of the truth, from both ends
_EXACT: Final = 20.0  # below that many milliseconds the nearest whole one is the only one that can be meant


def bucket_of(milliseconds: int) -> int:
    """The bucket of a latency."""
    if milliseconds < 1:
        return 0
    return int(log(min(milliseconds, LONGEST_MS)) / _LOG) + 1


def milliseconds_of(bucket: int) -> float:
    """The latency that stands for a bucket: off by no more than 3 %."""
    if bucket < 1:
        return 0.0
    middle = GROWTH**bucket * _MIDDLE
    return float(round(middle)) if middle < _EXACT else round(middle, 1)


def percentile(counts: Mapping[int, int], percent: int) -> float | None:
    """The smallest latency, in milliseconds, that so many of a hundred do not exceed (nearest rank); None of nothing."""
    rank = ceil(sum(counts.values()) * percent / 100)
    if rank < 1:
        return None
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return milliseconds_of(bucket)
    raise AssertionError
