"""Submitting on every database: one transaction, an idempotency key that stands for one job, a fair order."""

from __future__ import annotations

import asyncio

import pytest

from junto.core.errors import BudgetExceeded
from junto.ports.jobs import Idempotency, JobQuery, Room, Status
from junto.storage.tables import JOBS

from .desk import IDEMPOTENCY, Desk

pytestmark = pytest.mark.anyio


async def test_a_submitted_job_is_pending_and_reads_as_it_was_written(desk: Desk) -> None:
    job = await desk.submit(priority=7, metadata='{"a":"b"}', deadline_ms=60_000)
    found = await desk.job(job)
    assert (found.status, found.priority, found.metadata, found.attempts) == (Status.PENDING, 7, '{"a":"b"}', 0)
    assert found.deadline_ms == found.created_ms + 60_000


async def test_a_large_request_reaches_the_worker_byte_for_byte(desk: Desk) -> None:
    request = b'{"prompt":"' + b"long " * 50_000 + b'"}'
    claim = await desk.claimed(request=request)
    assert claim.job.request == request


async def test_a_job_that_begins_at_once_is_a_claim_with_an_attempt_written_down(desk: Desk) -> None:
    submitted = await desk.jobs.submit(desk.new(), worker="w1", lease_ms=30_000)
    assert submitted.claim is not None
    assert (submitted.job.status, submitted.job.fence, submitted.claim.attempt) == (Status.RUNNING, 1, 1)
    assert [(row["number"], row["outcome"], row["worker"]) for row in await desk.attempts()] == [(1, "", "w1")]
    assert await desk.claim("w2") is None


async def test_a_key_stands_for_one_job_however_often_it_comes(desk: Desk) -> None:
    key = Idempotency("k", "digest")
    first = await desk.jobs.submit(desk.new(idempotency=key))
    again = await desk.jobs.submit(desk.new(idempotency=Idempotency("k", "another")))
    assert first.is_new
    assert (again.is_new, again.job.id, again.digest) == (False, first.job.id, "digest")
    assert await desk.count(JOBS) == 1


async def test_a_key_is_its_clients_own(desk: Desk) -> None:
    key = Idempotency("k", "digest")
    await desk.jobs.submit(desk.new(idempotency=key))
    assert (await desk.jobs.submit(desk.new("cli_b", idempotency=key))).is_new
    assert (await desk.jobs.submit(desk.new("cli_o", tenant="other", idempotency=key))).is_new


async def test_of_twenty_submissions_with_one_key_one_makes_a_job(desk: Desk) -> None:
    key = Idempotency("k", "digest")
    submitted = await asyncio.gather(*(desk.jobs.submit(desk.new(idempotency=key)) for _ in range(20)))
    assert [one.is_new for one in submitted].count(True) == 1
    assert len({one.job.id for one in submitted}) == 1


async def test_without_room_in_the_budget_neither_job_nor_key_is_written(desk: Desk) -> None:
    budget = await desk.budget(100)
    with pytest.raises(BudgetExceeded):
        await desk.jobs.submit(desk.new(reserve_nano=101, budgets=(budget,), idempotency=Idempotency("k", "d")))
    assert (await desk.count(JOBS), await desk.count(IDEMPOTENCY), await desk.reserved()) == (0, 0, 0)


async def test_of_jobs_that_come_together_each_is_accepted_or_refused_by_itself(desk: Desk) -> None:
    budget = await desk.budget(250)
    old = await desk.jobs.submit(desk.new(idempotency=Idempotency("old", "digest")))
    kinds = [
        desk.new(),
        desk.new(reserve_nano=100, budgets=(budget,), idempotency=Idempotency("a", "d")),
        desk.new(reserve_nano=300, budgets=(budget,), idempotency=Idempotency("b", "d")),  # more than there is
        desk.new(idempotency=Idempotency("old", "digest")),
        desk.new(reserve_nano=100, budgets=(budget,)),
        desk.new(),
    ]
    found = await asyncio.gather(*(desk.jobs.submit(new) for new in kinds), return_exceptions=True)
    kept = [one for one in found if not isinstance(one, BaseException)]
    assert [type(one).__name__ for one in found].index("NoRoom") == 2
    assert [one.is_new for one in kept] == [True, True, False, True, True]
    assert kept[2].job.id == old.job.id
    assert (await desk.count(JOBS), await desk.count(IDEMPOTENCY), await desk.reserved()) == (5, 2, 200)


