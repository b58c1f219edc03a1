"""The store of limits keeps the same rules in memory and in a real Redis, whose windows are shorter here than a minute."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.clock import SystemClock
from junto.coordination.limiter_memory import MemoryBuckets
from junto.coordination.limiter_redis import RedisBuckets
from junto.core.errors import RateLimited
from junto.core.limits import LimitedBy, Limits
from junto.core.secret import Secret
from junto.gateway.limits import Limiter
from junto.ports.limiter import (
    Answer,
    AskAgain,
    Back,
    BucketsAway,
    Charge,
    Granted,
    Held,
    Need,
    Refused,
    Visit,
)
from tests.conformance.coordination.waiting import until
from tests.conformance.redis_server import RedisServer, running_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from junto.ports.limiter import Buckets, Outcome

pytestmark = pytest.mark.anyio

WINDOW_MS = 2_100


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


def memory() -> MemoryBuckets:
    return MemoryBuckets(SystemClock(), window_ms=WINDOW_MS, delivery_ms=250)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Buckets]:
    redis.flush()
    made: Buckets = memory() if request.param == "memory" else of_redis(redis)
    try:
        yield made
    finally:
        await made.close()


def of_redis(redis: RedisServer, *, settle_ms: int = 0) -> RedisBuckets:
    return RedisBuckets(Secret(redis.url), window_ms=WINDOW_MS, settle_ms=settle_ms)


def window(amount: int, *, limit: int = 10, bucket: str = "w") -> Need:
    return Need(seats=False, bucket=bucket, limit=limit, amount=amount)


def seat(*, limit: int = 2, bucket: str = "s") -> Need:
    return Need(seats=True, bucket=bucket, limit=limit, amount=1)


async def ask(store: Buckets, *needs: Need, node: str = "one") -> Outcome:
    """What the store says to one ask alone."""
    answer = await store.visit(Visit(node, "", asks=(needs,)))
    return answer.outcomes[0]


async def greet(store: Buckets, *nodes: str) -> list[Answer]:
    return [await store.visit(Visit(node, "")) for node in nodes]


async def test_a_window_grants_its_limit_and_then_says_how_long_to_wait(store: Buckets) -> None:
    assert await ask(store, window(6)) == Granted((0,), (4,))
    assert await ask(store, window(4)) == Granted((0,), (0,))
    refused = await ask(store, window(1))
    assert isinstance(refused, Refused)
    assert refused.remaining == 0
    assert WINDOW_MS - 700 < refused.wait_ms <= WINDOW_MS + 500
    assert isinstance(await ask(store, window(11)), Refused)
    await asyncio.sleep(refused.wait_ms / 1000)
    assert await ask(store, window(6)) == Granted((0,), (4,))


async def test_what_was_granted_is_never_free_before_its_window_has_passed(store: Buckets) -> None:
    loop = asyncio.get_running_loop()
    granted_at: list[float] = []
    end = loop.time() + 2.5 * WINDOW_MS / 1000
    while loop.time() < end:
        sent = loop.time()
        outcome = await ask(store, window(1, limit=3))
        if isinstance(outcome, Granted):
            granted_at.append(sent)
            assert outcome.extras == (0,)
        await asyncio.sleep(0.02)
    assert len(granted_at) >= 6
    for first, fourth in zip(granted_at, granted_at[3:], strict=False):
        assert fourth - first > WINDOW_MS / 1000 - 0.01  # a clock has grains


async def test_the_needs_of_one_ask_are_granted_together_or_not_at_all(store: Buckets) -> None:
    refused = await ask(store, window(1, bucket="a"), seat(), window(11, bucket="b"))
    assert isinstance(refused, Refused)
    assert refused.index == 2
    assert refused.wait_ms == 0  # it will never fit
    assert await ask(store, window(10, bucket="a"), seat(limit=1)) == Granted((0, 0), (0, 0))


async def test_a_lease_is_a_seconds_worth_of_the_nodes_part_and_at_most_half_of_what_remains(store: Buckets) -> None:
    per_second = 3_000 * 1000 // WINDOW_MS
    outcome = await ask(store, window(1, limit=3_000, bucket="big"))
    assert outcome == Granted((per_second - 1,), (3_000 - per_second,))
    await greet(store, "two", "three", "four")
    fewer = await ask(store, window(1, limit=3_000, bucket="shared"))
    assert fewer == Granted((per_second // 4 - 1,), (3_000 - per_second // 4,))
    half = await ask(store, window(1, limit=3_000, bucket="big"))
    assert isinstance(half, Granted)
    assert half.extras[0] == min(per_second // 4, (3_000 - per_second) // 8) - 1


async def test_what_is_given_back_is_free_at_once_and_never_more_than_was_granted(store: Buckets) -> None:
    answer = await store.visit(Visit("one", "", asks=((window(10),),)))
    back = (Back("w", answer.stamp, 4), Back("w", answer.stamp, 100), Back("w", 12345, 7), Back("unknown", 5, 5))
    again = await store.visit(Visit("one", "", back=back[:1], asks=((window(5),), (window(4),), (window(1),))))
    assert [type(each) for each in again.outcomes] == [Refused, Granted, Refused]
    await store.visit(Visit("one", "", back=back[1:]))
    assert isinstance(await ask(store, window(10)), Granted | Refused)
    assert isinstance(await ask(store, window(10)), Refused)


async def test_a_charge_counts_over_the_limit_from_when_it_was_and_not_at_all_when_it_is_old(store: Buckets) -> None:
    charges = (Charge("w", 25, 0), Charge("old", 25, WINDOW_MS + 1), Charge("middle", 10, WINDOW_MS // 2))
    await store.visit(Visit("one", "", charges=charges))
    refused = await ask(store, window(1))
    assert isinstance(refused, Refused)
    assert refused.remaining == 0
    assert isinstance(await ask(store, window(10, bucket="old")), Granted)
    middle = await ask(store, window(1, bucket="middle"))
    assert isinstance(middle, Refused)
    assert middle.wait_ms <= WINDOW_MS // 2 + 500


async def test_seats_are_granted_up_to_the_limit_over_all_nodes_and_free_when_a_node_says_so(store: Buckets) -> None:
    await greet(store, "one", "two")
    assert await ask(store, seat()) == Granted((0,), (1,))
    assert await ask(store, seat(), node="two") == Granted((0,), (0,))
    assert await ask(store, seat()) == Refused(0, 0, 0)
    said = await store.visit(Visit("two", "", held=(Held("s", 0),), asks=((seat(),),)))
    assert isinstance(said.outcomes[0], Granted)
    assert isinstance(await ask(store, seat()), Refused)


async def test_a_node_gets_spare_seats_where_the_limit_is_large(store: Buckets) -> None:
    assert await ask(store, seat(limit=40)) == Granted((10,), (29,))
    await greet(store, "two")
    assert await ask(store, seat(limit=40), node="two") == Granted((5,), (23,))


async def test_what_a_node_says_it_holds_counts_even_over_the_limit(store: Buckets) -> None:
    await store.visit(Visit("one", "", held=(Held("s", 5),)))
    assert await ask(store, seat(), node="two") == Refused(0, 0, 0)


async def test_the_seats_of_a_node_that_leaves_are_free(store: Buckets) -> None:
    await ask(store, seat(limit=1))
    assert isinstance(await ask(store, seat(limit=1), node="two"), Refused)
    await store.visit(Visit("one", "", leaving=True))
    assert isinstance(await ask(store, seat(limit=1), node="two"), Granted)


async def test_nodes_are_counted_and_numbered(store: Buckets) -> None:
    first = await greet(store, "b", "a", "c")
    assert [answer.nodes for answer in first] == [1, 2, 3]
    assert [answer.lapsed for answer in first] == [True, True, True]
    again = await greet(store, "a", "b", "c")
    assert [answer.rank for answer in again] == [0, 1, 2]
    assert not any(answer.lapsed for answer in again)


async def test_a_visit_of_another_epoch_changes_nothing_and_is_told_so(store: Buckets) -> None:
    (answer,) = await greet(store, "one")
    strange = Visit("one", "another", charges=(Charge("w", 10, 0),), held=(Held("s", 2),), asks=((window(1),),))
    told = await store.visit(strange)
    assert told.epoch == answer.epoch
    assert told.outcomes == (AskAgain(),)
    known = await store.visit(Visit("one", answer.epoch, asks=((window(10), seat()),)))
    assert isinstance(known.outcomes[0], Granted)


async def test_both_stores_decide_the_same(redis: RedisServer) -> None:
    """The same random visits to both, quick enough that nothing becomes free by itself."""
    redis.flush()
    random = Random(7)
    in_memory = MemoryBuckets(SystemClock())
    in_redis = RedisBuckets(Secret(redis.url), settle_ms=0)
    try:
        for _ in range(300):
            visit = _random_visit(random)
            one, other = await in_memory.visit(visit), await in_redis.visit(visit)
            assert (one.nodes, one.rank, one.lapsed) == (other.nodes, other.rank, other.lapsed)
            assert [_told(each) for each in one.outcomes] == [_told(each) for each in other.outcomes]
    finally:
        await in_redis.close()


def _random_visit(random: Random) -> Visit:
    def some[T](most: int, make: Callable[[], T]) -> tuple[T, ...]:
        return tuple(make() for _ in range(random.randint(0, most)))

    def bucket() -> str:
        return random.choice("xyz")

    def need() -> Need:
        return Need(random.random() < 0.4, bucket(), random.choice((5, 40, 2_000)), random.randint(0, 3))

    return Visit(
        node=random.choice("abc"),
        epoch="",
        leaving=random.random() < 0.05,
        charges=some(1, lambda: Charge(bucket(), random.randint(0, 4), random.choice((0, 30_000, 60_000)))),
        held=some(1, lambda: Held(bucket(), random.randint(0, 4))),
        asks=some(3, lambda: (need(), *some(2, need))),
    )


def _told(outcome: Outcome) -> object:
    """Without how long to wait, which depends on the grain of the store's time."""
    return (outcome.index, outcome.remaining) if isinstance(outcome, Refused) else outcome


