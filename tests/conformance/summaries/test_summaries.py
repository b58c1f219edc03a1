"""Figures over jobs and requests on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from junto.ports.summaries import SummaryQuery
from junto.storage.repositories.summaries import StoredSummaries
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.jobs import JOBS

if TYPE_CHECKING:
    from sqlalchemy import Table

    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio
DAY = 86_400_000


def row(table: Table, **values: Any) -> dict[str, Any]:
    """A row with nothing in it but those values."""
    empty = {c.name: 0 if c.type.python_type is int else "" for c in table.columns if not c.nullable}
    return empty | values


async def now_ms(sessions: Sessions) -> int:
    async with sessions.read(OPERATOR) as session:
        return int((await session.execute(select(session.now_ms))).scalar_one())


async def stored(sessions: Sessions, jobs: list[dict[str, Any]], requests: list[dict[str, Any]]) -> StoredSummaries:
    now = await now_ms(sessions)
    tenant = {"id": "t", "name": "t", "enabled": 1, "notes": "", "created_ms": 0, "updated_ms": 0}
    async with sessions.write(OPERATOR) as session:
        await session.execute(insert(TENANTS).values(**tenant))
        for number, job in enumerate(jobs):
            await session.execute(
                insert(JOBS).values(**row(JOBS, tenant_id="t", id=f"job_{number}", created_ms=now) | job)
            )
        for number, request in enumerate(requests):
            at = request.get("started_ms", now)
            await session.execute(
                insert(EXCHANGES).values(
                    **row(EXCHANGES, tenant="t", id=f"req_{at:011x}{number:013x}", started_ms=at) | request
                )
            )
    return StoredSummaries(sessions)


def job(latency: int, **more: Any) -> dict[str, Any]:
    return {
        "status": "complete",
        "model_used": "m",
        "task_type": "bio",
        "latency_ms": latency,
        "cost_nano": 1_000_000,
    } | more


async def test_an_empty_database_has_figures_of_nothing(database: Database) -> None:
    figures = await StoredSummaries(Sessions(database)).summary(SummaryQuery(days=3))
    assert (figures["days"], figures["total_jobs"], figures["total_requests"]) == (3, 0, 0)
    assert (
        figures["jobs_by_status"]
        == figures["jobs_by_model"]
        == figures["requests_by_model"]
        == figures["councils_by_template"]
        == {}
    )


async def test_jobs_are_counted_by_status_model_and_task(database: Database) -> None:
    jobs = [job(number) for number in range(1, 101)]
    jobs += [{"status": "pending", "task_type": "bio"}, {"status": "failed", "task_type": "code"}]
    figures = await (await stored(Sessions(database), jobs, [])).summary(SummaryQuery())
    assert figures["total_jobs"] == 102
    assert figures["jobs_by_status"] == {"complete": 100, "pending": 1, "failed": 1}
    assert figures["jobs_by_task_type"] == {"bio": 101, "code": 1}
    assert figures["jobs_by_model"] == {
        "m": {"count": 100, "avg_latency_ms": 50, "p95": 95, "total_cost_usd": "0.100000"}
    }


@pytest.mark.parametrize(
    ("latencies", "p95"), [([7], 7), ([1, 2], 2), (list(range(1, 21)), 19), ([5] * 40, 5), ([1] * 95 + [9] * 5, 1)]
)
async def test_the_percentile_is_by_nearest_rank(database: Database, latencies: list[int], p95: int) -> None:
    store = await stored(Sessions(database), [job(each) for each in latencies], [])
    assert (await store.summary(SummaryQuery()))["jobs_by_model"]["m"]["p95"] == p95


async def test_figures_can_be_asked_for_one_client_task_or_model(database: Database) -> None:
    jobs = [job(1, client_id="a"), job(2, client_id="b", task_type="code"), job(3, client_id="b", model_used="other")]
    store = await stored(Sessions(database), jobs, [])
    assert (await store.summary(SummaryQuery(client_id="b")))["total_jobs"] == 2
    assert (await store.summary(SummaryQuery(task_type="code")))["total_jobs"] == 1
    assert (await store.summary(SummaryQuery(model="other")))["jobs_by_task_type"] == {"bio": 1}
    assert (await store.summary(SummaryQuery(model="'; DROP TABLE jobs; --")))["total_jobs"] == 0


async def test_what_is_older_is_left_out_and_a_jobs_own_request_counts_with_its_job(database: Database) -> None:
    sessions = Sessions(database)
    old = await now_ms(sessions) - 8 * DAY
    request = {"outcome": "ok", "model": "m", "duration_ms": 10, "task_type": "bio", "cost_nano": 5}
    requests = [request, request, request | {"job_id": "job_0"}, request | {"started_ms": old}]
    store = await stored(sessions, [job(1), job(1, created_ms=old)], requests)
    week, month = await store.summary(SummaryQuery(days=7)), await store.summary(SummaryQuery(days=30))
    assert (week["total_jobs"], week["total_requests"]) == (1, 2)
    assert (month["total_jobs"], month["total_requests"]) == (2, 3)
    assert week["requests_by_outcome"] == {"ok": 2}
    assert week["requests_by_model"]["m"] == {
        "count": 2,
        "avg_latency_ms": 10,
        "p95": 10,
        "total_cost_usd": "0.00000001",
    }


async def test_councils_are_told_by_template_with_what_their_members_cost(database: Database) -> None:
    sessions = Sessions(database)
    now = await now_ms(sessions)
    sitting = {"outcome": "ok", "model": "council/debate", "backend": "council", "duration_ms": 900, "started_ms": now}
    first = f"req_{now:011x}{0:013x}"
    requests = [
        sitting,
        sitting | {"job_id": "job_1", "duration_ms": 100},
        sitting | {"started_ms": now - 8 * DAY},
        *({"id": f"{first}.{part}", "parent_id": first, "model": "m", "cost_nano": 2_000_000} for part in (1, 2, 3)),
        {"outcome": "ok", "model": "council/of-a-backend", "backend": "desk", "cost_nano": 7},
    ]
    store = await stored(sessions, [], requests)
    told = (await store.summary(SummaryQuery()))["councils_by_template"]
    assert told == {"debate": {"count": 2, "avg_latency_ms": 500, "p95": 900, "total_cost_usd": "0.006000"}}
    assert (await store.summary(SummaryQuery(model="m")))["councils_by_template"] == {}


async def test_waiting_jobs_are_counted_by_priority(database: Database) -> None:
    jobs = [job(0, status="pending", priority=priority) for priority in (5, 5, 9)] + [job(1, priority=5, finished_ms=1)]
    assert await (await stored(Sessions(database), jobs, [])).pending_by_priority() == {5: 2, 9: 1}


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300))
def test_nearest_rank_in_integers_is_nearest_rank(latencies: list[int]) -> None:
    """What the SQL computes, against the definition: at least 95 of 100 are not above it, and no smaller value will do."""
    ordered = sorted(latencies)
    p95 = min(value for rank, value in enumerate(ordered, 1) if rank * 100 >= len(ordered) * 95)
    covered = sum(value <= p95 for value in ordered)
    assert covered * 100 >= 95 * len(ordered)
    below = [value for value in ordered if value < p95]
    assert len(below) * 100 < 95 * len(ordered)
