"""One claim, run to its end: whatever ends it, one write follows, and the fence decides whether it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import FailureKind, Overloaded, UpstreamFailure
from junto.jobs.calling import ChatWork
from junto.jobs.executor import Executor, reasons_of
from junto.jobs.failures import Static
from junto.jobs.leases import Leases
from junto.jobs.news import News, Told
from junto.jobs.runs import Runs
from junto.ports.jobs import Claim, Ending, Kind, OnCrash, Renewal, Retry, Status
from junto.providers.fake import Fake, Step, saying
from tests.unit.gateway.one_backend import MODEL, OneBackend
from tests.unit.jobs.claims import a_claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.observer import DispatchEnded, JobEnded
    from junto.ports.provider import Call, Clearance, Reply

pytestmark = pytest.mark.anyio


class Store:
    """A work store that writes down what it is told. `stale` turns every write away; `away` so many raise."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.stale = False
        self.away = 0
        self.held = 0
        self.room = 0
        self.lost: set[tuple[str, str, int]] = set()
        self.cancelled: set[tuple[str, str, int]] = set()

    def _say(self, what: str, value: Any) -> bool:
        if self.away:
            self.away -= 1
            raise Overloaded("away")
        if self.stale:
            return False
        self.told.append((what, value))
        return True

    async def finish(self, claim: Claim, ending: Ending) -> int | None:
        return 1 if self._say("finish", ending) else None

    async def retry(self, claim: Claim, retry: Retry) -> bool:
        return self._say("retry", retry)

    async def hold(self, claim: Claim, nano: int) -> bool:
        if self.away:
            self.away -= 1
            raise Overloaded("away")
        self.held = nano
        return nano <= self.room

    async def release(self, claim: Claim) -> bool:
        return self._say("release", claim.key)

    async def renew(self, claims: Sequence[tuple[Claim, int]], *, lease_ms: int) -> Sequence[Renewal]:
        if self.away:
            raise Overloaded("away")
        held = [claim for claim, _ in claims if claim.key not in self.lost]
        return [Renewal(claim.key, claim.key in self.cancelled) for claim in held]

    async def to_cancel(self, worker: str) -> Sequence[tuple[str, str, int]]:
        return list(self.cancelled)

    async def claim(self, *_: Any, **__: Any) -> Sequence[Claim]:
        return ()

    async def record_triage(self, decision: Any) -> None:
        """Nobody triages here."""

    @property
    def ending(self) -> Ending:
        [(what, ending)] = self.told
        assert what == "finish"
        return ending  # type: ignore[no-any-return]


class Observer:
    def __init__(self) -> None:
        self.ended: list[JobEnded] = []
        self.dispatched: list[DispatchEnded] = []
        self.fenced = 0
        self.lost = 0

    def job_submitted(self, **_: Any) -> None: ...

    def dispatch_ended(self, dispatch: DispatchEnded) -> None:
        self.dispatched.append(dispatch)

    def job_ended(self, job: JobEnded) -> None:
        self.ended.append(job)

    def lease_lost(self) -> None:
        self.lost += 1

    def write_fenced(self) -> None:
        self.fenced += 1

    def swept(self, **_: Any) -> None: ...

    def webhook_tried(self, **_: Any) -> None: ...


class Bench:
    """An executor in front of one scripted backend."""

    def __init__(self, *steps: Step, signals: MemorySignals | None = None) -> None:
        self.provider = Fake("desk", models=(MODEL,), script=steps or [Step(events=saying("Ada wrote programs."))])
        self.house = OneBackend(self.provider)
        self.store = Store()
        self.observer = Observer()
        self.news = News(signals or MemorySignals())
        self.leases = Leases(self.store, self.house.clock, worker="w", seconds=30.0)
        self.executor = Executor(
            self.house.pipeline,
            self.store,
            self.leases,
            news=self.news,
            failures=Static(lambda: 0.0),
            observer=self.observer,
            clock=self.house.clock,
            make_id=lambda kind: f"{kind}_1",
            keeps_bodies=lambda label: label == "internal",
            write_again=0.001,
        )

    def answered_by(self, house: OneBackend) -> None:
        """From now on another gateway answers."""
        chat = self.executor._works[Kind.CHAT]
        assert isinstance(chat, ChatWork)
        self.house, chat.pipeline = house, house.pipeline

    async def run(self, claim: Claim | None = None) -> None:
        await self.executor.run(claim or a_claim(), since=self.house.clock.now)

    def begin(self, claim: Claim | None = None) -> asyncio.Task[None]:
        return asyncio.create_task(self.run(claim))

    async def until_called(self) -> None:
        while not self.provider.replies:  # noqa: ASYNC110
            await asyncio.sleep(0)


