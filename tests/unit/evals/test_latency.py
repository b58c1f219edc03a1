"""Latencies in buckets: percentiles are within 3 % of the truth, whatever was counted."""

from __future__ import annotations

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from junto.evals.latency import LONGEST_MS, bucket_of, milliseconds_of, percentile

latencies = st.integers(0, LONGEST_MS) | st.integers(0, 300) | st.integers(200, 20_000)


@given(latencies)
def test_a_bucket_is_within_three_percent_of_what_is_in_it(milliseconds: int) -> None:
    assert abs(milliseconds_of(bucket_of(milliseconds)) - milliseconds) <= 0.03 * milliseconds


@given(latencies, latencies)
def test_buckets_are_in_the_order_of_their_latencies(one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    assert bucket_of(shorter) <= bucket_of(longer)


@given(st.lists(latencies, min_size=1, max_size=300), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_within_three_percent_of_the_exact_one(measured: list[int], percent: int) -> None:
    exact = sorted(measured)[ceil(len(measured) * percent / 100) - 1]
    found = percentile(Counter(map(bucket_of, measured)), percent)
    assert found is not None
    assert abs(found - exact) <= 0.03 * exact


def test_below_twenty_milliseconds_they_are_exact() -> None:
    assert [milliseconds_of(bucket_of(each)) for each in range(20)] == list(range(20))


def test_what_never_ends_counts_as_the_longest() -> None:
    assert bucket_of(2**63) == bucket_of(LONGEST_MS)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 95) is None
