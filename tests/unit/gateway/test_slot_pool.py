"""Slots: taken once, given back once, on every way out, also on those that cross each other."""

from __future__ import annotations

import asyncio

import pytest

from junto.core.errors import FailureKind, UpstreamFailure
from junto.gateway.attempt import Attempt, Ending
from junto.gateway.exchange import Exchange
from junto.gateway.runtime import Target
from junto.gateway.slots import Slot, SlotPool
from junto.ports.observer import SwapEnded
from junto.providers.fake import Fake
from junto.telemetry.observers import Observers
from tests.unit.gateway.one_backend import OneBackend

pytestmark = pytest.mark.anyio


class Counter:
    """One backend's pool, and somebody to queue at it."""

    def __init__(self, slots: int, *, queue_limit: int = 9) -> None:
        self.gateway = OneBackend(Fake("desk"), slots=slots)
        self.live = self.gateway.live
        self.pool = SlotPool(self.live, clock=self.gateway.clock, queue_limit=queue_limit)
        runtime = self.gateway.pipeline._current.runtime
        self.target: Target = next(iter(runtime.targets.values()))

    def exchange(self) -> Exchange:
        """An admitted exchange."""
        return self.gateway.pipeline._admission.admit(
            self.gateway.arrival(), self.gateway.pipeline._current.runtime.default_sensitivity
        )

    async def take(self) -> Slot:
        """A slot, or a place in the queue until there is one."""
        return await self.pool.acquire(self.exchange(), self.target)

    @property
    def counts(self) -> tuple[int, int]:
        """Slots in use and places taken in the queue."""
        return self.live.in_use, self.live.queued


async def turns(count: int = 3) -> None:
    """Let others run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_slot_that_is_given_back_twice_is_given_back_once() -> None:
    counter = Counter(2)
    first, second = await counter.take(), await counter.take()
    assert counter.counts == (2, 0)
    first.release(5)
    first.release(5)
    assert counter.counts == (1, 0)
    second.release(0)
    assert counter.counts == (0, 0)


async def test_who_waits_gets_the_slot_that_is_given_back() -> None:
    counter = Counter(1)
    first = await counter.take()
    waiting = asyncio.create_task(counter.take())
    await turns()
    assert counter.counts == (1, 1)
    first.release(0)
    assert counter.counts == (1, 0)
    (await waiting).release(0)
    assert counter.counts == (0, 0)


async def test_who_leaves_the_queue_leaves_no_trace() -> None:
    counter = Counter(1)
    first = await counter.take()
    leaving, staying = asyncio.create_task(counter.take()), asyncio.create_task(counter.take())
    await turns()
    leaving.cancel()
    await turns()
    assert counter.counts == (1, 1)
    first.release(0)
    (await staying).release(0)
    assert leaving.cancelled()
    assert counter.counts == (0, 0)


async def test_a_slot_that_is_granted_to_one_who_is_just_leaving_goes_to_the_next() -> None:
    """The grant and the cancellation happen in one turn of the loop, in either order."""
    for granted_first in (True, False):
        counter = Counter(1)
        first = await counter.take()
        leaving, staying = asyncio.create_task(counter.take()), asyncio.create_task(counter.take())
        await turns()
        if granted_first:
            first.release(0)
            leaving.cancel()
        else:
            leaving.cancel()
            first.release(0)
        await turns()
        assert leaving.cancelled()
        assert staying.done()
        staying.result().release(0)
        assert counter.counts == (0, 0)


async def test_a_full_queue_takes_nobody_and_keeps_nothing_of_who_was_refused() -> None:
    counter = Counter(1, queue_limit=1)
    first = await counter.take()
    waiting = asyncio.create_task(counter.take())
    await turns()
    with pytest.raises(UpstreamFailure) as caught:
        await counter.take()
    assert caught.value.kind is FailureKind.QUEUE_FULL
    assert counter.counts == (1, 1)
    first.release(0)
    (await waiting).release(0)
    assert counter.counts == (0, 0)


async def test_more_slots_let_those_who_wait_in() -> None:
    counter = Counter(1)
    taken = [await counter.take()]
    waiting = [asyncio.create_task(counter.take()) for _ in range(3)]
    await turns()
    counter.live.slots = 3
    counter.pool.grant()
    await turns()
    assert counter.counts == (3, 1)
    counter.live.slots = None
    counter.pool.grant()
    taken += [await one for one in waiting]
    for slot in taken:
        slot.release(1)
    assert counter.counts == (0, 0)


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("retried", [False, True])
async def test_an_attempt_gives_back_what_it_holds_once_however_often_it_ends(ending: Ending, *, retried: bool) -> None:
    counter = Counter(1)
    exchange = counter.exchange()
    attempt = Attempt(exchange, counter.target, clock=counter.gateway.clock, observer=Observers(), retried=retried)
    attempt.holds(await counter.take())
    assert counter.gateway.busy > 0
    failure = UpstreamFailure(FailureKind.RESET) if ending is Ending.FAILED else None
    for _ in range(3):
        attempt.end(ending, failure=failure, output_tokens=7)
    attempt.end(Ending.ANSWERED)
    assert counter.gateway.busy == 0
    assert len(exchange.attempts) == 1


async def test_a_job_lets_those_who_wait_for_their_answer_go_first() -> None:
    counter = Counter(1)
    first = await counter.take()
    job = counter.exchange()
    job.arrival.job_id = "job_1"
    order: list[str] = []

    async def take(name: str, exchange: Exchange) -> None:
        slot = await counter.pool.acquire(exchange, counter.target)
        order.append(name)
        slot.release(0)

    waiting = [asyncio.create_task(take("job", job))]
    await turns()
    waiting.append(asyncio.create_task(take("person", counter.exchange())))
    await turns()
    first.release(0)
    await asyncio.gather(*waiting)
    assert order == ["person", "job"]


class _Told(Observers):
    """Keeps the swaps that it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.swaps: list[SwapEnded] = []

    def swap_ended(self, swap: SwapEnded) -> None:
        self.swaps.append(swap)


@pytest.mark.parametrize("job_id", ["", "job_1"])
def test_a_swap_that_a_job_waited_for_is_told_with_the_job(job_id: str) -> None:
    counter, told = Counter(1), _Told()
    counter.live.resident = frozenset()
    exchange = counter.exchange()
    exchange.arrival.job_id = job_id
    Attempt(exchange, counter.target, clock=counter.gateway.clock, observer=told, retried=False).end(Ending.ANSWERED)
    assert [(swap.model, swap.operation, swap.job_id) for swap in told.swaps] == [("fake-model", "load", job_id)]