SLOW = Step(events=saying("one two three four five six"), pause=0.02)
HANGS = Step(events=saying("one two"), pause=60.0)


async def test_an_answer_completes_the_job_with_what_was_used() -> None:
    bench = Bench()
    await bench.run()
    ending = bench.store.ending
    assert (ending.status, ending.answer) == (Status.COMPLETE, b'{"response":"Ada wrote programs."}')
    assert (ending.model, ending.backend, ending.finish_reason) == (MODEL, "desk", "stop")
    assert ending.usage.output > 0
    assert not ending.forget_request
    assert [(job.status, job.attempts) for job in bench.observer.ended] == [("complete", 1)]
    assert [each.outcome for each in bench.observer.dispatched] == ["ok"]
    assert len(bench.leases) == 0
    assert bench.house.busy == 0


async def test_the_exchange_names_the_job_so_that_it_is_not_charged_twice() -> None:
    bench = Bench()
    await bench.run()
    assert [record.job_id for record in bench.house.shelf.records] == ["job_1"]


async def test_a_failure_that_may_pass_puts_the_job_back() -> None:
    bench = Bench(Step(failure=UpstreamFailure(FailureKind.SERVER)))
    await bench.run()
    [(what, retry)] = bench.store.told
    assert (what, retry.error_code, retry.counts) == ("retry", "all_backends_down", True)
    assert retry.reasons == (f"desk/{MODEL}: server",)
    assert bench.observer.ended == []


async def test_a_refusal_fails_the_job_at_no_cost() -> None:
    bench = Bench(Step(failure=UpstreamFailure(FailureKind.REJECTED, status=400)))
    await bench.run()
    ending = bench.store.ending
    assert (ending.status, ending.error_code, ending.cost_nano) == (Status.FAILED, "upstream_rejected", 0)
    assert ending.reasons == (f"desk/{MODEL}: rejected",)


async def test_an_answer_after_a_failure_says_what_failed_before_it() -> None:
    bench = Bench(Step(failure=UpstreamFailure(FailureKind.CONNECT)), Step(events=saying("Ada.")))
    await bench.run()
    assert (bench.store.ending.status, bench.store.ending.reasons) == (Status.COMPLETE, (f"desk/{MODEL}: connect",))


async def test_no_attempt_has_reasons_without_end() -> None:
    bounded = reasons_of(Overloaded("x", reasons=["y" * 1_000] * 1_000), None)
    assert (len(bounded), {len(reason) for reason in bounded}) == (32, {300})


async def test_a_cancelled_job_stops_its_upstream_and_tells_what_was_used() -> None:
    bench = Bench(SLOW)
    running = bench.begin()
    await bench.until_called()
    while bench.provider.replies[0].position < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    bench.leases.cancel("job_1")
    await running
    assert bench.store.ending.status is Status.CANCELLED
    assert bench.store.ending.usage.output > 0
    assert bench.provider.replies[0].closed


async def test_a_lost_lease_stops_the_upstream_and_writes_nothing() -> None:
    bench = Bench(HANGS)
    running = bench.begin()
    await bench.until_called()
    bench.store.lost.add(a_claim().key)
    await bench.leases.renew()
    await running
    assert bench.store.told == []
    assert bench.observer.lost == 1
    assert bench.house.busy == 0


async def test_who_cannot_renew_in_time_stops_before_the_lease_is_over() -> None:
    bench = Bench(HANGS)
    running = bench.begin()
    await bench.until_called()
    bench.house.clock.now += 28.0
    bench.leases.enforce()
    assert not running.done()
    bench.house.clock.now += 1.0
    bench.leases.enforce()
    await running
    assert bench.observer.lost == 1
    assert bench.store.told == []


async def test_a_renewal_gives_the_lease_its_time_again() -> None:
    bench = Bench(HANGS)
    running = bench.begin()
    await bench.until_called()
    bench.house.clock.now += 20.0
    await bench.leases.renew()
    bench.house.clock.now += 20.0
    bench.leases.enforce()
    assert not running.done()
    bench.leases.cancel("job_1")
    await running


async def test_a_cancellation_is_found_by_renewing_and_by_looking() -> None:
    for find in ("renew", "look"):
        bench = Bench(HANGS)
        running = bench.begin()
        await bench.until_called()
        bench.store.cancelled.add(a_claim().key)
        await getattr(bench.leases, find)()
        await running
        assert bench.store.ending.status is Status.CANCELLED


async def test_a_deadline_ends_the_job_while_it_answers() -> None:
    bench = Bench(HANGS)
    await bench.run(a_claim(remaining_ms=30))
    assert (bench.store.ending.status, bench.store.ending.error_code) == (Status.FAILED, "deadline_passed")


