"""No interleaving of nodes, delays and losses admits more than the limits promise. Hypothesis looks for one that does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from junto.coordination.limiter_memory import MemoryBuckets
from junto.core.errors import Overloaded, RateLimited
from junto.core.limits import LimitedBy, Limits
from tests.unit.gateway.limits_simulation import Network, SimulatedTime, most_in_a_minute, running_nodes, simulate

if TYPE_CHECKING:
    from junto.gateway.limits import Limiter

EXAMPLES = 10  # of minutes each; a search for more is a matter of this figure
DELIVERY_MS = 250  # as that of the store in Redis

seeds = st.integers(0, 2**32)
node_counts = st.integers(1, 4)
longest_ways = st.sampled_from([0.0, 0.001, 0.05, 0.2, 0.249])  # each way; some answers come too late to be used
# How often each node is asked, per second: far below the limit, around it, far over it.
rates = st.sampled_from([0.5, 3.0, 10.0])


def by(client: Limits, tenant: Limits | None = None, *, client_id: str = "c") -> LimitedBy:
    return LimitedBy(client_id=client_id, client=client, tenant_id="t", tenant=tenant or Limits())


class Traffic:
    """Requests in bursts and lulls at one node; remembers what was admitted, and when."""

    def __init__(self, clock: SimulatedTime, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.admitted: list[tuple[float, int]] = []
        self.running = 0
        self.most_running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def offer(
        self, node: Limiter, limited_by: LimitedBy, *, rate: float, seconds: float, lasts: float = 1.0
    ) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            for _ in range(self.random.choice((1, 1, 1, 10))):
                task = asyncio.create_task(self._ask(node, limited_by, lasts))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self.random.expovariate(rate / 3.25))

    async def finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ask(self, node: Limiter, limited_by: LimitedBy, lasts: float) -> None:
        tokens = self.random.randint(0, 40)
        with suppress(RateLimited, Overloaded):
            permit = await node.acquire(limited_by, tokens)
            self.admitted.append((self.clock.monotonic(), 1))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            await asyncio.sleep(self.random.random() * 2 * lasts)
            self.running -= 1
            permit.settle(tokens)
            permit.settle(tokens)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=node_counts, longest=longest_ways, rate=rates, limit=st.integers(1, 400))
def test_in_any_minute_no_more_requests_than_the_limit_are_admitted_by_all_nodes(
    seed: int, count: int, longest: float, rate: float, limit: int
) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        traffic = Traffic(clock, random)
        limited = by(Limits(requests_per_minute=limit))
        async with running_nodes(count, clock, lambda: Network(store, random, longest=longest)) as nodes:
            await asyncio.gather(*(traffic.offer(node, limited, rate=rate, seconds=90) for node in nodes))
            await traffic.finish()
        assert traffic.admitted
        assert most_in_a_minute(traffic.admitted) <= limit

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=node_counts, longest=longest_ways, limit=st.integers(2, 300))
def test_a_tenants_limit_holds_over_its_clients_and_each_clients_own_over_its_requests(
    seed: int, count: int, longest: float, limit: int
) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        one, two = Traffic(clock, random), Traffic(clock, random)
        tenant = Limits(requests_per_minute=limit)
        tight = by(Limits(requests_per_minute=limit // 2), tenant, client_id="one")
        loose = by(Limits(), tenant, client_id="two")
        async with running_nodes(count, clock, lambda: Network(store, random, longest=longest)) as nodes:
            await asyncio.gather(
                *(one.offer(node, tight, rate=5, seconds=70) for node in nodes),
                *(two.offer(node, loose, rate=5, seconds=70) for node in nodes),
            )
            await asyncio.gather(one.finish(), two.finish())
        assert most_in_a_minute(one.admitted) <= limit // 2
        assert most_in_a_minute(one.admitted + two.admitted) <= limit

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=node_counts, longest=longest_ways, limit=st.integers(1, 60))
def test_never_more_requests_run_at_once_than_the_limit(seed: int, count: int, longest: float, limit: int) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        traffic = Traffic(clock, random)
        limited = by(Limits(max_concurrency=limit))
        async with running_nodes(count, clock, lambda: Network(store, random, longest=longest)) as nodes:
            await asyncio.gather(*(traffic.offer(node, limited, rate=10, seconds=20) for node in nodes))
            await traffic.finish()
        assert 0 < traffic.most_running <= limit
        assert traffic.running == 0

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=node_counts, longest=longest_ways, limit=st.integers(50, 20_000))
def test_at_each_admission_the_tokens_of_the_last_minute_are_at_most_the_limit(
    seed: int, count: int, longest: float, limit: int
) -> None:
    """Each counts as it was estimated until its end, and as what it used from then on."""

    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        limited = by(Limits(tokens_per_minute=limit))
        charged: list[tuple[float, list[int]]] = []

        async def ask(node: Limiter) -> None:
            estimate = random.randint(0, min(limit, 400))
            with suppress(RateLimited, Overloaded):
                permit = await node.acquire(limited, estimate)
                now = clock.monotonic()
                counts = [estimate]
                charged.append((now, counts))
                assert sum(each[0] for at, each in charged if at > now - 60) <= limit
                await asyncio.sleep(random.random() * 10)
                used = random.randint(0, estimate)
                permit.settle(used)
                counts[0] = used

        async with running_nodes(count, clock, lambda: Network(store, random, longest=longest)) as nodes:
            tasks = []
            for _ in range(400):
                tasks.append(asyncio.create_task(ask(random.choice(nodes))))
                await asyncio.sleep(random.random() * 0.6)
            await asyncio.gather(*tasks)
        assert charged

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=st.integers(1, 4), longest=st.sampled_from([0.0, 0.01, 0.1]), limit=st.integers(1, 300))
def test_a_store_that_forgets_everything_costs_at_most_the_static_shares_and_then_the_limit_holds_again(
    seed: int, count: int, longest: float, limit: int
) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        traffic = Traffic(clock, random)
        limited = by(Limits(requests_per_minute=limit))
        network = Network(MemoryBuckets(clock, delivery_ms=DELIVERY_MS), random, longest=longest)
        async with running_nodes(count, clock, lambda: network) as nodes:
            offers = [
                asyncio.create_task(traffic.offer(node, limited, rate=random.choice((0.5, 10.0)), seconds=100))
                for node in nodes
            ]
            await asyncio.sleep(random.random() * 40)
            network.store = MemoryBuckets(clock, epoch="second", settle_ms=2_000, delivery_ms=DELIVERY_MS)
            settled = clock.monotonic() + 2
            await asyncio.gather(*offers)
            await traffic.finish()
        assert most_in_a_minute(traffic.admitted) <= 2 * limit
        assert most_in_a_minute(traffic.admitted, ending_after=settled) <= limit

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=st.integers(1, 4), limit=st.integers(1, 300), after=st.sampled_from(["as it was", "empty"]))
def test_without_the_store_the_nodes_together_admit_no_more_than_the_limit(
    seed: int, count: int, limit: int, after: str
) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        traffic = Traffic(clock, random)
        limited = by(Limits(requests_per_minute=limit))
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        network = Network(store, random, longest=0.01)
        async with running_nodes(count, clock, lambda: network) as nodes:
            await asyncio.gather(*(traffic.offer(node, limited, rate=5, seconds=20) for node in nodes))
            await traffic.finish()
            network.away = True
            lost = clock.monotonic()
            await asyncio.gather(*(traffic.offer(node, limited, rate=10, seconds=90) for node in nodes))
            await traffic.finish()
            alone = [each for each in traffic.admitted if each[0] > lost + 3]  # the leases are finished
            assert 0 < most_in_a_minute(alone) <= limit
            assert most_in_a_minute(traffic.admitted) <= 2 * limit

            network.away = False
            if after == "empty":
                network.store = MemoryBuckets(clock, epoch="second", settle_ms=2_000, delivery_ms=DELIVERY_MS)
            back = clock.monotonic()
            await asyncio.gather(*(traffic.offer(node, limited, rate=10, seconds=80) for node in nodes))
            await traffic.finish()
            assert not any(node.alone for node in nodes)
        assert most_in_a_minute(traffic.admitted, ending_after=back + 3) <= limit

    simulate(scenario)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, count=st.integers(1, 4), limit=st.integers(4, 300), loses=st.sampled_from([0.05, 0.5]))
def test_answers_that_get_lost_only_make_a_limit_tighter_or_static(
    seed: int, count: int, limit: int, loses: float
) -> None:
    async def scenario(clock: SimulatedTime) -> None:
        random = Random(seed)
        traffic = Traffic(clock, random)
        limited = by(Limits(requests_per_minute=limit, max_concurrency=limit))
        store = MemoryBuckets(clock, delivery_ms=DELIVERY_MS)
        network = Network(store, random, longest=0.05)
        async with running_nodes(count, clock, lambda: network) as nodes:
            network.loses = loses
            await asyncio.gather(*(traffic.offer(node, limited, rate=10, seconds=100) for node in nodes))
            network.loses = 0
            await traffic.finish()
            await asyncio.sleep(70)
            limited_again = by(Limits(max_concurrency=limit))
            permits = [await nodes[0].acquire(limited_again, 0) for _ in range(limit)]
            assert len(permits) == limit  # no seat was lost for good
        assert most_in_a_minute(traffic.admitted) <= 2 * limit

    simulate(scenario)
