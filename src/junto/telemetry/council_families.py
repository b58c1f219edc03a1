"""From the counts of councils to Prometheus' metric families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.core.money import NANO_PER_USD
from junto.telemetry.rows import make_counter, make_histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.councils import CouncilMetrics

_TEMPLATE: Final = ("template",)


def council_families(seen: CouncilMetrics) -> Iterator[Metric]:
    """Everything that is counted of councils."""
    yield make_counter(
        "councils",
        "Sittings that ended by themselves. kind: synthesis, single, side_by_side, best or failed.",
        ("template", "kind", "degraded"),
        seen.sittings.items(),
    )
    yield make_histogram(
        "council_duration", "From the first call of a sitting to its end.", _TEMPLATE, seen.durations.items()
    )
    yield make_counter("council_members", "Members of those sittings.", _TEMPLATE, seen.members.items())
    yield make_counter(
        "council_members_missing",
        "Members that were left out, failed or were late.",
        _TEMPLATE,
        seen.missing.items(),
    )
    yield make_counter(
        "council_tokens",
        "Tokens of all calls; each call's own are in junto_tokens.",
        _TEMPLATE,
        seen.tokens.items(),
    )
    yield make_counter(
        "council_cost_usd",
        "Dollars charged for all calls; each call's own are in junto_cost_usd.",
        _TEMPLATE,
        ((key, nano / NANO_PER_USD) for key, nano in seen.nano.items()),
    )
