"""Counts how councils' sittings end, by template, and gives it as metric families.

Implements ports.observer's CouncilObserver. Templates are the operator's, but they come and go while Junto runs: only the first ones
get a label of their own, and the rest are counted together. The calls of a sitting are exchanges, and counted as such elsewhere.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from junto.telemetry.accumulators import Histogram
from junto.telemetry.council_families import council_families
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


class CouncilMetrics:
    """What was counted since the start."""

    def __init__(self, *, most_templates: int = _MOST_TEMPLATES) -> None:
        self._templates = Words(most_templates)
        self.sittings: Counter[tuple[str, str, str]] = Counter()
        self.durations: dict[tuple[str, ...], Histogram] = {}
        self.members: Counter[tuple[str]] = Counter()
        self.missing: Counter[tuple[str]] = Counter()
        self.tokens: Counter[tuple[str]] = Counter()
        self.nano: Counter[tuple[str]] = Counter()

    def council_ended(self, council: CouncilEnded) -> None:
        template = self._templates.of(council.template)
        key = (template,)
        self.sittings[template, council.kind, "true" if council.degraded else "false"] += 1
        self.durations.setdefault(key, Histogram(BOUNDS)).observe(max(council.milliseconds, 0))
        self.members[key] += council.members
        self.missing[key] += council.missing
        self.tokens[key] += council.tokens
        self.nano[key] += council.cost_nano

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        return council_families(self)
