"""Sweeping on every database: what ran out is found once, what was left is given back, what is old goes with all its copies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from junto.ports.jobs import Idempotency, OnCrash, Retry, Status
from junto.storage.sessions import OPERATOR
from junto.storage.tables import IDEMPOTENCY, JOB_ATTEMPTS, JOBS, OUTBOX, RESERVATIONS, TRIAGE_DECISIONS

from .desk import ANSWERED, Desk, filled

if TYPE_CHECKING:
    from junto.ports.jobs import Claim, Job

pytestmark = pytest.mark.anyio


async def crash(desk: Desk, claim: Claim) -> Job:
    """Let the claim's lease run out, and sweep."""
    await desk.change(claim.job, lease_ms=1)
    [lapsed] = await desk.sweep.expire_leases(make_id=desk.make_id)
    assert lapsed.job.id == claim.job.id
    return await desk.job(claim.job)


async def test_a_lease_that_holds_is_left_alone(desk: Desk) -> None:
    await desk.claimed()
    assert await desk.sweep.expire_leases(make_id=desk.make_id) == ()


async def test_the_job_of_a_dead_worker_can_be_claimed_again(desk: Desk) -> None:
    job = await crash(desk, await desk.claimed())
    assert (job.status, job.crashes, job.worker) == (Status.PENDING, 1, "")
    assert [row["outcome"] for row in await desk.attempts()] == ["crashed"]
    again = await desk.claim("w2")
    assert again is not None
    assert (again.job.fence, again.attempt) == (2, 2)


async def test_a_job_that_may_run_once_only_has_failed_then(desk: Desk) -> None:
    job = await crash(desk, await desk.claimed(on_crash=OnCrash.FAIL, webhook="https://a.example/"))
    assert (job.status, job.error_code) == (Status.FAILED, "worker_lost")
    assert await desk.count(OUTBOX) == 1


async def test_a_job_that_is_to_be_cancelled_is_cancelled_then(desk: Desk) -> None:
    claim = await desk.claimed()
    await desk.jobs.cancel("default", claim.job.id, force=True, webhook_id="e")
    assert (await crash(desk, claim)).status is Status.CANCELLED


async def test_a_job_that_is_put_back_while_it_is_being_cancelled_is_cancelled(desk: Desk) -> None:
    """The cancel was noted while the attempt ran; the attempt failed, or its worker stopped, before it heard of that."""
    claim = await desk.claimed(webhook="https://a.example/")
    await desk.jobs.cancel("default", claim.job.id, force=True, webhook_id="e")
    assert await desk.work.retry(claim, Retry(delay_ms=0, error_code="upstream_error"))
    assert await desk.claim() is None
    [lapsed] = await desk.sweep.expire_deadlines(make_id=desk.make_id)
    assert (lapsed.status, lapsed.job.error_code) == (Status.CANCELLED, "")
    job = await desk.job(claim.job)
    assert (job.status, job.cancel_requested) == (Status.CANCELLED, False)
    assert await desk.count(OUTBOX) == 1
    assert await desk.sweep.expire_deadlines(make_id=desk.make_id) == ()


async def test_a_job_that_kills_its_workers_is_set_aside_with_the_reason(desk: Desk) -> None:
    job: Job | None = None
    claim: Any = await desk.claimed(max_attempts=10)
    for _ in range(3):
        job = await crash(desk, claim)
        claim = await desk.claim()
    assert claim is None
    assert job is not None
    assert (job.status, job.error_code, job.crashes) == (Status.FAILED, "poisonous", 3)
    assert "3 workers" in job.error_message


async def test_attempts_are_capped(desk: Desk) -> None:
    claim = await desk.claimed(max_attempts=2)
    await desk.work.retry(claim, Retry(delay_ms=0, error_code="x"))
    again = await desk.claim()
    assert again is not None
    assert (await crash(desk, again)).error_code == "worker_lost"


async def test_ten_sweepers_find_each_lost_lease_once(desk: Desk) -> None:
    for _ in range(10):
        claim = await desk.claimed()
        await desk.change(claim.job, lease_ms=1)
    found = await asyncio.gather(*(desk.sweep.expire_leases(make_id=desk.make_id) for _ in range(10)))
    assert sorted(one.job.crashes for each in found for one in each) == [0] * 10
    assert [row["crashes"] for row in await desk.rows(JOBS)] == [1] * 10


