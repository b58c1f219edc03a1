"""The outbox on every database: claimed once, written down by the latest claim only, tenants in turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, update

from junto.storage.repositories.outbox import StoredWebhooks, add_webhook
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.jobs import JOBS, OUTBOX

if TYPE_CHECKING:
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio
HOUR = 3_600_000


def job(tenant_id: str, job_id: str, **more: Any) -> dict[str, Any]:
    """A row of a finished job, with everything that a row needs."""
    row: dict[str, Any] = {}
    for column in JOBS.columns:
        if not column.nullable:
            row[column.name] = 0 if column.type.python_type is int else ""
    return row | {
        "tenant_id": tenant_id,
        "id": job_id,
        "client_id": f"client of {tenant_id}",
        "sensitivity": "internal",
        "status": "complete",
        "finished_ms": 1234,
        **more,
    }


async def filled(sessions: Sessions, *, tenants: int = 1, jobs: int = 1) -> StoredWebhooks:
    """An outbox with one webhook for each job."""
    async with sessions.write(OPERATOR) as session:
        for t in range(tenants):
            tenant = f"t{t}"
            row = {"id": tenant, "name": tenant, "enabled": 1, "notes": "", "created_ms": 0, "updated_ms": 0}
            await session.execute(insert(TENANTS).values(**row))
            for j in range(jobs):
                await session.execute(insert(JOBS).values(**job(tenant, f"job_{j}")))
                await add_webhook(session, tenant_id=tenant, id=f"evt_{j}", job_id=f"job_{j}", url="https://a.example/")
    return StoredWebhooks(sessions)


async def make_due(sessions: Sessions) -> None:
    async with sessions.write(OPERATOR) as session:
        await session.execute(update(OUTBOX).values(due_ms=0))


async def test_a_claim_tells_what_is_needed_to_deliver(database: Database) -> None:
    outbox = await filled(Sessions(database))
    [notice] = await outbox.claim(limit=10, hold_ms=HOUR)
    assert (notice.tenant_id, notice.id, notice.job_id, notice.url) == ("t0", "evt_0", "job_0", "https://a.example/")
    assert (notice.client_id, notice.sensitivity, notice.finished_ms, notice.attempt) == (
        "client of t0",
        "internal",
        1234,
        1,
    )
    assert notice.now_ms > 1_700_000_000_000


async def test_what_is_claimed_is_nobody_elses_until_its_hold_ends(database: Database) -> None:
    sessions = Sessions(database)
    outbox = await filled(sessions)
    assert len(await outbox.claim(limit=10, hold_ms=HOUR)) == 1
    assert await outbox.claim(limit=10, hold_ms=HOUR) == ()
    await make_due(sessions)
    [again] = await outbox.claim(limit=10, hold_ms=HOUR)
    assert (again.id, again.attempt) == ("evt_0", 2)


async def test_claims_at_the_same_time_share_what_is_due_and_take_nothing_twice(database: Database) -> None:
    outbox = await filled(Sessions(database), jobs=40)
    claims = await asyncio.gather(*(outbox.claim(limit=7, hold_ms=HOUR) for _ in range(12)))
    taken = [notice.id for claim in claims for notice in claim]
    while rest := await outbox.claim(limit=7, hold_ms=HOUR):
        taken += [notice.id for notice in rest]
    assert sorted(taken) == sorted(f"evt_{j}" for j in range(40))


async def test_tenants_take_turns(database: Database) -> None:
    """The one with much to tell does not keep the others waiting."""
    outbox = await filled(Sessions(database), tenants=3, jobs=20)
    claim = await outbox.claim(limit=6, hold_ms=HOUR)
    assert sorted(notice.tenant_id for notice in claim) == ["t0", "t0", "t1", "t1", "t2", "t2"]


async def test_a_delivered_one_is_over(database: Database) -> None:
    sessions = Sessions(database)
    outbox = await filled(sessions)
    [notice] = await outbox.claim(limit=1, hold_ms=HOUR)
    await outbox.delivered(notice)
    await make_due(sessions)
    assert await outbox.claim(limit=1, hold_ms=HOUR) == ()
    [seen] = await outbox.deliveries("t0", "job_0")
    assert (seen.state, seen.attempts, seen.last_error, seen.next_ms) == ("delivered", 1, None, None)
    assert seen.done_ms is not None


async def test_a_failed_one_waits_and_says_why(database: Database) -> None:
    outbox = await filled(Sessions(database))
    [notice] = await outbox.claim(limit=1, hold_ms=0)
    await outbox.retry(notice, delay_ms=HOUR, error="The receiver answered 500." + "x" * 1000)
    assert await outbox.claim(limit=1, hold_ms=HOUR) == ()
    [seen] = await outbox.deliveries("t0", "job_0")
    assert (seen.state, seen.attempts) == ("pending", 1)
    assert (seen.last_error or "").startswith("The receiver answered 500.")
    assert len(seen.last_error or "") == 300
    assert seen.next_ms is not None
    assert seen.next_ms >= notice.now_ms + HOUR - 1000


async def test_one_that_was_given_up_is_over_and_says_why(database: Database) -> None:
    sessions = Sessions(database)
    outbox = await filled(sessions)
    [notice] = await outbox.claim(limit=1, hold_ms=HOUR)
    await outbox.give_up(notice, error="The receiver answered 410.")
    await make_due(sessions)
    assert await outbox.claim(limit=1, hold_ms=HOUR) == ()
    [seen] = await outbox.deliveries("t0", "job_0")
    assert (seen.state, seen.last_error, seen.next_ms) == ("given_up", "The receiver answered 410.", None)


async def test_what_a_late_node_writes_about_an_older_try_changes_nothing(database: Database) -> None:
    sessions = Sessions(database)
    outbox = await filled(sessions)
    [old] = await outbox.claim(limit=1, hold_ms=0)
    await make_due(sessions)
    [new] = await outbox.claim(limit=1, hold_ms=HOUR)
    await outbox.give_up(old, error="late")
    await outbox.retry(old, delay_ms=0, error="late")
    [seen] = await outbox.deliveries("t0", "job_0")
    assert (seen.state, seen.last_error, seen.attempts) == ("pending", None, 2)
    await outbox.delivered(new)
    await outbox.retry(new, delay_ms=0, error="after the end")
    [seen] = await outbox.deliveries("t0", "job_0")
    assert (seen.state, seen.last_error) == ("delivered", None)


async def test_deliveries_are_their_tenants_own(database: Database) -> None:
    sessions = Sessions(database)
    outbox = await filled(sessions, tenants=2)
    assert len(await outbox.deliveries("t1", "job_0")) == 1
    assert list(await outbox.deliveries("t2", "job_0")) == []
    async with sessions.write(Tenant("t0")) as session:
        await session.execute(update(OUTBOX).where(session.within(OUTBOX)).values(last_error="mine"))
    [theirs] = await outbox.deliveries("t1", "job_0")
    assert theirs.last_error is None
