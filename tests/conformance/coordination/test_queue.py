"""The doorbell of the jobs behaves the same within one process and over a real Redis, and outlives the loss of Redis."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from junto.coordination.queue_local import LocalJobQueue
from junto.coordination.queue_on_demand import QueueOnDemand
from junto.coordination.queue_taskiq import RedisJobQueue
from junto.core.secret import Secret
from tests.conformance.coordination.waiting import until
from tests.conformance.redis_server import RedisServer, running_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from junto.ports.queue import JobQueue

pytestmark = pytest.mark.anyio

CAPACITY = 50


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(params=["local", "on demand", "redis"])
async def queue(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[JobQueue]:
    made: JobQueue
    if request.param == "local":
        made = LocalJobQueue(capacity=CAPACITY)
    elif request.param == "on demand":
        made = QueueOnDemand(lambda: LocalJobQueue(capacity=CAPACITY))
    else:
        redis.flush()
        made = RedisJobQueue(Secret(redis.url), capacity=CAPACITY)
    try:
        yield made
    finally:
        await made.close()


class Worker:
    """Takes hints, counts how many run at once, and ends each when the test says so."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.seen: list[tuple[str, str]] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self.running = 0
        self.most = 0
        self.let_go = asyncio.Event()
        if at_once:
            self.let_go.set()

    async def __call__(self, tenant_id: str, job_id: str) -> None:
        self.seen.append((tenant_id, job_id))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.let_go.wait()
            self.finished.append(job_id)
        except asyncio.CancelledError:
            self.cancelled.append(job_id)
            raise
        finally:
            self.running -= 1


async def test_what_is_published_is_handed_over_with_its_tenant(queue: JobQueue) -> None:
    worker = Worker()
    assert await queue.publish("tenant-a", "job-1")
    await queue.start(worker, concurrency=4)
    assert await queue.publish("tenant-b", "job-2")
    await until(lambda: len(worker.finished) == 2)
    assert worker.seen == [("tenant-a", "job-1"), ("tenant-b", "job-2")]


async def test_publishing_needs_no_receiver_and_depth_says_how_many_wait(queue: JobQueue) -> None:
    assert await queue.depth() == 0
    for number in range(3):
        assert await queue.publish("t", str(number))
    assert await queue.depth() == 3
    worker = Worker()
    await queue.start(worker, concurrency=4)
    await until(lambda: len(worker.finished) == 3)
    assert await queue.depth() == 0


async def test_no_more_than_the_concurrency_run_at_once_and_the_others_stay_in_the_queue(queue: JobQueue) -> None:
    """Nothing is fetched ahead: another process may take what this one has no room for."""
    worker = Worker(at_once=False)
    await queue.start(worker, concurrency=3)
    for number in range(10):
        assert await queue.publish("t", str(number))
    await until(lambda: worker.running == 3)
    await asyncio.sleep(0.05)  # time for a fourth that would be wrong
    assert worker.running == 3
    assert await queue.depth() == 7
    worker.let_go.set()
    await until(lambda: len(worker.finished) == 10)
    assert worker.most == 3


async def test_hundreds_wait_in_one_process(queue: JobQueue) -> None:
    worker = Worker(at_once=False)
    await queue.start(worker, concurrency=300)
    published = 0
    while published < 300:
        published += await queue.publish("t", str(published))
        await asyncio.sleep(0)
    await until(lambda: worker.running == 300)
    worker.let_go.set()
    await until(lambda: len(worker.finished) == 300)


async def test_a_full_queue_says_so(queue: JobQueue) -> None:
    for number in range(CAPACITY):
        assert await queue.publish("t", str(number))
    assert not await queue.publish("t", "one too many")
    assert await queue.depth() == CAPACITY


async def test_a_hint_that_comes_twice_is_handed_over_twice(queue: JobQueue) -> None:
    worker = Worker()
    await queue.publish("t", "job")
    await queue.publish("t", "job")
    await queue.start(worker, concurrency=2)
    await until(lambda: worker.finished == ["job", "job"])


async def test_what_a_handler_raises_ends_nothing(queue: JobQueue) -> None:
    served: list[str] = []

    async def fails(tenant_id: str, job_id: str) -> None:
        served.append(job_id)
        if job_id != "good":
            raise RuntimeError(job_id)

    await queue.start(fails, concurrency=1)
    for number in range(5):
        await queue.publish("t", f"bad {number}")
    await queue.publish("t", "good")
    await until(lambda: served[-1:] == ["good"])
    assert len(served) == 6


