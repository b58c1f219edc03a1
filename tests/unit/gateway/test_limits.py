"""What callers meet at a limit, and what one node does with what it holds; minutes of simulated time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest

from junto.coordination.limiter_memory import MemoryBuckets
from junto.core.errors import RateLimited
from junto.core.limits import LimitedBy, Limits
from junto.gateway.limits import Limiter
from junto.ports.limiter import Answer, BucketsAway, Need, Visit, static_share
from tests.unit.gateway.limits_simulation import Network, SimulatedTime, running_nodes, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from junto.gateway.permit import Permit

NONE = Limits()


def by(client: Limits = NONE, tenant: Limits = NONE, *, client_id: str = "c") -> LimitedBy:
    return LimitedBy(client_id=client_id, client=client, tenant_id="t", tenant=tenant)


class Counting(MemoryBuckets):
    """Counts what it is asked."""

    asks = 0

    async def visit(self, visit: Visit) -> Answer:
        self.asks += len(visit.asks)
        return await super().visit(visit)


@dataclass(frozen=True, slots=True)
class Scene:
    """One node over a store in its own process, as embedded Junto has it."""

    limiter: Limiter
    store: Counting
    clock: SimulatedTime


@asynccontextmanager
async def one_node(clock: SimulatedTime) -> AsyncIterator[Scene]:
    store = Counting(clock)
    async with running_nodes(1, clock, lambda: store) as nodes:
        yield Scene(nodes[0], store, clock)


def simulated(scenario: Callable[[Scene], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test of one node in simulated time."""

    def test() -> None:
        async def run(clock: SimulatedTime) -> None:
            async with one_node(clock) as scene:
                await scenario(scene)

        simulate(run)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


async def refused(limiter: Limiter, limited_by: LimitedBy, tokens: int = 0) -> RateLimited:
    with pytest.raises(RateLimited) as raised:
        await limiter.acquire(limited_by, tokens)
    return raised.value


def header(permit: Permit, name: bytes) -> bytes:
    return dict(permit.headers)[b"x-ratelimit-" + name]


@simulated
async def test_a_client_is_told_what_is_left_of_its_limit(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=3))
    permits = [await limiter.acquire(limited, 0) for _ in range(2)]
    assert header(permits[1], b"limit-requests") == b"3"
    assert header(permits[1], b"remaining-requests") == b"1"
    assert header(permits[1], b"reset-requests") == b"60s"
    assert len(permits[1].headers) == 3


@simulated
async def test_requests_that_come_together_are_let_in_as_long_as_there_are_seats(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(max_concurrency=20))
    found = await asyncio.gather(*(limiter.acquire(limited, 0) for _ in range(30)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in found) == 20
    assert sum(isinstance(one, RateLimited) for one in found) == 10


@simulated
async def test_the_tighter_of_client_and_tenant_is_the_one_that_is_told(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=9, tokens_per_minute=100), Limits(requests_per_minute=2))
    permit = await limiter.acquire(limited, 40)
    assert header(permit, b"limit-requests") == b"2"
    assert header(permit, b"limit-tokens") == b"100"
    assert header(permit, b"remaining-tokens") == b"60"


@simulated
async def test_the_error_says_which_limit_of_whom_and_until_when(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=2))
    for _ in range(2):
        await limiter.acquire(limited, 0)
        await asyncio.sleep(10)
    error = await refused(limiter, limited)
    assert error.message == "The client's limit of 2 requests per minute is used up."
    assert error.retry_after == pytest.approx(40, abs=0.1)
    assert error.reasons[0] == "limit: client requests_per_minute 2"
    assert error.reasons[1] == "remaining: 0"
    assert error.reasons[2].startswith("until: 2027-")
    assert error.status == 429

    await asyncio.sleep(error.retry_after or 0)
    await limiter.acquire(limited, 0)


@simulated
async def test_no_retry_after_is_longer_than_the_minute(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=1))
    await limiter.acquire(limited, 0)
    await asyncio.sleep(0.01)
    error = await refused(limiter, limited)
    assert error.retry_after is not None
    assert 59 < error.retry_after <= 60


@simulated
async def test_tokens_and_requests_at_once_are_refused_in_their_own_words(scene: Scene) -> None:
    limiter = scene.limiter
    tokens = by(tenant=Limits(tokens_per_minute=100))
    await limiter.acquire(tokens, 90)
    assert (await refused(limiter, tokens, 20)).message == "The tenant's limit of 100 tokens per minute is used up."
    await limiter.acquire(tokens, 10)

    seats = by(Limits(max_concurrency=1), client_id="d")
    await limiter.acquire(seats, 0)
    error = await refused(limiter, seats)
    assert error.message == "The client's limit of 1 requests at once is used up."
    assert error.retry_after == 1.0


@simulated
async def test_a_request_that_will_never_fit_is_told_so_without_a_time(scene: Scene) -> None:
    limiter = scene.limiter
    error = await refused(limiter, by(Limits(tokens_per_minute=100)), 101)
    assert error.message == "This request may take 101 tokens, more than the client's limit of 100 tokens per minute."
    assert error.retry_after is None
    assert (await refused(limiter, by(Limits(requests_per_minute=0), client_id="d"))).retry_after is None


