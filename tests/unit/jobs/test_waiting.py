"""A caller that waits for its job, without a database."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import Overloaded
from junto.jobs.news import News
from junto.jobs.service import Jobs
from junto.ports.jobs import Job, Status
from tests.unit.jobs.claims import a_claim

pytestmark = pytest.mark.anyio


class Store:
    """Finds a job that runs, is away for the next looks, and finds it complete after them."""

    def __init__(self, job: Job, news: News, *, away: int) -> None:
        self._job = job
        self._news = news
        self._away = away
        self.looks = 0

    async def find(self, _tenant_id: str, job_id: str) -> Job:
        self.looks += 1
        await self._news.changed(job_id, Status.COMPLETE.value)  # so that nobody waits for the next look
        if self.looks == 1:
            return self._job
        if self.looks <= 1 + self._away:
            raise Overloaded("The database does not answer right now.")
        return msgspec.structs.replace(self._job, status=Status.COMPLETE)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now

    def wall_ms(self) -> int:
        return 0


def jobs_over(store: Store, news: News) -> Jobs:
    rest = ("planner", "runs", "queue", "guard", "current", "observer", "make_id", "admit", "end_overdue")
    return Jobs(cast("Any", store), news=news, clock=Clock(), **cast("Any", dict.fromkeys(rest)))


async def test_whoever_waits_goes_on_waiting_while_the_database_is_away() -> None:
    news = News(MemorySignals())
    news.start()
    job = a_claim().job
    store = Store(job, news, away=3)
    ended = await jobs_over(store, news).wait(job, 60.0)
    assert ended.status is Status.COMPLETE
    assert store.looks == 5


async def test_the_job_is_told_as_it_last_stood_when_the_time_is_over_and_the_database_still_away() -> None:
    news = News(MemorySignals())
    news.start()
    job = a_claim().job
    store = Store(job, news, away=1_000)
    waited = await jobs_over(store, news).wait(job, 2.0)
    assert waited == job


async def test_an_end_that_this_process_wrote_down_is_told_without_another_look() -> None:
    news = News(MemorySignals())
    news.start()
    job = a_claim().job
    done = msgspec.structs.replace(job, status=Status.COMPLETE)

    class Ending(Store):
        async def find(self, _tenant_id: str, job_id: str) -> Job:
            self.looks += 1
            news.ended_here(done)
            await news.changed(job_id, Status.COMPLETE.value)
            return job

    store = Ending(job, news, away=0)
    assert await jobs_over(store, news).wait(job, 60.0) is done
    assert store.looks == 1


class Late:
    """A store whose job waits beyond its deadline until somebody ends it; `behind` looks later, by its own clock, it is over."""

    def __init__(self, job: Job, news: News, behind: int = 0) -> None:
        self._job = job
        self._news = news
        self._behind = behind
        self.asked = 0

    async def find(self, _tenant_id: str, job_id: str) -> Job:
        await self._news.changed(job_id, Status.COMPLETE.value)  # so that nobody waits for the next look
        return self._job

    async def end_overdue(self) -> None:
        self.asked += 1
        if self.asked > self._behind:
            self._job = msgspec.structs.replace(self._job, status=Status.FAILED, error_code="deadline_passed")


class Ticking(Clock):
    """Whoever looks at the clock sees time pass."""

    def wall_ms(self) -> int:
        return int(self.monotonic() * 1000)


@pytest.mark.parametrize("behind", [0, 1])
async def test_whoever_waits_for_a_job_hears_of_its_deadline_without_a_sweep(behind: int) -> None:
    news = News(MemorySignals())
    news.start()
    job = msgspec.structs.replace(a_claim().job, status=Status.PENDING, deadline_ms=150)
    store = Late(job, news, behind)
    rest = ("planner", "runs", "queue", "guard", "current", "observer", "make_id", "admit")
    given = cast("Any", {**dict.fromkeys(rest), "end_overdue": store.end_overdue})
    jobs = Jobs(cast("Any", store), news=news, clock=Ticking(), **given)
    ended = await jobs.wait(job, 60.0)
    assert (ended.status, ended.error_code, store.asked) == (Status.FAILED, "deadline_passed", behind + 1)


async def test_a_job_that_runs_is_not_ended_by_who_waits_for_it() -> None:
    news = News(MemorySignals())
    news.start()
    job = msgspec.structs.replace(a_claim().job, status=Status.RUNNING, deadline_ms=1)
    store = Late(job, news)
    rest = ("planner", "runs", "queue", "guard", "current", "observer", "make_id", "admit")
    given = cast("Any", {**dict.fromkeys(rest), "end_overdue": store.end_overdue})
    waited = await Jobs(cast("Any", store), news=news, clock=Ticking(), **given).wait(job, 1.0)
    assert (waited, store.asked) == (job, 0)