async def test_stopping_waits_for_what_runs_and_takes_nothing_more(queue: JobQueue) -> None:
    worker = Worker(at_once=False)
    await queue.start(worker, concurrency=2)
    await queue.publish("t", "running")
    await until(lambda: worker.running == 1)
    stopping = asyncio.create_task(queue.stop(grace=10))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    assert await queue.publish("t", "late")
    worker.let_go.set()
    await stopping
    assert worker.finished == ["running"]
    assert await queue.depth() == 1


async def test_after_the_grace_what_still_runs_is_cancelled_and_stopping_twice_is_fine(queue: JobQueue) -> None:
    worker = Worker(at_once=False)
    await queue.start(worker, concurrency=2)
    await queue.publish("t", "endless")
    await until(lambda: worker.running == 1)
    await queue.stop(grace=0.01)
    assert worker.cancelled == ["endless"]
    await queue.stop(grace=0.01)


async def test_it_receives_once_at_a_time_and_again_after_a_stop(queue: JobQueue) -> None:
    first, second = Worker(), Worker()
    await queue.start(first, concurrency=1)
    with pytest.raises(RuntimeError):
        await queue.start(second, concurrency=1)
    await queue.stop(grace=1)
    await queue.start(second, concurrency=1)
    await queue.publish("t", "job")
    await until(lambda: second.finished == ["job"])
    assert first.finished == []


async def test_receiving_leaves_the_process_signals_alone(queue: JobQueue) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    await queue.start(Worker(), concurrency=1)
    await queue.publish("t", "job")
    await asyncio.sleep(0)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_message_is_json_and_carries_the_two_ids_only(redis: RedisServer) -> None:
    redis.flush()
    queue = RedisJobQueue(Secret(redis.url))
    try:
        await queue.publish("the tenant", "the job")
    finally:
        await queue.close()
    raw = redis.command("LINDEX", "junto:jobs", "0").split(b"\r\n", 1)[1].rsplit(b"\r\n", 1)[0]
    message = json.loads(raw)
    assert message["args"] == ["the tenant", "the job"]
    assert message["kwargs"] == message["labels"] == {}


@pytest.mark.parametrize("rubbish", ["not json", '{"task_name": "os.system", "task_id": "1"}', "[]"])
async def test_what_is_not_a_hint_in_the_list_is_thrown_away(redis: RedisServer, rubbish: str) -> None:
    redis.flush()
    queue, worker = RedisJobQueue(Secret(redis.url)), Worker()
    await queue.start(worker, concurrency=1)
    try:
        redis.command("LPUSH", "junto:jobs", rubbish)
        await queue.publish("t", "good")
        await until(lambda: worker.finished == ["good"])
    finally:
        await queue.close()


async def test_two_processes_share_the_hints_and_each_is_handed_over_once(redis: RedisServer) -> None:
    redis.flush()
    one, two = RedisJobQueue(Secret(redis.url)), RedisJobQueue(Secret(redis.url))
    workers = Worker(), Worker()
    try:
        await one.start(workers[0], concurrency=2)
        await two.start(workers[1], concurrency=2)
        for number in range(40):
            assert await one.publish("t", str(number))
        await until(lambda: sum(len(worker.finished) for worker in workers) == 40)
        assert Counter(workers[0].finished + workers[1].finished) == Counter(str(number) for number in range(40))
    finally:
        await one.close()
        await two.close()


@pytest.mark.parametrize("loss", ["kill", "freeze"])
async def test_without_a_broker_publishing_says_false_and_receiving_goes_on_when_it_is_back(
    redis: RedisServer, loss: str
) -> None:
    redis.flush()
    queue, worker = RedisJobQueue(Secret(redis.url)), Worker()
    lose: Callable[[], None] = redis.kill if loss == "kill" else redis.freeze
    bring_back: Callable[[], None] = redis.start if loss == "kill" else redis.thaw
    await queue.start(worker, concurrency=1)
    try:
        await queue.publish("t", "before")
        await until(lambda: worker.finished == ["before"])
        lose()
        try:
            assert not await queue.publish("t", "away")
            assert await queue.depth() is None
        finally:
            bring_back()
        while not await queue.publish("t", "after"):  # noqa: ASYNC110  nobody says when
            await asyncio.sleep(0.05)
        await until(lambda: "after" in worker.finished)
    finally:
        await queue.close()


async def test_a_broker_that_is_away_at_the_start_is_found_later(redis: RedisServer) -> None:
    redis.kill()
    queue, worker = RedisJobQueue(Secret(redis.url)), Worker()
    try:
        await queue.start(worker, concurrency=1)
        assert not await queue.publish("t", "away")
        redis.start()
        while not await queue.publish("t", "after"):  # noqa: ASYNC110  nobody says when
            await asyncio.sleep(0.05)
        await until(lambda: worker.finished == ["after"])
    finally:
        redis.start()
        await queue.close()