@simulated
async def test_most_requests_are_admitted_without_asking(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=60_000), Limits(max_concurrency=400))
    assert limiter.take(limited, 0) is None  # it must ask first
    for _ in range(2_000):
        permit = limiter.take(limited, 0) or await limiter.acquire(limited, 0)
        permit.settle(0)
    assert scene.store.asks <= 4


@simulated
async def test_a_flood_over_the_limit_does_not_ask_for_each_request(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=1))
    await limiter.acquire(limited, 0)
    for _ in range(100):
        await refused(limiter, limited)
    assert scene.store.asks == 2


@simulated
async def test_a_limit_that_is_always_used_up_yields_nearly_its_figure(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(requests_per_minute=600))
    admitted, begin = 0, scene.clock.monotonic()
    while scene.clock.monotonic() < begin + 600:
        try:
            await limiter.acquire(limited, 0)
            admitted += 1
        except RateLimited:
            await asyncio.sleep(0.1)
    assert 600 * 10 * 0.96 <= admitted <= 600 * 10


@simulated
async def test_a_limit_that_is_changed_counts_from_the_next_request_on(scene: Scene) -> None:
    limiter = scene.limiter
    for _ in range(20):
        await limiter.acquire(by(Limits(requests_per_minute=6_000)), 0)
    error = await refused(limiter, by(Limits(requests_per_minute=20)))
    assert "limit of 20 requests" in error.message
    permit = await limiter.acquire(by(Limits(requests_per_minute=21)), 0)
    assert header(permit, b"remaining-requests") == b"0"
    assert (await limiter.acquire(by(), 0)).headers == ()
    with pytest.raises(RateLimited):
        await limiter.acquire(by(Limits(requests_per_minute=21)), 0)  # what was admitted is not forgotten


@simulated
async def test_what_a_request_did_not_use_is_there_for_the_next(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(tokens_per_minute=1_000))
    permit = await limiter.acquire(limited, 900)
    await refused(limiter, limited, 500)
    permit.settle(100)
    permit.settle(0)  # says nothing any more
    await limiter.acquire(limited, 900)
    await refused(limiter, limited, 1)


@simulated
async def test_what_a_request_used_over_its_estimate_is_taken_from_later_ones(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(tokens_per_minute=1_000))
    (await limiter.acquire(limited, 100)).settle(1_500)
    await refused(limiter, limited, 1)
    await asyncio.sleep(61)
    await limiter.acquire(limited, 1_000)


@simulated
async def test_a_seat_is_free_again_at_once_and_only_once(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(max_concurrency=2))
    first, _second = await limiter.acquire(limited, 0), await limiter.acquire(limited, 0)
    await refused(limiter, limited)
    first.settle(0)
    first.settle(0)
    await limiter.acquire(limited, 0)
    await refused(limiter, limited)


@simulated
async def test_one_who_left_while_waiting_keeps_no_seat(scene: Scene) -> None:
    limiter = scene.limiter
    limited = by(Limits(max_concurrency=1))
    for rounds in range(4):
        asking = asyncio.create_task(limiter.acquire(limited, 0))
        for _ in range(rounds):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if not asking.cancelled():
            asking.result().settle(0)
    await asyncio.sleep(1)
    await limiter.acquire(limited, 0)


@simulated
async def test_what_nobody_uses_is_forgotten(scene: Scene) -> None:
    limiter = scene.limiter
    everything = Limits(requests_per_minute=600, tokens_per_minute=10_000, max_concurrency=8)
    running = await limiter.acquire(by(everything, everything, client_id="running"), 10)
    for number in range(300):
        (await limiter.acquire(by(everything, client_id=f"client-{number}"), 10)).settle(5)
        await asyncio.sleep(0.1)
    await asyncio.sleep(400)
    lessee = limiter._lessee
    assert set(lessee._accounts) == {"running"}
    assert len(lessee._windows) <= 4
    assert len(lessee._seats) == 2
    assert len(scene.store._windows) <= 4
    assert len(scene.store._seats) <= 2
    running.settle(10)


def test_each_permit_of_an_unlimited_caller_has_no_headers_and_needs_no_store() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        async with one_node(clock) as scene:
            limiter = scene.limiter
            permit = await limiter.acquire(by(), 100)
            assert permit.headers == ()
            assert limiter.take(by(), 5) is not None
            permit.settle(7)
            assert scene.store.asks == 0

    simulate(scenario)


def test_the_static_shares_of_all_nodes_add_up_to_the_limit() -> None:
    for nodes in range(1, 9):
        for limit in range(40):
            assert sum(static_share(limit, nodes, rank) for rank in range(nodes)) == limit


