"""From the counts of judgements to Prometheus' metric families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.money import NANO_PER_USD
from junto.telemetry.rows import make_counter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.judges import JudgeMetrics


def judge_families(seen: JudgeMetrics) -> Iterator[Metric]:
    """Everything that is counted of judgements."""
    yield make_counter(
        "judgements",
        "Judgements that ended. outcome: ok, or why there is none.",
        ("mode", "outcome"),
        seen.judgements.items(),
    )
    yield make_counter(
        "judge_verdicts",
        "What became of each judge in them. outcome: ok, same_family, judge_nonsense or another error's code.",
        ("mode", "judge", "outcome"),
        seen.verdicts.items(),
    )
    yield make_counter("judge_tokens", "Tokens of all calls of judges.", ("mode",), seen.tokens.items())
    yield make_counter(
        "judge_cost_usd",
        "Dollars charged for all calls of judges, on the operator's account.",
        ("mode",),
        ((key, nano / NANO_PER_USD) for key, nano in seen.nano.items()),
    )
