"""From rows of labels and numbers to prometheus-client's families. Pure but for its value classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.accumulators import Histogram

type Row = tuple[tuple[str, ...], float]


def make_counter(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """`junto_<name>_total`."""
    family = CounterMetricFamily(f"junto_{name}", help, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def make_gauge(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """`junto_<name>`."""
    family = GaugeMetricFamily(f"junto_{name}", help, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def make_histogram(
    name: str, help: str, labels: Sequence[str], rows: Iterable[tuple[tuple[str, ...], Histogram]]
) -> Metric:
    """`junto_<name>_seconds`, of histograms in milliseconds; those that have seen nothing are left out."""
    family = HistogramMetricFamily(f"junto_{name}_seconds", help, labels=labels)
    for values, histogram in rows:
        if any(histogram.counts):
            family.add_metric(values, _buckets(histogram), histogram.total / 1000)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """(upper bound in seconds, how many were up to it), as Prometheus wants them: cumulative, the last one without bound."""
    buckets: list[tuple[str, float]] = []
    reached = 0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        reached += count
        buckets.append((str(bound / 1000), reached))
    return [*buckets, ("+Inf", reached + histogram.counts[-1])]
