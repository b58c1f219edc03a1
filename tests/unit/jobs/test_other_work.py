"""Work that is no chat: room of its own, its steps told, and what becomes of a kind that a worker has no hand for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import UpstreamFailed
from junto.core.exchange import ExchangeRecord
from junto.jobs.executor import Executor
from junto.jobs.failures import Static
from junto.jobs.following import Follower
from junto.jobs.news import News
from junto.jobs.views import shown
from junto.ports.jobs import Claim, Kind, Retry, Room, Status
from junto.ports.works import Done
from junto.worker.worker import Worker
from tests.unit.gateway.one_backend import StillClock
from tests.unit.jobs.claims import a_claim
from tests.unit.jobs.test_executor import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

pytestmark = pytest.mark.anyio


def spoken(id: str = "job_1", **fields: Any) -> Claim:
    claim = a_claim(id=id)
    job = msgspec.structs.replace(claim.job, kind=Kind.SPEECH, local=False, **fields)
    return msgspec.structs.replace(claim, job=job)


class Queue:
    """Pending jobs, claimed as databases do: in their order, as far as there is room."""

    def __init__(self, *kinds: Kind) -> None:
        self.waiting = [
            spoken(f"job_{n}") if kind is Kind.SPEECH else a_claim(id=f"job_{n}") for n, kind in enumerate(kinds)
        ]
        self.rooms: list[Room] = []

    async def claim(
        self, worker: str, room: Room, *, lease_ms: int, limit: int = 1, prefer: Any = ()
    ) -> Sequence[Claim]:
        self.rooms.append(room)
        looked = [claim for claim in self.waiting if claim.job.kind is Kind.CHAT or room.speech > 0][:limit]
        speech = [claim for claim in looked if claim.job.kind is Kind.SPEECH]
        taken = [claim for claim in looked if claim not in speech[room.speech :]]
        self.waiting = [claim for claim in self.waiting if claim not in taken]
        return taken


class Running:
    """Implements what a worker needs of Runs; nothing ends."""

    worker, lease_ms, most = "w", 1000, 500

    def __init__(self) -> None:
        self.begun: list[Claim] = []

    @property
    def free(self) -> int:
        return self.most - len(self.begun)

    @property
    def local(self) -> Sequence[str]:
        return ()

    @property
    def speaking(self) -> int:
        return sum(claim.job.kind is Kind.SPEECH for claim in self.begun)

    def begin(self, claim: Claim, *, since: float) -> None:
        self.begun.append(claim)


def worker(queue: Queue, runs: Running, speech: int) -> Worker:
    house = Bench().house
    return Worker(queue, runs, None, current=house.pipeline._current, clock=StillClock(), speech=lambda: speech)  # type: ignore[arg-type]


async def test_chats_behind_speech_that_has_no_room_are_claimed() -> None:
    queue, runs = Queue(*[Kind.SPEECH] * 40, Kind.CHAT, Kind.CHAT), Running()
    await worker(queue, runs, 2).claim_all()
    assert [claim.job.kind for claim in runs.begun].count(Kind.SPEECH) == 2
    assert [claim.job.kind for claim in runs.begun].count(Kind.CHAT) == 2
    assert len(queue.waiting) == 38


async def test_a_worker_that_cannot_speak_never_asks_for_speech() -> None:
    queue, runs = Queue(Kind.SPEECH, Kind.CHAT), Running()
    await worker(queue, runs, 0).claim_all()
    assert {room.speech for room in queue.rooms} == {0}
    assert [claim.job.kind for claim in runs.begun] == [Kind.CHAT]


async def test_speech_that_runs_takes_room_from_speech_only() -> None:
    queue, runs = Queue(Kind.SPEECH, Kind.SPEECH, Kind.SPEECH), Running()
    working = worker(queue, runs, 2)
    assert await working.claim_all() == 2
    assert await working.claim_all() == 0
    runs.begun.pop()
    assert await working.claim_all() == 1


class Counting:
    """A work of three steps, and the attempt at it; `fails` at the second."""

    tokens = 0

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.record: ExchangeRecord | None = None
        self.stepped: Callable[[], Awaitable[None]]

    def attempt(self, claim: Claim, *, id: str, stepped: Callable[[], Awaitable[None]]) -> Counting:
        self.stepped = stepped
        return self

    async def run(self) -> Done:
        for step in range(3):
            if step and self.fails:
                raise UpstreamFailed("It broke.")
            await self.stepped()
        record = ExchangeRecord(
            id="r",
            started_ms=0,
            wire="w",
            operation="o",
            requested_model="m",
            sensitivity="internal",
            model="m",
            output_tokens=9,
        )
        return Done(answer=b'{"response":"done"}', record=record)

    async def watch(self, *, fence: int, offset: int) -> None: ...


def executor(bench: Bench, work: Counting | None) -> Executor:
    return Executor(
        bench.house.pipeline,
        bench.store,
        bench.leases,
        news=bench.news,
        failures=Static(lambda: 0.0),
        observer=bench.observer,
        clock=bench.house.clock,
        make_id=lambda kind: f"{kind}_1",
        keeps_bodies=lambda _: True,
        works={} if work is None else {Kind.SPEECH: work},
        write_again=0.001,
    )


async def test_a_work_is_ended_as_a_chat_is_and_tells_its_steps() -> None:
    bench = Bench()
    bench.news.start()
    with bench.news.listening("job_1") as listener:
        await executor(bench, Counting()).run(spoken(), since=0.0)
        told = [await listener.next(1.0) for _ in range(5)]
    assert [(one.status, one.stepped) for one in told if one is not None] == [
        ("running", False),
        *[("", True)] * 3,
        ("complete", False),
    ]
    assert bench.store.ending.status is Status.COMPLETE
    assert (bench.store.ending.answer, bench.store.ending.usage.output) == (b'{"response":"done"}', 9)
    bench.news.stop()


async def test_a_work_that_fails_is_tried_again_by_the_same_rules() -> None:
    bench = Bench()
    await executor(bench, Counting(fails=True)).run(spoken(), since=0.0)
    ((what, retry),) = bench.store.told
    assert isinstance(retry, Retry)
    assert (what, retry.error_code, retry.counts) == ("retry", "upstream_failed", True)


async def test_a_kind_that_nobody_here_does_is_given_back_and_costs_no_attempt() -> None:
    bench = Bench()
    await executor(bench, None).run(spoken(), since=0.0)
    ((what, retry),) = bench.store.told
    assert isinstance(retry, Retry)
    assert (what, retry.counts) == ("retry", False)


async def test_whoever_follows_hears_of_each_step() -> None:
    news, job = News(MemorySignals()), spoken(steps=2).job
    states = [msgspec.structs.replace(job, steps_done=done) for done in (0, 1, 2)]
    states.append(msgspec.structs.replace(states[-1], status=Status.COMPLETE, answer=b'{"response":"x"}'))

    class Store:
        async def find(self, *_: Any) -> Any:
            return states.pop(0) if len(states) > 1 else states[0]

    news.start()
    following = Follower(Store(), news, StillClock()).follow(job, watcher="a")  # type: ignore[arg-type]
    heard = [await anext(following)]
    for _ in range(3):
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        while not waiting.done():
            await news.stepped(job.id)
            await asyncio.sleep(0)
        heard.append(await waiting)
    assert [name for name, _ in heard] == ["status", "progress", "progress", "end"]
    assert [data["progress"] for name, data in heard if name == "progress"] == [
        {"done": 1, "of": 2},
        {"done": 2, "of": 2},
    ]
    await following.aclose()
    news.stop()


def test_a_job_with_steps_shows_them_while_it_is_not_over() -> None:
    job = spoken(steps=5, steps_done=2, tokens_so_far=100).job
    view = shown(job)
    assert view["progress"] == {"done": 2, "of": 5}
    assert "tokens_so_far" not in view
    assert "progress" not in shown(a_claim().job)