async def test_a_stale_end_is_counted_and_told_to_nobody() -> None:
    bench = Bench()
    bench.store.stale = True
    await bench.run()
    assert (bench.observer.fenced, bench.observer.ended) == (1, [])
    assert [each.outcome for each in bench.observer.dispatched] == ["fenced"]


async def test_an_end_is_written_when_the_database_is_back() -> None:
    bench = Bench()
    bench.store.away = 3
    await bench.run()
    assert bench.store.ending.status is Status.COMPLETE


async def test_a_worker_that_stops_gives_its_jobs_back_at_once() -> None:
    bench = Bench(HANGS)
    runs = Runs(bench.executor, bench.leases, most=2)
    runs.start()
    runs.begin(a_claim(), since=bench.house.clock.now)
    await bench.until_called()
    assert (runs.free, runs.local) == (1, [a_claim().job.model])
    await runs.stop(grace=0.0)
    assert bench.store.told == [("release", a_claim().key)]
    assert runs.free == 0
    assert bench.house.busy == 0


async def test_what_is_nearly_done_may_end_when_its_worker_stops() -> None:
    bench = Bench(SLOW)
    runs = Runs(bench.executor, bench.leases)
    runs.start()
    runs.begin(a_claim(), since=bench.house.clock.now)
    await bench.until_called()
    await runs.stop(grace=10.0)
    assert bench.store.ending.status is Status.COMPLETE


async def test_a_job_that_may_be_called_once_only_fails_when_its_worker_stops() -> None:
    bench = Bench(HANGS)
    runs = Runs(bench.executor, bench.leases)
    runs.start()
    runs.begin(a_claim(on_crash=OnCrash.FAIL), since=bench.house.clock.now)
    await bench.until_called()
    await runs.stop(grace=0.0)
    assert bench.store.ending.status is Status.FAILED


async def test_a_tier_that_keeps_no_bodies_forgets_what_was_asked() -> None:
    bench = Bench()
    claim = a_claim()
    public = msgspec.structs.replace(claim, job=msgspec.structs.replace(claim.job, sensitivity="confidential"))
    await bench.run(public)
    assert bench.store.ending.forget_request


async def test_text_is_told_while_somebody_watches_and_no_piece_twice() -> None:
    bench = Bench(SLOW)
    bench.news.start()
    bench.news.serve(on_watch=bench.executor.watched, on_cancel=bench.leases.cancel)
    text = ""
    with bench.news.listening("job_1") as listener:
        running = bench.begin()
        await bench.until_called()
        await bench.news.watch(Told(job_id="job_1"))
        while not running.done():
            told = await listener.next(0.1)
            if told is not None and told.text:
                assert told.offset <= len(text)
                text = text[: told.offset] + told.text
                await bench.news.watch(Told(job_id="job_1", fence=told.fence, offset=max(0, len(text) - 2)))
        await running
    assert "one two three four five six".startswith(text)
    assert len(text) > 5
    bench.news.stop()


async def test_a_job_whose_request_cannot_be_read_has_failed_and_nobody_is_asked() -> None:
    bench = Bench()
    claim = a_claim()
    await bench.run(msgspec.structs.replace(claim, job=msgspec.structs.replace(claim.job, request=b"")))
    ending = bench.store.ending
    assert (ending.status, ending.error_code) == (Status.FAILED, "unreadable")
    assert not bench.provider.calls


class Loading(Fake):
    """A backend that takes 2.5 seconds of its gateway's clock before each answer."""

    house: OneBackend

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        self.house.clock.now += 2.5
        return await super().open(clearance, call)


async def test_the_time_in_which_a_model_was_brought_into_memory_is_written_down() -> None:
    bench, backend = Bench(), Loading("desk", models=(MODEL,))
    backend.house = OneBackend(backend)
    backend.house.live.resident = frozenset()
    bench.answered_by(backend.house)
    await bench.run()
    assert bench.store.ending.swap_ms == 2_500
    assert [dispatch.swap_ms for dispatch in bench.observer.dispatched] == [2_500]


class Hanging(MemorySignals):
    """A broker that takes a message and never answers."""

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        del topic, payload
        await asyncio.Event().wait()


async def test_a_run_that_is_ended_while_it_tells_of_itself_leaves_nothing_behind() -> None:
    """An attempt that went on without it would have its lease renewed for ever, and nobody would write down its end."""
    bench = Bench(Step(events=saying("Ada"), pause=60.0), signals=Hanging())
    running = bench.begin()
    await bench.until_called()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.sleep(0)
    assert running.cancelled()
    assert len(bench.leases) == 0
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "job job_1"]