def test_a_node_that_never_reached_the_store_takes_one_share_of_four() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        network = Network(MemoryBuckets(clock), Random(1), longest=0)
        network.away = True
        async with running_nodes(1, clock, lambda: network) as nodes:
            limited = by(Limits(requests_per_minute=8))
            assert nodes[0].alone
            for _ in range(2):
                await nodes[0].acquire(limited, 0)
            error = await refused(nodes[0], limited)
            assert error.retry_after == pytest.approx(60, abs=0.1)

    simulate(scenario)


def test_a_new_node_over_an_empty_store_waits_until_the_others_had_time_to_tell() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        limiter = Limiter(MemoryBuckets(clock, settle_ms=2_000), clock=clock, node_id="n")
        begin = clock.monotonic()
        await limiter.start()
        await limiter.acquire(by(Limits(requests_per_minute=1)), 0)
        assert 2 <= clock.monotonic() - begin < 2.3
        await limiter.close()

    simulate(scenario)


def test_the_seats_of_a_node_that_died_are_free_after_ten_seconds_and_those_of_one_that_left_at_once() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        store = MemoryBuckets(clock)
        networks = [Network(store, Random(1), longest=0) for _ in range(3)]
        iterator = iter(networks)
        async with running_nodes(3, clock, lambda: next(iterator)) as nodes:
            limited = by(Limits(max_concurrency=2))
            await nodes[0].acquire(limited, 0)
            await nodes[1].acquire(limited, 0)
            await refused(nodes[2], limited)
            await nodes[1].close()
            await nodes[2].acquire(limited, 0)

            networks[0].away = True  # it is dead, as far as the others can tell
            await asyncio.sleep(9)
            await refused(nodes[2], limited)
            await asyncio.sleep(2)
            await nodes[2].acquire(limited, 0)

    simulate(scenario)


def test_leases_go_back_when_they_were_not_used() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        store = MemoryBuckets(clock)
        async with running_nodes(2, clock, lambda: store) as nodes:
            limited = by(Limits(requests_per_minute=600))
            await nodes[0].acquire(limited, 0)
            await asyncio.sleep(4)
            for _ in range(599):
                await nodes[1].acquire(limited, 0)
            await refused(nodes[1], limited)

    simulate(scenario)


def test_a_node_that_leaves_gives_its_lease_back_and_answers_who_waits() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        store = MemoryBuckets(clock)
        async with running_nodes(2, clock, lambda: store) as nodes:
            limited = by(Limits(requests_per_minute=600))
            await nodes[0].acquire(limited, 0)
            waiting = asyncio.create_task(nodes[0].acquire(by(Limits(requests_per_minute=4), client_id="d"), 0))
            await asyncio.sleep(0)
            await nodes[0].close()
            await nodes[0].close()
            await waiting
            for _ in range(599):
                await nodes[1].acquire(limited, 0)

    simulate(scenario)


class Slow:
    """A store whose answers take `there` to be asked for and `back` to arrive; `loses` the answers of that many asks."""

    def __init__(self, store: MemoryBuckets) -> None:
        self.store = store
        self.back = 0.0
        self.loses = 0

    async def visit(self, visit: Visit) -> Answer:
        answer = self.store.carry_out(visit)
        await asyncio.sleep(self.back)
        if visit.asks and self.loses:
            self.loses -= 1
            raise BucketsAway("lost")
        return answer

    async def close(self) -> None:
        """Nothing to let go of."""


def test_a_grant_that_arrives_too_late_is_not_used_but_asked_for_again() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        store = MemoryBuckets(clock, delivery_ms=250)
        slow = Slow(store)
        limiter = Limiter(slow, clock=clock, node_id="n")
        await limiter.start()
        limited = by(Limits(requests_per_minute=1, max_concurrency=1))
        slow.back = 0.3
        asked_at = clock.monotonic()
        asking = asyncio.create_task(limiter.acquire(limited, 0))
        await asyncio.sleep(0.5)
        assert not asking.done()
        slow.back = 0.0
        permit = await asking
        assert clock.monotonic() > asked_at + 0.55
        # The late grants were given back, the last one counts.
        counts = list(store._windows["client:c:requests"]._counts.values())
        assert counts == [0] * (len(counts) - 1) + [1]
        permit.settle(0)
        await limiter.close()

    simulate(scenario)


def test_a_seat_whose_grant_was_lost_on_its_way_is_not_lost_for_good() -> None:
    async def scenario(clock: SimulatedTime) -> None:
        slow = Slow(MemoryBuckets(clock))
        limiter = Limiter(slow, clock=clock, node_id="n")
        await limiter.start()
        limited = by(Limits(max_concurrency=2))
        slow.loses = 1
        permit = await limiter.acquire(limited, 0)  # by the static share
        permit.settle(0)
        await asyncio.sleep(2)
        assert not limiter.alone
        for _ in range(2):
            await limiter.acquire(limited, 0)
        answer = slow.store.carry_out(
            Visit("m", "", asks=((Need(seats=True, bucket="client:c:seats", limit=3, amount=1),),))
        )
        assert "Granted" in repr(answer.outcomes)
        await limiter.close()

    simulate(scenario)