async def test_a_deadline_that_passes_in_the_queue_fails_the_job(desk: Desk) -> None:
    job = await desk.submit(deadline_ms=1000, reserve_nano=10, budgets=(await desk.budget(100),))
    await desk.change(job, deadline_ms=1)
    [lapsed] = await desk.sweep.expire_deadlines(make_id=desk.make_id)
    assert (lapsed.status, (await desk.job(job)).error_code) == (Status.FAILED, "deadline_passed")
    assert await desk.sweep.expire_deadlines(make_id=desk.make_id) == ()
    assert await desk.reserved() == 0


async def test_what_waits_is_told_in_the_order_of_claims(desk: Desk) -> None:
    low, high = await desk.submit(priority=2), await desk.submit(priority=8)
    await desk.claimed(priority=10)
    assert await desk.sweep.waiting(limit=5) == [("default", high.id), ("default", low.id)]
    assert await desk.sweep.waiting(limit=1) == [("default", high.id)]


async def test_reservations_of_jobs_that_are_over_are_given_back(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    left = await desk.submit(reserve_nano=10, budgets=(budget,))
    kept = await desk.submit(reserve_nano=20, budgets=(budget,))
    await desk.change(left, status="failed", finished_ms=5)
    assert await desk.sweep.settle_orphans() == 1
    assert await desk.reserved() == 20
    assert [row["holder"] for row in await desk.rows(RESERVATIONS)] == [kept.id]
    assert await desk.sweep.settle_orphans() == 0


async def test_idempotency_keys_are_forgotten_in_time(desk: Desk) -> None:
    first = await desk.jobs.submit(desk.new(idempotency=Idempotency("k", "d")))
    assert await desk.sweep.forget_keys(older_ms=1000) == 0
    async with desk.sessions.write(OPERATOR) as session:
        await session.execute(update(IDEMPOTENCY).values(created_ms=5))
    assert await desk.sweep.forget_keys(older_ms=1000) == 1
    again = await desk.jobs.submit(desk.new(idempotency=Idempotency("k", "d")))
    assert again.is_new
    assert again.job.id != first.job.id


async def test_retention_deletes_every_copy_of_what_ended_long_ago(desk: Desk) -> None:
    claim = await desk.claimed(webhook="https://a.example/", idempotency=Idempotency("k", "d"))
    async with desk.sessions.write(OPERATOR) as session:
        row = filled(TRIAGE_DECISIONS, tenant_id="default", id="t", job_id=claim.job.id)
        await session.execute(TRIAGE_DECISIONS.insert().values(row))
    await desk.work.finish(claim, ANSWERED)
    await desk.claimed()
    assert await desk.sweep.delete_ended(older_ms=1000) == 0
    await desk.change(claim.job, finished_ms=5)
    assert await desk.sweep.delete_ended(older_ms=1000) == 1
    counts = [await desk.count(table) for table in (JOBS, JOB_ATTEMPTS, IDEMPOTENCY, OUTBOX, TRIAGE_DECISIONS)]
    assert counts == [1, 1, 0, 0, 0]
    assert len(await desk.ledger()) == 1  # what was charged stays written


@pytest.mark.parametrize(("tier", "kept"), [("internal", True), ("confidential", False)])
@pytest.mark.parametrize("way", ["cancelled", "too late", "worker lost"])
async def test_what_was_asked_goes_with_the_end_where_its_tier_keeps_no_bodies(
    desk: Desk,
    tier: str,
    way: str,
    kept: bool,  # noqa: FBT001
) -> None:
    if way == "worker lost":
        await crash(desk, await desk.claimed(on_crash=OnCrash.FAIL, sensitivity=tier))
    elif way == "too late":
        job = await desk.submit(deadline_ms=1_000, sensitivity=tier)
        await desk.change(job, deadline_ms=1)
        await desk.sweep.expire_deadlines(make_id=desk.make_id)
    else:
        job = await desk.submit(sensitivity=tier)
        await desk.jobs.cancel("default", job.id, force=False, webhook_id="e")
    [row] = await desk.rows_of_jobs()
    assert Status(row["status"]).is_end
    assert (row["request"] is not None) is kept
