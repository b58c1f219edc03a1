"""From the counts of shadows to Prometheus' metric families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.telemetry.rows import make_counter, make_gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.shadows import ShadowMetrics

_LABELS: Final = ("task_type", "model")


def shadow_families(seen: ShadowMetrics) -> Iterator[Metric]:
    """Everything that is counted of shadows."""
    yield make_counter(
        "shadows_sampled", "Exchanges and jobs that got a shadow by that candidate.", _LABELS, seen.sampled.items()
    )
    yield make_counter(
        "shadows",
        "Shadows that ended: complete, failed, or dropped with the reason.",
        (*_LABELS, "status", "reason"),
        seen.ended.items(),
    )
    yield make_gauge("shadows_waiting", "Shadows that wait for their turn.", _LABELS, seen.waiting.items())