async def test_a_redis_that_is_killed_or_hangs_is_away_and_an_empty_one_is_a_new_epoch(redis: RedisServer) -> None:
    store = of_redis(redis, settle_ms=400)
    try:
        (before,) = await greet(store, "one")
        for lose, bring_back in ((redis.freeze, redis.thaw), (redis.kill, redis.start)):
            lose()
            try:
                with pytest.raises(BucketsAway):
                    await store.visit(Visit("one", ""))
            finally:
                bring_back()
        (after,) = await greet(store, "one")
        assert after.epoch != before.epoch
        assert 0 < after.settling_ms <= 400
        assert await ask(store, window(1)) == AskAgain()
        await asyncio.sleep(0.45)
        assert isinstance(await ask(store, window(1)), Granted)
        redis.flush()
        assert (await greet(store, "one"))[0].epoch != after.epoch
    finally:
        await store.close()


async def test_nothing_of_a_bucket_that_nobody_uses_stays_in_redis(redis: RedisServer) -> None:
    redis.flush()
    store = of_redis(redis)
    try:
        for number in range(20):
            await ask(store, window(1, limit=3_000, bucket=f"b{number}"))
        assert redis.command("DBSIZE") == b":22\r\n"
        await until(lambda: redis.command("DBSIZE") == b":2\r\n")
    finally:
        await store.close()


