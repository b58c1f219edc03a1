"""What one sweep puts right, without a database: all that ran out, and as much of what is old as keeps it short."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.jobs.news import News
from junto.jobs.sweeper import Sweeper
from junto.ports.jobs import Lapsed, Status
from tests.unit.jobs.claims import a_claim

pytestmark = pytest.mark.anyio

_DAY_MS = 24 * 3600 * 1000


class Store:
    """So many leases that are over, so many old jobs, and so many jobs that wait."""

    def __init__(self, *, lapsed: int = 0, old: int = 0, waiting: int = 0) -> None:
        self._lapsed = lapsed
        self._waiting = waiting
        self.old = old
        self.put_back = 0

    async def expire_leases(self, *, make_id: object, limit: int) -> list[Lapsed]:
        del make_id
        found = min(limit, self._lapsed - self.put_back)
        self.put_back += found
        job = a_claim().job
        return [Lapsed(job=job, status=Status.PENDING)] * found

    async def expire_deadlines(self, *, make_id: object, limit: int) -> list[Lapsed]:
        del make_id, limit
        return []

    async def waiting(self, *, limit: int) -> list[tuple[str, str]]:
        return [("default", f"job_{number}") for number in range(min(limit, self._waiting))]

    async def settle_orphans(self) -> int:
        return 0

    async def forget_keys(self, *, older_ms: int) -> int:
        assert older_ms == _DAY_MS
        return 0

    async def delete_ended(self, *, older_ms: int, limit: int) -> int:
        assert older_ms == _DAY_MS
        deleted = min(limit, self.old)
        self.old -= deleted
        return deleted


class Queue:
    """Takes so many hints, and no more."""

    def __init__(self, *, room: int) -> None:
        self._room = room
        self.asked = 0

    async def depth(self) -> int | None:
        return None

    async def publish(self, _tenant_id: str, _job_id: str) -> bool:
        self.asked += 1
        return self.asked <= self._room


class Observer:
    """Adds up what was swept."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def swept(self, *, what: str, count: int) -> None:
        self.counted[what] = self.counted.get(what, 0) + count


def sweeper_of(store: Store, queue: Queue | None = None) -> tuple[Sweeper, Observer]:
    observer = Observer()
    numbers = count(1)
    sweeper = Sweeper(
        cast("Any", store),
        cast("Any", queue or Queue(room=0)),
        news=News(MemorySignals()),
        observer=cast("Any", observer),
        make_id=lambda kind: f"{kind}_{next(numbers)}",
        retention_days=lambda: 1,
    )
    return sweeper, observer


@pytest.mark.parametrize("lost", [0, 99, 100, 101, 1_234])
async def test_one_sweep_puts_all_jobs_of_a_lost_worker_back(lost: int) -> None:
    """A worker may have had hundreds: that they run again within 40 s must not hang on how many sweeps they take."""
    store = Store(lapsed=lost)
    sweeper, observer = sweeper_of(store)
    await sweeper.sweep()
    assert store.put_back == lost
    assert observer.counted.get("requeued", 0) == lost


async def test_what_is_old_goes_as_fast_as_jobs_may_come() -> None:
    """A sweep deletes so much that leases are looked at in time, and the next one goes on where there is more."""
    store = Store(old=7_100)
    sweeper, observer = sweeper_of(store)
    sweeps = 0
    while store.old:
        await sweeper.sweep()
        sweeps += 1
    assert (sweeps, observer.counted["deleted"]) == (4, 7_100)
    assert 7_100 / (4 * 5.0) > 300  # a second


async def test_when_there_is_nothing_old_it_is_looked_for_now_and_then() -> None:
    store = Store()
    sweeper, _ = sweeper_of(store)
    await sweeper.sweep()
    store.old = 3
    for _ in range(11):
        await sweeper.sweep()
    assert store.old == 3
    await sweeper.sweep()
    assert store.old == 0


async def test_a_broker_that_takes_no_hint_is_not_asked_for_each_job() -> None:
    """Each would wait for it, and the next look at leases would come late."""
    queue = Queue(room=2)
    sweeper, observer = sweeper_of(Store(waiting=50), queue)
    await sweeper.sweep()
    assert (queue.asked, observer.counted["republished"]) == (3, 2)
