"""Signals behave the same in memory and over a real Redis, and the Redis ones survive its loss."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.coordination.signals_redis import RedisSignals
from junto.core.secret import Secret
from tests.conformance.coordination.waiting import until
from tests.conformance.redis_server import RedisServer, running_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from junto.ports.signals import Signals

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def signals(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Signals]:
    made: Signals = MemorySignals() if request.param == "memory" else RedisSignals(Secret(redis.url), "one")
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[tuple[RedisSignals, RedisSignals]]:
    """Two nodes over one Redis that hear each other."""
    async with AsyncExitStack() as stack:
        nodes = [RedisSignals(Secret(redis.url), name, quiet_seconds=0.2) for name in ("one", "two")]
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.close)
            await asyncio.wait_for(node.heard(), 5)
        yield nodes[0], nodes[1]


async def test_every_subscriber_of_the_topic_hears_a_message_once_and_others_do_not(signals: Signals) -> None:
    first: list[bytes] = []
    second: list[bytes] = []
    other: list[bytes] = []
    signals.subscribe("keys", first.append)
    signals.subscribe("keys", second.append)
    signals.subscribe("routes", other.append)
    await signals.publish("keys", b"\x00payload")
    await signals.publish("keys")
    await until(lambda: len(first) == len(second) == 2)
    await asyncio.sleep(0.05)  # time for a message that would come twice
    assert first == second == [b"\x00payload", b""]
    assert other == []


async def test_an_unsubscribed_one_hears_nothing_and_unsubscribing_twice_is_fine(signals: Signals) -> None:
    heard: list[bytes] = []
    kept: list[bytes] = []
    leave = signals.subscribe("keys", heard.append)
    signals.subscribe("keys", kept.append)
    leave()
    leave()
    await signals.publish("keys", b"1")
    await until(lambda: kept == [b"1"])
    assert heard == []


async def test_a_subscriber_never_runs_within_the_publisher(signals: Signals) -> None:
    """It cannot see half of what the publisher does, nor hold it up with what it does itself."""
    within: list[object] = []
    signals.subscribe("keys", lambda _: within.append(asyncio.current_task()))
    await signals.publish("keys")
    await until(lambda: within == [None])


async def test_a_subscriber_that_raises_does_not_keep_the_others_from_hearing(signals: Signals) -> None:
    heard: list[bytes] = []

    def breaks(payload: bytes) -> None:
        raise RuntimeError(payload)

    signals.subscribe("keys", breaks)
    signals.subscribe("keys", heard.append)
    await signals.publish("keys", b"1")
    await until(lambda: heard == [b"1"])


async def test_close_may_be_called_twice_and_publishing_after_it_does_not_raise(signals: Signals) -> None:
    await signals.close()
    await signals.close()
    await signals.publish("keys", b"late")


async def test_the_other_node_hears_a_message_once(pair: tuple[RedisSignals, RedisSignals]) -> None:
    one, two = pair
    here: list[bytes] = []
    there: list[bytes] = []
    one.subscribe("keys", here.append)
    two.subscribe("keys", there.append)
    await one.publish("keys", b"1")
    await until(lambda: there == [b"1"])
    await asyncio.sleep(0.05)
    assert here == there == [b"1"]


async def test_what_is_not_a_signal_on_the_channel_is_ignored(
    pair: tuple[RedisSignals, RedisSignals], redis: RedisServer
) -> None:
    one, two = pair
    there: list[bytes] = []
    two.subscribe("keys", there.append)
    redis.command("PUBLISH", "junto:signals", "not msgpack")
    await one.publish("keys", b"1")
    await until(lambda: there == [b"1"])


@pytest.mark.parametrize("loss", ["kill", "freeze"])
async def test_signals_go_on_within_the_process_while_redis_is_away_and_between_nodes_when_it_is_back(
    pair: tuple[RedisSignals, RedisSignals], redis: RedisServer, loss: str
) -> None:
    one, two = pair
    here: list[bytes] = []
    there: list[bytes] = []
    one.subscribe("keys", here.append)
    two.subscribe("keys", there.append)
    redis.kill() if loss == "kill" else redis.freeze()
    try:
        await one.publish("keys", b"away")
        await until(lambda: here == [b"away"])
        assert there == []
    finally:
        redis.start() if loss == "kill" else redis.thaw()

    async with asyncio.timeout(10):
        while b"back" not in there:
            await one.publish("keys", b"back")
            await asyncio.sleep(0.05)


async def test_a_redis_that_is_away_at_the_start_is_found_later(redis: RedisServer) -> None:
    redis.kill()
    signals = RedisSignals(Secret(redis.url), "one")
    await signals.start()
    try:
        await signals.publish("keys", b"1")
        redis.start()
        await asyncio.wait_for(signals.heard(), 10)
    finally:
        redis.start()
        await signals.close()
