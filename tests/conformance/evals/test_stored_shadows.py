"""Shadows in the database: kept once, claimed by one, ended under their fence, and never promised more than a day's cap has room for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import func, insert, select, update

from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.periods import day_of
from junto.core.secret import Secret
from junto.ports.shadows import CapReached, Claim, Ended, NewShadow, ShadowQuery, ShadowStatus, StoredShadow, Why
from junto.storage.repositories.shadows import ShadowIntake, StoredShadowWork, purge_shadows
from junto.storage.repositories.shadows_rows import StoredShadowPages
from junto.storage.sealing import Sealer
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.evals import SHADOW_DAYS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio

LEASE = 60_000
DAY = 24 * 60 * 60 * 1000
RECORD = ExchangeRecord(
    id="req_1", started_ms=1, wire="openai.chat", operation="chat", requested_model="m", sensitivity="public",
    stream=False, outcome=Outcome.OK, status=200, duration_ms=1, keep="full",
)  # fmt: skip


class Picked:
    """A chooser that has chosen already."""

    def __init__(self, *shadows: NewShadow) -> None:
        self.shadows = shadows
        self.kept_ids: list[str] = []
        self.dropped_ids: list[str] = []

    def choose(self, records: Sequence[ExchangeRecord]) -> Sequence[NewShadow]:
        return self.shadows if records else ()

    def kept(self, shadows: Sequence[NewShadow], *, dropped: Sequence[NewShadow]) -> None:
        self.kept_ids += [one.id for one in shadows]
        self.dropped_ids += [one.id for one in dropped]


def new(number: int, **fields: Any) -> NewShadow:
    standing: dict[str, Any] = {
        "id": f"shd_{number:04}",
        "tenant_id": "default",
        "source_kind": "exchange",
        "source_id": f"req_{number}",
        "task_type": "mail",
        "client_id": "cli_1",
        "sensitivity": "internal",
        "wire": "openai.chat",
        "production_model": "usual",
        "model": "rival",
        "request": b'{"model":"rival"}',
    }
    return NewShadow(**{**standing, **fields})


async def keep(sessions: Sessions, *shadows: NewShadow, most: int = 100) -> Picked:
    picked, intake = Picked(*shadows), ShadowIntake(most=most)
    intake.attach(picked)
    async with sessions.write(OPERATOR) as session:
        await intake.post(session, [RECORD])
    return picked


async def oldest(work: StoredShadowWork) -> StoredShadow:
    return (await work.waiting())[0].shadow


async def claim(work: StoredShadowWork, shadow: StoredShadow | None = None, **more: Any) -> Claim | None:
    asked: dict[str, Any] = {"lease_ms": LEASE, "nano": 0, "cap_nano": None, **more}
    return await work.claim(shadow or await oldest(work), "w1", **asked)


async def one(sessions: Sessions, id: str = "shd_0001") -> dict[str, Any]:
    found = await StoredShadowPages(sessions).find(id)
    assert found is not None
    return dict(found)


async def days(sessions: Sessions) -> tuple[int, int]:
    async with sessions.read(OPERATOR) as session:
        row = (await session.execute(select(SHADOW_DAYS.c.spent_nano, SHADOW_DAYS.c.held_nano))).one()
    return row.spent_nano, row.held_nano


async def test_a_source_has_one_shadow_of_each_candidate_however_often_it_is_stored(sessions: Sessions) -> None:
    assert (await keep(sessions, new(1), new(2))).kept_ids == ["shd_0001", "shd_0002"]
    again = await keep(
        sessions, new(3, source_id="req_1"), new(4, source_id="req_1", model="other"), new(5, source_id="req_1", tenant_id="ten_2")
    )  # fmt: skip
    assert (again.kept_ids, again.dropped_ids) == (["shd_0004", "shd_0005"], [])


async def test_beyond_the_backlog_nothing_is_kept_and_that_is_said(sessions: Sessions) -> None:
    first = await keep(sessions, new(1), new(2), new(3), most=2)
    assert (first.kept_ids, first.dropped_ids) == (["shd_0001", "shd_0002"], ["shd_0003"])
    work = StoredShadowWork(sessions)
    await work.drop(await oldest(work), Why.EXPIRED)
    assert (await keep(sessions, new(4), new(5), most=2)).dropped_ids == ["shd_0005"]


async def test_the_oldest_of_each_task_and_candidate_is_told_with_its_request_and_how_many_wait(
    sessions: Sessions,
) -> None:
    await keep(sessions, new(1), new(2), new(3, model="other"), new(4, task_type="tax"))
    waiting = await StoredShadowWork(sessions).waiting()
    found = {(each.shadow.task_type, each.shadow.model): (each.shadow.id, each.count) for each in waiting}
    assert found == {("mail", "rival"): ("shd_0001", 2), ("mail", "other"): ("shd_0003", 1), ("tax", "rival"): ("shd_0004", 1)}  # fmt: skip
    assert {each.shadow.request for each in waiting} == {b'{"model":"rival"}'}


async def test_however_many_reach_for_one_a_single_one_has_it(sessions: Sessions) -> None:
    await keep(sessions, new(1))
    work = StoredShadowWork(sessions)
    shadow = await oldest(work)
    claims = await asyncio.gather(*(claim(work, shadow) for _ in range(8)))
    assert sum(each is not None for each in claims) == 1
    assert await work.waiting() == []


async def test_an_end_is_written_once_and_only_under_its_own_fence(sessions: Sessions) -> None:
    await keep(sessions, new(1))
    work = StoredShadowWork(sessions)
    held = await claim(work)
    assert held is not None
    stale = msgspec.structs.replace(held, fence=held.fence + 1)
    done = Ended(
        status=ShadowStatus.COMPLETE, nano=7, answer=b'{"response":"so"}', model_used="rival", backend="b", tokens_in=3,
        tokens_out=4, latency_ms=5,
    )  # fmt: skip
    assert not await work.end(stale, done)
    assert await work.end(held, done)
    assert not await work.end(held, done)
    found = await one(sessions)
    assert (found["status"], found["cost_usd"], found["tokens_out"]) == ("complete", "0.000000007", 4)
    assert found["answer"] == {"response": "so"}
    assert found["finished_ms"] is not None


async def test_one_that_is_given_back_waits_again_with_what_it_cost_and_failed(sessions: Sessions) -> None:
    await keep(sessions, new(1))
    work = StoredShadowWork(sessions)
    for failed in (False, True):
        held = await claim(work)
        assert held is not None
        assert await work.end(held, Ended(status=ShadowStatus.PENDING, nano=5, failed=failed))
    again = await oldest(work)
    assert (again.fence, again.attempts) == (2, 1)
    assert (await one(sessions))["cost_usd"] == "0.00000001"


async def test_many_at_once_never_spend_more_than_the_cap_and_what_is_not_used_can_be_used(sessions: Sessions) -> None:
    """30 of which each may cost 10 and costs 4, under a cap of 45: at most four at once, and never more than 45 in all."""
    await keep(sessions, *(new(number, source_id=f"req_{number}") for number in range(30)))
    works = [StoredShadowWork(sessions) for _ in range(4)]
    over: list[int] = []

    async def run(work: StoredShadowWork) -> None:
        while waiting := await work.waiting():
            try:
                held = await claim(work, waiting[0].shadow, nano=10, cap_nano=45)
            except CapReached:
                continue
            if held is not None:
                spent, promised = await days(sessions)
                over.append(spent + promised)
                await work.end(held, Ended(status=ShadowStatus.COMPLETE, nano=4))

    await asyncio.gather(*(run(work) for work in works))
    assert max(over) <= 45
    spent, promised = await days(sessions)
    page = await StoredShadowPages(sessions).page(ShadowQuery(limit=200))
    complete = [each for each in page if each["status"] == "complete"]
    assert (spent, promised) == (4 * len(complete), 0)
    assert len(complete) >= 4  # one after the other: 4 spent each time, until 36 leave no room for 10
    assert {each["error_code"] for each in page if each["status"] == "dropped"} <= {"daily_cap"}
    assert len(page) == 30


async def test_the_caps_of_two_candidates_are_two_caps(sessions: Sessions) -> None:
    await keep(sessions, new(1), new(2, model="other"))
    work = StoredShadowWork(sessions)
    for each in await work.waiting():
        assert await claim(work, each.shadow, nano=10, cap_nano=10) is not None


async def test_what_nobody_holds_any_more_is_taken_up_again_and_after_two_crashes_not(sessions: Sessions) -> None:
    await keep(sessions, new(1))
    work = StoredShadowWork(sessions)
    for swept in (0, 1):
        held = await claim(work, lease_ms=-1, nano=3)
        assert held is not None
        ended = await work.sweep(older_than_ms=DAY, most_attempts=2)
        assert len(ended) == swept
        assert not await work.end(held, Ended(status=ShadowStatus.COMPLETE))
    found = await one(sessions)
    assert (found["status"], found["error_code"]) == ("failed", "crashed")
    assert await days(sessions) == (6, 0)  # what they cost nobody knows


async def test_one_that_is_renewed_is_not_taken_away(sessions: Sessions) -> None:
    await keep(sessions, new(1))
    work = StoredShadowWork(sessions)
    held = await claim(work, lease_ms=-1)
    assert held is not None
    await work.renew([held], lease_ms=LEASE)
    await work.sweep(older_than_ms=DAY, most_attempts=2)
    assert await work.end(held, Ended(status=ShadowStatus.COMPLETE))


async def test_one_that_has_waited_too_long_is_dropped_without_its_text(sessions: Sessions) -> None:
    await keep(sessions, new(1), new(2))
    async with sessions.write(OPERATOR) as session:
        await session.execute(
            update(SHADOWS).where(SHADOWS.c.id == "shd_0001").values(created_ms=session.now_ms - DAY - 1000)
        )
    (swept,) = await StoredShadowWork(sessions).sweep(older_than_ms=DAY, most_attempts=2)
    assert (swept.status, swept.reason) == (ShadowStatus.DROPPED, "expired")
    found = await one(sessions)
    assert (found["status"], found["request"]) == ("dropped", None)
    assert (await one(sessions, "shd_0002"))["status"] == "pending"


async def test_what_a_worker_holds_can_be_given_back_all_at_once(sessions: Sessions) -> None:
    await keep(sessions, new(1), new(2, model="other"))
    work = StoredShadowWork(sessions)
    first, second = (each.shadow for each in await work.waiting())
    await work.claim(first, "w1", lease_ms=LEASE, nano=0, cap_nano=None)
    await work.claim(second, "w2", lease_ms=LEASE, nano=0, cap_nano=None)
    await work.release("w1")
    assert [each.shadow.id for each in await work.waiting()] == [first.id]
    await work.release(None)
    assert {each.shadow.attempts for each in await work.waiting()} == {0}


async def test_old_ones_are_deleted_and_for_ever_is_for_ever(sessions: Sessions) -> None:
    await keep(sessions, new(1), new(2))
    async with sessions.write(OPERATOR) as session:
        await session.execute(
            update(SHADOWS).where(SHADOWS.c.id == "shd_0001").values(created_ms=session.now_ms - 30 * DAY - 1000)
        )
        days = [
            day_of(int((await session.execute(select(session.now_ms))).scalar_one()) - age * DAY) for age in (0, 40)
        ]
        for day in days:
            spent = {"day": day, "task_type": "mail", "model": "rival", "spent_nano": 5, "held_nano": 0}
            await session.execute(insert(SHADOW_DAYS).values(spent))
    assert await purge_shadows(sessions, None)(limit=10) == 0
    assert await purge_shadows(sessions, 30)(limit=10) == 1
    async with sessions.read(OPERATOR) as session:
        assert (await session.execute(select(SHADOW_DAYS.c.day))).scalars().all() == days[:1]
    assert [each["id"] for each in await StoredShadowPages(sessions).page(ShadowQuery())] == ["shd_0002"]


async def test_pages_are_newest_first_by_task_and_status(sessions: Sessions) -> None:
    await keep(sessions, *(new(number) for number in range(5)), new(9, task_type="tax"))
    pages = StoredShadowPages(sessions)
    assert [each["id"] for each in await pages.page(ShadowQuery(limit=2))] == ["shd_0009", "shd_0004"]
    assert [each["id"] for each in await pages.page(ShadowQuery(limit=2, before="shd_0004"))] == [
        "shd_0003",
        "shd_0002",
    ]
    assert [each["id"] for each in await pages.page(ShadowQuery(task_type="tax"))] == ["shd_0009"]
    assert await pages.page(ShadowQuery(status="complete")) == []


async def test_texts_are_sealed_at_rest_and_read_under_the_same_secret_only(database: Database) -> None:
    sealer = Sealer(Secret("a-secret-of-at-least-32-characters"), entropy=lambda size: b"\1" * size)
    sessions = Sessions(database, sealer=sealer)
    await keep(sessions, new(1, request=b'{"prompt":"a secret"}'))
    work = StoredShadowWork(sessions)
    held = await claim(work)
    assert held is not None
    assert held.shadow.request == b'{"prompt":"a secret"}'
    await work.end(held, Ended(status=ShadowStatus.COMPLETE, answer=b'{"response":"a secret"}'))
    async with sessions.read(OPERATOR) as session:
        row = (await session.execute(select(SHADOWS.c.request, SHADOWS.c.answer))).one()
    assert b"secret" not in row.request + row.answer
    assert (await one(sessions))["answer"] == {"response": "a secret"}
    assert (await one(Sessions(database)))["answer"] is None


async def test_a_tenant_sees_its_own_alone_whatever_the_filter_says(database: Database) -> None:
    await keep(Sessions(database), new(1), new(2, tenant_id="ten_2"))
    unfiltered = Sessions(database, filtered=False)
    async with unfiltered.read(Tenant("ten_2")) as session:
        if session.connection.dialect.name == "sqlite":
            pytest.skip("SQLite has no row-level security")
        assert (await session.execute(select(SHADOWS.c.id))).scalars().all() == ["shd_0002"]
        assert (await session.execute(select(func.count()).select_from(SHADOWS))).scalar_one() == 1


async def test_a_task_type_with_an_odd_character_is_no_obstacle(sessions: Sessions) -> None:
    await keep(sessions, new(1, task_type="ma\0il"))
    work = StoredShadowWork(sessions)
    held = await claim(work, nano=5, cap_nano=5)
    assert held is not None
    await work.end(held, Ended(status=ShadowStatus.COMPLETE, nano=5))
    assert await days(sessions) == (5, 0)


class Slices:
    """A chooser that chooses nothing, and knows what it was asked at a time."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def choose(self, records: Sequence[ExchangeRecord]) -> Sequence[NewShadow]:
        self.asked.append([record.id for record in records])
        return ()

    def kept(self, shadows: Sequence[NewShadow], *, dropped: Sequence[NewShadow]) -> None:
        raise AssertionError("nothing was chosen")


async def test_a_batch_of_large_bodies_is_chosen_of_in_slices_and_every_record_once(sessions: Sessions) -> None:
    large = msgspec.structs.replace(RECORD, request_body=b"x" * 300_000)
    sent = (RECORD, large, RECORD, RECORD, large, RECORD)
    batch = [msgspec.structs.replace(record, id=str(number)) for number, record in enumerate(sent)]
    seen, intake = Slices(), ShadowIntake()
    intake.attach(seen)
    async with sessions.write(OPERATOR) as session:
        await intake.post(session, batch)
        await intake.post(session, batch[2:4])
    assert seen.asked == [["0", "1"], ["2", "3", "4"], ["5"], ["2", "3"]]
