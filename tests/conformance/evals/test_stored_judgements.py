"""Judgements and runs of them on every database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import insert, update

from junto.core.secret import Secret
from junto.ports.judging import Decision, Judgement, Mode, NewJudgement, NewRun, Run, RunClaim, Status, Unjudged
from junto.ports.subjects import Subject, SubjectKind
from junto.storage.repositories.judge_runs import StoredRuns, purge_runs
from junto.storage.repositories.judging import StoredJudgements, purge_judgements
from junto.storage.sealing import Sealer
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.evals import JUDGE_RUNS, JUDGEMENTS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.scores import Pair
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3600 * 1000
GOOD = Decision(
    status=Status.COMPLETE, score=4, detail=b'{"judges": ["gr\xc3\xbc\xc3\x9fe"]}', calls=2, tokens=30, nano=70
)
BAD = Decision(status=Status.FAILED, error_code="judge_nonsense", error_message="Nonsense.", calls=1, tokens=5, nano=9)
UNJUDGED = Unjudged(task_type="mail", mode=Mode.POINTWISE, young_ms=DAY_MS, limit=10)


def subject(id: str, kind: SubjectKind = SubjectKind.EXCHANGE, tenant: str = "default") -> Subject:
    return Subject(tenant, kind, id)


def new(id: str, of: Subject | None = None, *, mode: Mode = Mode.POINTWISE, **more: Any) -> NewJudgement:
    return NewJudgement(id=id, mode=mode, subject=of or subject("req_1"), **more)


def planned(run_id: str, prefix: str) -> Any:
    """Each subject that was not judged, by itself; ids in the order of the shadows."""

    def plan(pairs: Sequence[Pair], before: frozenset[Subject]) -> list[NewJudgement]:
        found = dict.fromkeys(each for pair in pairs for each in (pair.source, pair.shadow))
        return [
            new(f"{prefix}{number}", each, run_id=run_id)
            for number, each in enumerate(one for one in found if one not in before)
        ]

    return plan


async def add_shadow(sessions: Sessions, id: str, source: str, *, age_ms: int = 0, **more: Any) -> None:
    row: dict[str, Any] = {
        **{column.name: "" for column in SHADOWS.columns if not column.nullable and column.type.python_type is str},
        **{column.name: 0 for column in SHADOWS.columns if not column.nullable and column.type.python_type is int},
        "tenant_id": "default",
        "id": id,
        "source_kind": "exchange",
        "source_id": source,
        "task_type": "mail",
        "status": "complete",
    }
    async with sessions.write(OPERATOR) as session:
        await session.execute(
            insert(SHADOWS).values(**(row | {"model": id, "created_ms": session.now_ms - age_ms} | more))
        )


async def test_a_judgement_is_written_down_when_it_begins_and_when_it_ends(sessions: Sessions) -> None:
    store = StoredJudgements(sessions)
    begun = await store.begin(new("jdg_1", sensitivity="internal", task_type="mail"))
    assert (begun.status, begun.score, begun.finished_ms) == (Status.RUNNING, None, None)
    ended = await store.end(begun, GOOD)
    assert ended is not None
    assert (ended.status, ended.score, ended.calls, ended.tokens, ended.nano) == (Status.COMPLETE, 4, 2, 30, 70)
    assert ended.detail == GOOD.detail
    assert ended.sensitivity == "internal"
    assert ended.finished_ms is not None
    assert await store.end(begun, BAD) is None
    assert await store.find("jdg_1") == ended
    assert await store.find("jdg_2") is None


async def test_a_judgement_is_found_by_either_of_its_subjects_and_by_no_namesake(sessions: Sessions) -> None:
    store = StoredJudgements(sessions)
    one, other = subject("req_1"), subject("shd_1", SubjectKind.SHADOW)
    await store.begin(new("jdg_1", one))
    await store.begin(new("jdg_2", one, other=other, mode=Mode.PAIRWISE))
    await store.begin(new("jdg_3", subject("req_1", SubjectKind.JOB)))
    await store.begin(new("jdg_4", subject("req_1", tenant="acme")))
    assert [each.id for each in await store.of(one, limit=10)] == ["jdg_2", "jdg_1"]
    assert [each.id for each in await store.of(one, limit=1)] == ["jdg_2"]
    found = await store.of(other, limit=10)
    assert [(each.id, each.subject, each.other) for each in found] == [("jdg_2", one, other)]


async def test_what_a_judge_said_is_sealed_where_bodies_are(database: Database) -> None:
    sealer = Sealer(Secret("a secret of this test, long enough"), entropy=lambda count: b"n" * count)
    store = StoredJudgements(Sessions(database, sealer=sealer))
    ended = await store.end(await store.begin(new("jdg_1")), GOOD)
    assert ended is not None
    assert ended.detail == GOOD.detail
    bare = await StoredJudgements(Sessions(database)).find("jdg_1")
    assert bare is not None
    assert (bare.detail, bare.score) == (b"", 4)


async def test_one_that_was_left_running_fails_when_it_is_old(sessions: Sessions) -> None:
    store = StoredJudgements(sessions)
    await store.begin(new("jdg_1"))
    await store.begin(new("jdg_2", run_id="jrn_1"))
    assert await store.abandon(older_ms=60_000) == 0
    assert await store.abandon(older_ms=-1) == 1
    found = await store.find("jdg_1")
    assert found is not None
    assert (found.status, found.error_code) == (Status.FAILED, "interrupted")
    of_run = await store.find("jdg_2")
    assert of_run is not None
    assert of_run.status is Status.RUNNING


async def test_old_judgements_are_deleted_and_those_under_way_are_not(sessions: Sessions) -> None:
    store = StoredJudgements(sessions)
    for number in range(3):
        await store.end(await store.begin(new(f"jdg_{number}")), GOOD)
    await store.begin(new("jdg_running"))
    async with sessions.write(OPERATOR) as session:
        await session.execute(update(JUDGEMENTS).values(created_ms=session.now_ms - 8 * DAY_MS))
    await store.end(await store.begin(new("jdg_young")), GOOD)
    assert await purge_judgements(sessions, days=None, limit=10) == 0
    assert await purge_judgements(sessions, days=7, limit=2) == 2
    assert await purge_judgements(sessions, days=7, limit=2) == 1
    assert await purge_judgements(sessions, days=7, limit=2) == 0
    assert await store.find("jdg_running") is not None
    assert await store.find("jdg_young") is not None


async def test_a_run_is_deleted_when_it_is_old_and_nothing_of_it_is_left(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await store.create(NewRun(id="jrn_1", request=b"{}"), [])
    await store.create(NewRun(id="jrn_2", request=b"{}"), [new("jdg_1", run_id="jrn_2")])
    await store.create(NewRun(id="jrn_3", request=b"{}"), [new("jdg_2", run_id="jrn_3")])
    await store.cancel("jrn_2")
    async with sessions.write(OPERATOR) as session:
        long_ago = session.now_ms - 8 * DAY_MS
        await session.execute(
            update(JUDGE_RUNS).where(JUDGE_RUNS.c.finished_ms.is_not(None)).values(finished_ms=long_ago)
        )
        await session.execute(update(JUDGEMENTS).where(JUDGEMENTS.c.run_id == "jrn_2").values(created_ms=long_ago))
    assert await purge_runs(sessions, days=None, limit=10) == 0
    assert await purge_runs(sessions, days=7, limit=10) == 1
    assert await purge_judgements(sessions, days=7, limit=10) == 1
    assert await purge_runs(sessions, days=7, limit=10) == 1
    assert [run.id for run in await store.runs(before=None, limit=10)] == ["jrn_3"]


async def finished(store: StoredRuns, claim: RunClaim, decision: Decision = GOOD) -> Judgement:
    judgement = await store.next(claim)
    assert judgement is not None
    assert await store.finish(claim, judgement, decision)
    return judgement


async def claimed(store: StoredRuns, worker: str = "one", lease_ms: int = 60_000) -> RunClaim:
    claim = await store.claim(worker, lease_ms=lease_ms)
    assert claim is not None
    return claim


async def got(store: StoredRuns, run_id: str = "jrn_1") -> Run:
    run = await store.run(run_id)
    assert run is not None
    return run


async def test_a_run_is_worked_off_in_order_and_counted(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await store.create(NewRun(id="jrn_1", request=b'{"a": 1}'), [new(f"jdg_{n}", run_id="jrn_1") for n in range(3)])
    claim = await claimed(store)
    assert (claim.run.status, claim.run.total, claim.run.request) == (Status.RUNNING, 3, b'{"a": 1}')
    assert await store.claim("two", lease_ms=60_000) is None
    done = [(await finished(store, claim, decision)).id for decision in (GOOD, BAD, GOOD)]
    assert done == ["jdg_0", "jdg_1", "jdg_2"]
    run = await got(store)
    assert (run.status, run.done, run.failed, run.nano) == (Status.COMPLETE, 3, 1, 149)
    assert run.finished_ms is not None
    assert await store.next(claim) is None
    assert await store.claim("two", lease_ms=60_000) is None
    found = await store.judgements("jrn_1", after=None, limit=2)
    assert [each.status for each in found] == [Status.COMPLETE, Status.FAILED]
    assert [each.id for each in await store.judgements("jrn_1", after="jdg_1", limit=2)] == ["jdg_2"]


async def test_a_run_whose_worker_is_gone_is_taken_up_and_the_late_one_changes_nothing(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await store.create(NewRun(id="jrn_1", request=b"{}"), [new(f"jdg_{n}", run_id="jrn_1") for n in range(2)])
    lost = await claimed(store, lease_ms=-1)
    await finished(store, lost)
    under_way = await store.next(lost)
    assert under_way is not None
    heir = await claimed(store, "two")
    assert await store.renew(heir, lease_ms=60_000)
    assert not await store.renew(lost, lease_ms=60_000)
    assert await store.next(lost) is None
    assert not await store.finish(lost, under_way, BAD)
    await store.release(lost, delay_ms=0)
    assert (await finished(store, heir)).id == "jdg_1"
    run = await got(store)
    assert (run.status, run.done, run.failed, run.nano) == (Status.COMPLETE, 2, 0, 140)


async def test_a_run_that_is_given_back_waits_and_is_no_ones(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await store.create(NewRun(id="jrn_1", request=b"{}"), [new("jdg_1", run_id="jrn_1")])
    claim = await claimed(store)
    await store.next(claim)
    await store.release(claim, delay_ms=60_000)
    assert (await got(store)).status is Status.PENDING
    assert (await store.judgements("jrn_1", after=None, limit=9))[0].status is Status.PENDING
    assert await store.claim("two", lease_ms=60_000) is None
    async with sessions.write(OPERATOR) as session:
        await session.execute(update(JUDGE_RUNS).values(lease_ms=session.now_ms - 1))
    await finished(store, await claimed(store, "two"))


async def test_a_cancelled_run_is_over_with_everything_that_was_left_of_it(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await store.create(NewRun(id="jrn_1", request=b"{}"), [new(f"jdg_{n}", run_id="jrn_1") for n in range(3)])
    claim = await claimed(store)
    await finished(store, claim)
    under_way = await store.next(claim)
    assert under_way is not None
    run = await store.cancel("jrn_1")
    assert run is not None
    assert (run.status, run.done) == (Status.CANCELLED, 1)
    assert not await store.finish(claim, under_way, GOOD)
    assert not await store.renew(claim, lease_ms=60_000)
    assert await store.claim("two", lease_ms=60_000) is None
    found = await store.judgements("jrn_1", after=None, limit=9)
    assert [each.status for each in found] == [Status.COMPLETE, Status.CANCELLED, Status.CANCELLED]
    again = await store.cancel("jrn_1")
    assert again == run
    assert await store.cancel("jrn_2") is None


async def test_a_run_finds_shadows_of_its_task_that_nobody_judged(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    await add_shadow(sessions, "shd_1", "req_1", age_ms=3000)
    await add_shadow(sessions, "shd_2", "req_1", age_ms=2000)
    await add_shadow(sessions, "shd_old", "req_2", age_ms=2 * DAY_MS)
    await add_shadow(sessions, "shd_other", "req_3", task_type="other")
    await add_shadow(sessions, "shd_pending", "req_4", status="pending")
    run = await store.create_of(NewRun(id="jrn_1", request=b"{}"), UNJUDGED, planned("jrn_1", "jdg_a"))
    found = [each.subject.id for each in await store.judgements("jrn_1", after=None, limit=9)]
    assert (run.total, found) == (3, ["req_1", "shd_2", "shd_1"])
    empty = await store.create_of(NewRun(id="jrn_2", request=b"{}"), UNJUDGED, planned("jrn_2", "jdg_b"))
    assert (empty.total, empty.status) == (0, Status.COMPLETE)
    await add_shadow(sessions, "shd_3", "req_1")
    await store.create_of(NewRun(id="jrn_3", request=b"{}"), UNJUDGED, planned("jrn_3", "jdg_c"))
    assert [each.subject.id for each in await store.judgements("jrn_3", after=None, limit=9)] == ["shd_3"]
    everything = Unjudged(task_type="mail", mode=Mode.POINTWISE, young_ms=DAY_MS, limit=10, again=True)
    again = await store.create_of(NewRun(id="jrn_4", request=b"{}"), everything, planned("jrn_4", "jdg_d"))
    assert again.total == 4
    assert [run.id for run in await store.runs(before=None, limit=2)] == ["jrn_4", "jrn_3"]
    assert [run.id for run in await store.runs(before="jrn_2", limit=2)] == ["jrn_1"]


async def test_what_failed_is_found_again_and_another_mode_is_another_thing(sessions: Sessions) -> None:
    store, single = StoredRuns(sessions), StoredJudgements(sessions)
    await add_shadow(sessions, "shd_1", "req_1")
    shadow = subject("shd_1", SubjectKind.SHADOW)
    await single.end(await single.begin(new("jdg_1", shadow)), BAD)
    await single.end(
        await single.begin(new("jdg_2", subject("req_1"), other=shadow, mode=Mode.PAIRWISE)),
        Decision(status=Status.COMPLETE, winner="tie"),
    )
    run = await store.create_of(NewRun(id="jrn_1", request=b"{}"), UNJUDGED, planned("jrn_1", "jdg_a"))
    assert run.total == 2
    pairs = Unjudged(task_type="mail", mode=Mode.PAIRWISE, young_ms=DAY_MS, limit=10)
    none = await store.create_of(NewRun(id="jrn_2", request=b"{}"), pairs, planned("jrn_2", "jdg_b"))
    assert none.total == 0


async def test_what_was_judged_for_a_look_is_found_again_when_it_is_to_count(sessions: Sessions) -> None:
    store, single = StoredRuns(sessions), StoredJudgements(sessions)
    await add_shadow(sessions, "shd_1", "req_1")
    await single.end(await single.begin(new("jdg_1", subject("shd_1", SubjectKind.SHADOW))), GOOD)
    await single.end(await single.begin(new("jdg_2")), msgspec.structs.replace(GOOD, applied=True))
    counting = Unjudged(task_type="mail", mode=Mode.POINTWISE, young_ms=DAY_MS, limit=10, applied=True)
    await store.create_of(NewRun(id="jrn_1", request=b"{}"), counting, planned("jrn_1", "jdg_a"))
    assert [each.subject.id for each in await store.judgements("jrn_1", after=None, limit=9)] == ["shd_1"]
    waiting = await store.create_of(NewRun(id="jrn_2", request=b"{}"), counting, planned("jrn_2", "jdg_b"))
    assert waiting.total == 0


async def test_two_runs_at_once_never_find_the_same_shadow(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    for number in range(6):
        await add_shadow(sessions, f"shd_{number}", f"req_{number}")
    made = await asyncio.gather(
        *(
            store.create_of(NewRun(id=f"jrn_{n}", request=b"{}"), UNJUDGED, planned(f"jrn_{n}", f"jdg_{n}"))
            for n in range(3)
        )
    )
    assert sorted(run.total for run in made) == [0, 0, 12]


async def test_many_workers_never_have_the_same_run(sessions: Sessions) -> None:
    store = StoredRuns(sessions)
    for number in range(3):
        run_id = f"jrn_{number}"
        await store.create(NewRun(id=run_id, request=b"{}"), [new(f"jdg_{number}", run_id=run_id)])
    claims = await asyncio.gather(*(store.claim(f"worker {number}", lease_ms=60_000) for number in range(6)))
    assert sorted(claim.run.id for claim in claims if claim is not None) == ["jrn_0", "jrn_1", "jrn_2"]