async def test_jobs_of_one_client_that_come_together_are_served_in_their_order(desk: Desk) -> None:
    new = [desk.new() for _ in range(40)]
    submitted = await asyncio.gather(*(desk.jobs.submit(one) for one in new))
    claims = await desk.work.claim("w1", Room(local=40, cloud=0), lease_ms=30_000, limit=40)
    assert [claim.job.id for claim in claims] == [one.job.id for one in submitted] == [one.id for one in new]


async def test_two_clients_take_turns_however_many_jobs_one_has_put_in_first(desk: Desk) -> None:
    for _ in range(6):
        await desk.submit("cli_a", charge=10)
    for _ in range(3):
        await desk.submit("cli_b", charge=10)
    order = [claim.job.client_id for claim in await desk.work.claim("w", Room(100, 100), lease_ms=1000, limit=9)]
    assert order == ["cli_a", "cli_b"] * 3 + ["cli_a"] * 3


async def test_who_comes_later_waits_for_no_more_than_its_share(desk: Desk) -> None:
    for _ in range(8):
        await desk.submit("cli_a", charge=10)
    for _ in range(4):
        await desk.claim()
    await desk.submit("cli_b", charge=10)
    await desk.submit("cli_b", charge=10)
    order = [claim.job.client_id for claim in await desk.work.claim("w", Room(100, 100), lease_ms=1000, limit=9)]
    assert order == ["cli_a", "cli_b", "cli_a", "cli_b", "cli_a", "cli_a"]


async def test_a_clients_more_urgent_job_goes_before_its_others(desk: Desk) -> None:
    low, high = await desk.submit(priority=1), await desk.submit(priority=9)
    claims = await desk.work.claim("w", Room(2, 2), lease_ms=1000, limit=2)
    assert [claim.job.id for claim in claims] == [high.id, low.id]
    assert await desk.jobs.place(await desk.submit(priority=5)) == 1


async def test_the_place_counts_those_that_go_first(desk: Desk) -> None:
    jobs = [await desk.submit(charge=10) for _ in range(3)]
    assert [await desk.jobs.place(job) for job in jobs] == [1, 2, 3]


async def test_a_client_lists_its_own_jobs_newest_first_by_page(desk: Desk) -> None:
    mine = [(await desk.submit(task_type="a" if n % 2 else "b")).id for n in range(5)]
    await desk.submit("cli_b")
    query = JobQuery(tenant_id="default", client_id="cli_a", limit=3)
    page = await desk.jobs.page(query)
    assert [job.id for job in page] == mine[:1:-1]
    rest = await desk.jobs.page(JobQuery(tenant_id="default", client_id="cli_a", limit=3, before=page[-1].id))
    assert [job.id for job in rest] == mine[1::-1]
    some = await desk.jobs.page(JobQuery(tenant_id="default", client_id="cli_a", task_type="a", status=Status.PENDING))
    assert [job.id for job in some] == [mine[3], mine[1]]


async def test_a_tenants_jobs_are_nobody_elses(desk: Desk) -> None:
    job = await desk.submit()
    assert await desk.jobs.find("other", job.id) is None
    assert await desk.jobs.cancel("other", job.id, force=True, webhook_id="e") is None
    assert await desk.jobs.page(JobQuery(tenant_id="other", client_id=None)) == []
    assert await desk.jobs.attempts("other", job.id) == []
    assert await desk.jobs.find_anywhere(job.id) is not None