async def test_two_nodes_share_a_limit_over_redis_lose_it_and_find_it_again(redis: RedisServer) -> None:
    redis.flush()
    limited = LimitedBy(client_id="c", client=Limits(requests_per_minute=10, max_concurrency=4), tenant_id="t")
    stores = [RedisBuckets(Secret(redis.url), settle_ms=1_500) for _ in range(2)]
    nodes = [Limiter(store, clock=SystemClock(), node_id=name) for store, name in zip(stores, "ab", strict=True)]
    try:
        for node in nodes:
            await node.start()
        permits = [await nodes[number % 2].acquire(limited, 0) for number in range(4)]
        with pytest.raises(RateLimited, match="at once"):
            await nodes[0].acquire(limited, 0)
        for permit in permits:
            permit.settle(0)
        admitted = 4
        redis.kill()
        await until(lambda: all(node.alone for node in nodes))
        for node in nodes:
            for _ in range(10):
                try:
                    (await node.acquire(limited, 0)).settle(0)
                except RateLimited:
                    break
                admitted += 1
        assert admitted == 10  # five each, of which each had admitted two already

        redis.start()
        await until(lambda: not any(node.alone for node in nodes))
        for node in nodes:
            with pytest.raises(RateLimited, match="10 requests per minute"):
                await node.acquire(limited, 0)  # the new epoch knows of all ten
    finally:
        redis.start()
        for node in nodes:
            await node.close()
