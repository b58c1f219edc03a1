"""Figures over stored jobs and requests. Implements ports.summaries.SummaryStore; the same SQL on every database.

A request that was made for a job is part of that job and not counted as a request. What a council asked its members is counted as
requests of their models; the council itself, which costs nothing but them, is shown with what they cost. The 95th percentile is by nearest rank: the
smallest latency that at least 95 of 100 do not exceed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import case, func, select

from junto.core.ids import request_id
from junto.core.money import usd_from_nano
from junto.routing.facts import COUNCIL
from junto.storage.repositories.jobs_order import IS_PENDING
from junto.storage.sessions import OPERATOR
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.tables.jobs import JOBS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Column, ColumnElement

    from junto.ports.summaries import SummaryQuery
    from junto.storage.sessions import Session, Sessions

_DAY_MS = 86_400_000
_MOST_GROUPS = 200
_PERCENT = 95


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    """One table seen as things that took time, cost money and were done by a model; `within` selects them."""

    ending: Column[str]
    model: Column[str]
    task_type: Column[str]
    latency_ms: Column[int]
    cost_nano: Column[int]
    within: tuple[ColumnElement[bool], ...]


class StoredSummaries:
    """Reads them from one database, of all tenants: they are the operator's."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def summary(self, query: SummaryQuery) -> dict[str, Any]:
        async with self._sessions.read(OPERATOR) as session:
            now = (await session.execute(select(session.now_ms))).scalar_one()
            since = int(now) - query.days * _DAY_MS
            jobs = _jobs(session, query, since)
            requests = _exchanges(session, query, since, EXCHANGES.c.job_id == "", EXCHANGES.c.purpose == "")
            sittings = _exchanges(session, query, since, EXCHANGES.c.backend == COUNCIL)  # of requests and of jobs
            by_status = await _counts(session, jobs, jobs.ending)
            by_outcome = await _counts(session, requests, requests.ending)
            return {
                "days": query.days,
                "since_ms": since,
                "total_jobs": sum(by_status.values()),
                "jobs_by_status": by_status,
                "jobs_by_model": await _by_model(session, jobs),
                "jobs_by_task_type": await _counts(session, jobs, jobs.task_type),
                "total_requests": sum(by_outcome.values()),
                "requests_by_outcome": by_outcome,
                "requests_by_model": await _by_model(session, requests),
                "requests_by_task_type": await _counts(session, requests, requests.task_type),
                "councils_by_template": await _by_council(session, sittings),
            }

    async def pending_by_priority(self) -> Mapping[int, int]:
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(JOBS.c.priority, func.count().label("waiting"))
                .where(session.within(JOBS), IS_PENDING)
                .group_by(JOBS.c.priority)
            )
            return {int(row.priority): int(row.waiting) for row in found}


def _jobs(session: Session, query: SummaryQuery, since: int) -> _Source:
    table = JOBS.c
    chosen = {table.client_id: query.client_id, table.task_type: query.task_type, table.model_used: query.model}
    return _Source(
        ending=table.status,
        model=table.model_used,
        task_type=table.task_type,
        latency_ms=table.latency_ms,
        cost_nano=table.cost_nano,
        within=(session.within(JOBS), table.created_ms >= since, *_equal(chosen)),
    )


def _exchanges(session: Session, query: SummaryQuery, since: int, *only: ColumnElement[bool]) -> _Source:
    table = EXCHANGES.c
    chosen = {table.client_id: query.client_id, table.task_type: query.task_type, table.model: query.model}
    return _Source(
        ending=table.outcome,
        model=table.model,
        task_type=table.task_type,
        latency_ms=table.duration_ms,
        cost_nano=table.cost_nano,
        # Ids begin with their time: the primary key finds the first one.
        within=(
            session.within(EXCHANGES),
            table.id >= request_id(since, 0),
            table.started_ms >= since,
            *only,
            *_equal(chosen),
        ),
    )


def _equal(chosen: Mapping[Column[Any], str | None]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in chosen.items() if value is not None]


async def _counts(session: Session, source: _Source, column: Column[str]) -> dict[str, int]:
    """How many there are of each value; the most frequent 200."""
    counted = func.count().label("counted")
    found = await session.execute(
        select(column.label("value"), counted)
        .where(*source.within)
        .group_by(column)
        .order_by(counted.desc(), column)
        .limit(_MOST_GROUPS)
    )
    return {row.value: int(row.counted) for row in found if row.value}


async def _by_model(session: Session, source: _Source) -> dict[str, dict[str, Any]]:
    rank = func.row_number().over(partition_by=source.model, order_by=source.latency_ms)
    size = func.count().over(partition_by=source.model)
    ranked = (
        select(
            source.model.label("model"),
            source.latency_ms.label("latency_ms"),
            source.cost_nano.label("cost_nano"),
            rank.label("rank"),
            size.label("size"),
        )
        .where(*source.within, source.model != "")
        .subquery()
    )
    reaches = ranked.c.rank * 100 >= ranked.c.size * _PERCENT
    counted = func.count().label("counted")
    found = await session.execute(
        select(
            ranked.c.model,
            counted,
            func.avg(ranked.c.latency_ms).label("average"),
            func.min(case((reaches, ranked.c.latency_ms))).label("p95"),
            func.sum(ranked.c.cost_nano).label("cost_nano"),
        )
        .group_by(ranked.c.model)
        .order_by(counted.desc(), ranked.c.model)
        .limit(_MOST_GROUPS)
    )
    return {
        row.model: {
            "count": int(row.counted),
            "avg_latency_ms": round(float(row.average)),
            "p95": int(row.p95),
            "total_cost_usd": usd_from_nano(int(row.cost_nano)),
        }
        for row in found
    }


async def _by_council(session: Session, councils: _Source) -> dict[str, dict[str, Any]]:
    """As by model, with what the parts of the sittings cost in the place of what they cost themselves."""
    figures = await _by_model(session, councils)
    if not figures:
        return {}
    sittings = select(EXCHANGES.c.id, EXCHANGES.c.model).where(*councils.within).subquery()
    found = await session.execute(
        select(sittings.c.model, func.sum(EXCHANGES.c.cost_nano).label("cost_nano"))
        .join_from(EXCHANGES, sittings, EXCHANGES.c.parent_id == sittings.c.id)
        .where(session.within(EXCHANGES), EXCHANGES.c.id >= select(func.min(sittings.c.id)).scalar_subquery())
        .group_by(sittings.c.model)
    )
    costs = {row.model: usd_from_nano(int(row.cost_nano)) for row in found}
    return {
        model.removeprefix(f"{COUNCIL}/"): told | {"total_cost_usd": costs.get(model, told["total_cost_usd"])}
        for model, told in figures.items()
    }
