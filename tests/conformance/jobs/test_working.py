"""Working on every database: one claim per job and fence, leases, and ends that happen once and entirely."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from junto.core.usage import Usage
from junto.jobs import model
from junto.ports.jobs import Ending, Renewal, Retry, Room, Status, TriageDecision
from junto.storage.sessions import OPERATOR
from junto.storage.tables import OUTBOX, TRIAGE_DECISIONS

from .desk import ANSWERED, LEASE, Desk

pytestmark = pytest.mark.anyio


async def test_of_fifty_claimers_one_wins(desk: Desk) -> None:
    job = await desk.submit()
    claims = await asyncio.gather(*(desk.claim(f"w{n}") for n in range(50)))
    [won] = [claim for claim in claims if claim is not None]
    assert (won.job.id, won.job.fence, won.attempt) == (job.id, 1, 1)
    assert len(await desk.attempts()) == 1


async def test_fifty_claimers_of_fifty_jobs_get_one_each(desk: Desk) -> None:
    for _ in range(50):
        await desk.submit()
    taken: list[str] = []

    async def work(name: str) -> None:
        while claim := await desk.claim(name):
            taken.append(claim.job.id)

    await asyncio.gather(*(work(f"w{n}") for n in range(10)))
    assert len(taken) == len(set(taken)) == 50


async def test_a_job_that_is_not_due_or_too_late_is_not_claimed(desk: Desk) -> None:
    later, late = await desk.submit(), await desk.submit(deadline_ms=1_000)
    await desk.change(later, due_ms=later.created_ms + 60_000)
    await desk.change(late, deadline_ms=1)
    assert await desk.claim() is None


async def test_a_worker_takes_only_what_it_has_room_for(desk: Desk) -> None:
    await desk.submit(local=True)
    assert await desk.claim(room=Room(0, 5)) is None
    assert await desk.claim(room=Room(0, 0)) is None
    cloud = await desk.submit(local=False)
    claim = await desk.claim(room=Room(0, 5))
    assert claim is not None
    assert claim.job.id == cloud.id


async def test_local_jobs_of_models_whose_hardware_is_full_are_passed_over(desk: Desk) -> None:
    waits = await desk.submit(model="busy", priority=9)
    idle, cloud = await desk.submit(model="idle"), await desk.submit(model="busy", local=False)
    full = Room(5, 5, full=("busy", "busy:latest"))
    claims = await desk.work.claim("w1", full, lease_ms=1000, limit=5)
    assert [claim.job.id for claim in claims] == [idle.id, cloud.id]
    assert await desk.claim(room=full) is None
    assert await desk.claim(room=Room(5, 0, full=full.full)) is None
    left = await desk.job(waits)
    assert (left.status, left.attempts) == (Status.PENDING, 0)
    assert await desk.claim() is not None


async def test_models_in_memory_go_first_within_a_priority(desk: Desk) -> None:
    cold, warm = await desk.submit(model="cold"), await desk.submit(model="warm")
    urgent = await desk.submit(model="cold", priority=9)
    order = [await desk.claim(prefer=("warm",)) for _ in range(3)]
    assert [claim.job.id for claim in order if claim is not None] == [urgent.id, warm.id, cold.id]


async def test_a_renewal_prolongs_the_lease_and_tells_of_a_cancellation(desk: Desk) -> None:
    claim = await desk.claimed()
    await desk.change(claim.job, lease_ms=5)
    assert await desk.work.renew([(claim, 12)], lease_ms=LEASE) == [Renewal(claim.key, cancel_requested=False)]
    [row] = await desk.rows_of_jobs()
    assert row["lease_ms"] > claim.job.created_ms
    assert row["tokens_so_far"] == 12
    await desk.jobs.cancel("default", claim.job.id, force=True, webhook_id="e")
    assert await desk.work.to_cancel("w1") == [claim.key]
    assert await desk.work.to_cancel("w2") == []
    assert (await desk.work.renew([(claim, 13)], lease_ms=LEASE))[0].cancel_requested


async def test_many_claims_are_renewed_at_once_and_lost_ones_are_left_out(desk: Desk) -> None:
    claims = [await desk.claimed() for _ in range(5)]
    await desk.work.finish(claims[0], ANSWERED)
    await desk.work.release(claims[1])
    renewed = await desk.work.renew([(claim, 0) for claim in claims], lease_ms=LEASE)
    assert [renewal.key for renewal in renewed] == [claim.key for claim in claims[2:]]


async def test_the_end_writes_result_ledger_reservation_and_webhook_at_once(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    claim = await desk.claimed(reserve_nano=100, budgets=(budget,), webhook="https://a.example/")
    assert await desk.reserved() == 100
    assert await desk.work.finish(claim, ANSWERED)
    job = await desk.job(claim.job)
    assert (job.status, job.answer, job.tokens_in, job.tokens_out) == (Status.COMPLETE, ANSWERED.answer, 7, 2)
    [entry] = await desk.ledger()
    assert (entry["id"], entry["kind"], entry["cost_nano"], entry["failed"]) == (job.id, "job", 40, 0)
    assert await desk.reserved() == 0
    assert [(row["id"], row["job_id"]) for row in await desk.rows(OUTBOX)] == [("evt_1", job.id)]
    assert [row["outcome"] for row in await desk.attempts()] == ["ok"]


async def test_a_second_end_changes_nothing(desk: Desk) -> None:
    claim = await desk.claimed(webhook="https://a.example/")
    assert await desk.work.finish(claim, ANSWERED)
    other = msgspec.structs.replace(ANSWERED, answer=b"{}", webhook_id="evt_2")
    assert not await desk.work.finish(claim, other)
    assert (await desk.job(claim.job)).answer == ANSWERED.answer
    assert (len(await desk.ledger()), await desk.count(OUTBOX)) == (1, 1)


async def test_of_many_ends_at_once_one_counts(desk: Desk) -> None:
    claim = await desk.claimed()
    ended = await asyncio.gather(*(desk.work.finish(claim, ANSWERED) for _ in range(10)))
    assert [when is not None for when in ended].count(True) == 1
    assert len(await desk.ledger()) == 1


async def test_the_end_that_a_waiting_caller_is_told_is_the_one_that_was_written(desk: Desk) -> None:
    claim = await desk.claimed()
    finished_ms = await desk.work.finish(claim, ANSWERED)
    assert finished_ms is not None
    assert model.ended(claim.job, ANSWERED, finished_ms) == await desk.job(claim.job)


async def test_an_end_that_is_told_of_no_reservation_is_written_as_any_other(desk: Desk) -> None:
    claim = await desk.claimed()
    assert await desk.work.finish(claim, msgspec.structs.replace(ANSWERED, reserved=False))
    assert (await desk.job(claim.job)).status is Status.COMPLETE
    [entry] = await desk.ledger()
    assert entry["cost_nano"] == 40


@pytest.mark.parametrize("what", ["finish", "retry", "release", "renew"])
async def test_a_stale_fence_changes_nothing(desk: Desk, what: str) -> None:
    stale = await desk.claimed("w1")
    await desk.change(stale.job, lease_ms=1)
    await desk.sweep.expire_leases(make_id=desk.make_id)
    before = await desk.job(stale.job)
    assert not await act(desk, what, stale)  # it is pending again
    fresh = await desk.claim("w2")
    assert fresh is not None
    assert fresh.job.fence == stale.job.fence + 1
    assert not await act(desk, what, stale)  # and now another's
    assert (await desk.job(stale.job)).worker == "w2"
    assert before.status is Status.PENDING
    assert await desk.ledger() == []
    assert await desk.work.finish(fresh, ANSWERED)


async def act(desk: Desk, what: str, claim: object) -> object:
    match what:
        case "finish":
            return await desk.work.finish(claim, ANSWERED)  # type: ignore[arg-type]
        case "retry":
            return await desk.work.retry(claim, Retry(delay_ms=0, error_code="x"))  # type: ignore[arg-type]
        case "release":
            return await desk.work.release(claim)  # type: ignore[arg-type]
        case _:
            return await desk.work.renew([(claim, 1)], lease_ms=1)  # type: ignore[list-item]


async def test_a_retry_rests_and_may_ask_for_another_model(desk: Desk) -> None:
    claim = await desk.claimed()
    assert await desk.work.retry(claim, Retry(delay_ms=60_000, error_code="overloaded", model="quality"))
    job = await desk.job(claim.job)
    assert (job.status, job.model, job.worker, job.error_code) == (Status.PENDING, "quality", "", "overloaded")
    assert job.due_ms >= job.created_ms + 60_000
    assert [(row["outcome"], row["error"]) for row in await desk.attempts()] == [("failed", "overloaded")]
    assert await desk.claim() is None


async def test_an_attempt_tells_why_each_backend_did_not_answer(desk: Desk) -> None:
    claim = await desk.claimed()
    why = ("rack/m: credentials", 'desk/"ö": model_missing')
    assert await desk.work.retry(claim, Retry(delay_ms=0, error_code="x", reasons=why))
    again = await desk.claim()
    assert again is not None
    assert again.job.error_code == "x"
    assert await desk.work.finish(again, msgspec.structs.replace(ANSWERED, reasons=("rack/m: busy",)))
    assert (await desk.job(claim.job)).error_code == ""
    attempts = await desk.jobs.attempts("default", claim.job.id)
    assert [attempt.reasons for attempt in attempts] == [why, ("rack/m: busy",)]


async def test_an_attempt_that_nothing_went_wrong_with_has_no_reasons(desk: Desk) -> None:
    claim = await desk.claimed()
    assert [attempt.reasons for attempt in await desk.jobs.attempts("default", claim.job.id)] == [()]
    await desk.work.finish(claim, ANSWERED)
    assert [attempt.reasons for attempt in await desk.jobs.attempts("default", claim.job.id)] == [()]


async def test_a_released_job_can_be_claimed_at_once_and_has_all_its_attempts_left(desk: Desk) -> None:
    claim = await desk.claimed(max_attempts=1)
    assert await desk.work.release(claim)
    again = await desk.claim("w2")
    assert again is not None
    assert (again.job.crashes, again.attempt, again.job.max_attempts) == (0, 2, 2)


async def test_a_failed_job_is_in_the_ledger_at_no_cost_and_gives_its_money_back(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    claim = await desk.claimed(reserve_nano=100, budgets=(budget,))
    ending = Ending(status=Status.FAILED, error_code="overloaded", error_message="All busy.", usage=Usage(output=3))
    assert await desk.work.finish(claim, ending)
    [entry] = await desk.ledger()
    assert (entry["failed"], entry["cost_nano"], entry["output_tokens"]) == (1, 0, 0)
    assert await desk.reserved() == 0
    assert (await desk.job(claim.job)).error_message == "All busy."


async def test_a_request_that_is_not_to_be_kept_is_gone_with_the_end(desk: Desk) -> None:
    claim = await desk.claimed()
    await desk.work.finish(claim, msgspec.structs.replace(ANSWERED, forget_request=True))
    [row] = await desk.rows_of_jobs()
    assert row["request"] is None


async def test_cancelling_pending_ends_it_and_running_asks_its_worker(desk: Desk) -> None:
    pending = await desk.submit()
    cancelled = await desk.jobs.cancel("default", pending.id, force=False, webhook_id="e")
    assert cancelled is not None
    assert cancelled.status is Status.CANCELLED
    assert await desk.claim() is None
    running = (await desk.claimed()).job
    asked = await desk.jobs.cancel("default", running.id, force=False, webhook_id="e")
    assert asked is not None
    assert (asked.status, asked.cancel_requested) == (Status.RUNNING, False)
    forced = await desk.jobs.cancel("default", running.id, force=True, webhook_id="e")
    assert forced is not None
    assert forced.cancel_requested
    assert await desk.ledger() == []


async def test_a_cancelled_pending_job_gives_its_money_back(desk: Desk) -> None:
    job = await desk.submit(reserve_nano=100, budgets=(await desk.budget(1_000),))
    await desk.jobs.cancel("default", job.id, force=False, webhook_id="e")
    assert await desk.reserved() == 0


async def test_a_triage_decision_learns_how_the_job_ended(desk: Desk) -> None:
    claim = await desk.claimed()
    decision = TriageDecision(
        tenant_id="default", id="tri_1", job_id=claim.job.id, facts="{}", decision="retry", latency_ms=3
    )
    await desk.work.record_triage(decision)
    await desk.work.retry(claim, Retry(delay_ms=0, error_code="x"))
    again = await desk.claim()
    assert again is not None
    await desk.work.finish(again, ANSWERED)
    assert [row["outcome"] for row in await desk.rows(TRIAGE_DECISIONS)] == ["complete"]


async def test_the_operator_is_the_scope_of_claims_and_a_tenant_that_of_ends(desk: Desk) -> None:
    mine = await desk.claimed()
    theirs = await desk.claimed(client="cli_o", tenant="other")
    assert await desk.work.finish(theirs, ANSWERED)
    async with desk.sessions.read(OPERATOR) as session:
        assert session.scope is OPERATOR
    assert (await desk.job(mine.job)).status is Status.RUNNING


async def test_a_job_reserves_more_while_its_answer_grows_and_no_more_than_there_is(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    claim = await desk.claimed(reserve_nano=300, budgets=(budget,))
    assert await desk.work.hold(claim, 600)
    assert await desk.reserved() == 600
    assert await desk.work.hold(claim, 450)  # what an attempt before this one reserved is there
    assert await desk.reserved() == 600
    assert not await desk.work.hold(claim, 1_001)
    assert await desk.reserved() == 600
    assert await desk.work.hold(claim, 1_000)
    assert await desk.work.finish(claim, ANSWERED)
    assert await desk.reserved() == 0
    assert [entry["cost_nano"] for entry in await desk.ledger()] == [40]


async def test_a_claim_that_is_stale_reserves_nothing(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    claim = await desk.claimed(reserve_nano=300, budgets=(budget,))
    await desk.change(claim.job, fence=9)
    assert not await desk.work.hold(claim, 600)
    assert await desk.reserved() == 300


async def test_of_two_jobs_that_grow_at_the_end_of_a_budget_one_gets_the_rest(desk: Desk) -> None:
    budget = await desk.budget(1_000)
    claims = [await desk.claimed(reserve_nano=300, budgets=(budget,)) for _ in range(2)]
    got = await asyncio.gather(*(desk.work.hold(claim, 600) for claim in claims))
    assert sorted(got) == [False, True]
    assert await desk.reserved() == 900


async def test_an_attempt_tells_how_long_its_model_was_brought_into_memory(desk: Desk) -> None:
    claim = await desk.claimed()
    await desk.work.finish(claim, msgspec.structs.replace(ANSWERED, swap_ms=2_500))
    [attempt] = await desk.jobs.attempts("default", claim.job.id)
    assert (attempt.outcome, attempt.swap_ms) == ("ok", 2_500)
