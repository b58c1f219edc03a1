"""Figures of models by task: counted once from each stored exchange, kept by day, read summed up.

Values and the Protocol of the reader; how they are counted is evals/counting.py's, where they are kept storage's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.subjects import Kind


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a model did. `failures` are of the `attempts`; `latency_ms` and tokens are of the `answers`, in all.

    `cost_nano` is what exchanges of that model cost, those that were broken off too. `latencies`: answers by bucket
    (evals/latency.py).
    """

    model: str
    kind: Kind
    attempts: int = 0
    failures: int = 0
    answers: int = 0
    latency_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_nano: int = 0
    latencies: Mapping[int, int] = {}


class FigureQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which figures: of days in UTC (2026-11-21) from `since_day` up to and including `until_day`; None does not restrict.

    Without a task type all traffic counts, that which has none too.
    """

    since_day: str
    until_day: str | None = None
    task_type: str | None = None
    kind: Kind | None = None
    tenant_id: str | None = None


class FigureStore(Protocol):
    """Reads figures of all tenants, for the operator. Raises core.errors.Overloaded while the database is away."""

    async def figures(self, query: FigureQuery, *, latencies: bool = True) -> Sequence[Figures]:
        """One for each model and kind, in that order; without `latencies` their buckets are left out."""
