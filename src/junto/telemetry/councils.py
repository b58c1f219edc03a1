"""Counts how councils' sittings end, by template, and gives it as metric families.

Implements ports.observer's CouncilObserver. Templates are the operator's, but they come and go while Junto runs: only the first ones
get a label of their own, and the rest are counted together. The calls of a sitting are exchanges, and counted as such elsewhere.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from junto.core.money import NANO_PER_USD
from junto.telemetry.accumulators import Histogram
from junto.telemetry.rows import make_counter, make_histogram
from junto.telemetry.work import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.ports.observer import CouncilEnded

# Upper bounds, milliseconds: a sitting has two minutes unless its template says otherwise, an hour at most.
BOUNDS: Final = (
    *(1000, 2500, 5000, 10_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000),
    *(180_000, 300_000, 600_000, 1_800_000, 3_600_000),
)
_MOST_TEMPLATES: Final = 100
_TEMPLATE: Final = ("template",)


class CouncilMetrics:
    """What was counted since the start."""

    def __init__(self, *, most_templates: int = _MOST_TEMPLATES) -> None:
        self._templates = Words(most_templates)
        self._sittings: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[tuple[str, ...], Histogram] = {}
        self._members: Counter[tuple[str]] = Counter()
        self._missing: Counter[tuple[str]] = Counter()
        self._tokens: Counter[tuple[str]] = Counter()
        self._nano: Counter[tuple[str]] = Counter()

    def council_ended(self, council: CouncilEnded) -> None:
        template = self._templates.of(council.template)
        key = (template,)
        self._sittings[template, council.kind, "true" if council.degraded else "false"] += 1
        self._durations.setdefault(key, Histogram(BOUNDS)).observe(max(council.milliseconds, 0))
        self._members[key] += council.members
        self._missing[key] += council.missing
        self._tokens[key] += council.tokens
        self._nano[key] += council.cost_nano

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        yield make_counter(
            "councils",
            "Sittings that ended by themselves. kind: synthesis, single, side_by_side, best or failed.",
            ("template", "kind", "degraded"),
            self._sittings.items(),
        )
        yield make_histogram(
            "council_duration", "From the first call of a sitting to its end.", _TEMPLATE, self._durations.items()
        )
        yield make_counter("council_members", "Members of those sittings.", _TEMPLATE, self._members.items())
        yield make_counter(
            "council_members_missing",
            "Members that were left out, failed or were late.",
            _TEMPLATE,
            self._missing.items(),
        )
        yield make_counter(
            "council_tokens",
            "Tokens of all calls; each call's own are in junto_tokens.",
            _TEMPLATE,
            self._tokens.items(),
        )
        yield make_counter(
            "council_cost_usd",
            "Dollars charged for all calls; each call's own are in junto_cost_usd.",
            _TEMPLATE,
            ((key, nano / NANO_PER_USD) for key, nano in self._nano.items()),
        )
