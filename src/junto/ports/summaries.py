"""Figures over stored jobs and requests, for people; what scrapers get is counted in telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_DAYS = 366


class SummaryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which time and of what: the last `days` (1 to 366) by the database's clock; None does not restrict."""

    days: int = 7
    client_id: str | None = None
    task_type: str | None = None
    model: str | None = None


class SummaryStore(Protocol):
    """Reads figures, as plain JSON-ready values."""

    async def summary(self, query: SummaryQuery) -> dict[str, Any]:
        """Jobs and requests in numbers: in all, by status, by model with latency and cost, by task type."""

    async def pending_by_priority(self) -> Mapping[int, int]:
        """How many jobs wait, by priority; priorities of which none waits are missing."""
