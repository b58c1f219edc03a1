"""Copies of database state: fresh after a signal, after a missed signal, and after a database that was away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.replicas import TOPIC, Replicas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio
_NEVER = 3600.0


class Wire:
    """Signals that a test carries by hand."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.subscribers: list[Callable[[bytes], None]] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        self.published.append((topic, payload))

    def subscribe(self, topic: str, on_message: Callable[[bytes], None]) -> Callable[[], None]:
        assert topic == TOPIC
        self.subscribers.append(on_message)
        return lambda: self.subscribers.remove(on_message)

    def deliver(self, payload: bytes) -> None:
        for subscriber in self.subscribers:
            subscriber(payload)


class Truth:
    """A database with one thing in it, and the copies that were made of it."""

    def __init__(self) -> None:
        self.versions = {"keys": 1}
        self.value = "first"
        self.copy = ""
        self.looks = self.loads = 0
        self.away = self.broken = False

    async def read_versions(self) -> dict[str, int]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError("the database is away")
        return dict(self.versions)

    async def load(self) -> None:
        self.loads += 1
        if self.broken:
            raise ValueError("cannot be read")
        self.copy = self.value

    def change(self, value: str) -> None:
        self.value = value
        self.versions["keys"] += 1


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def replicas(truth: Truth, wire: Wire) -> AsyncIterator[Replicas]:
    """Started, and never polling within a test."""
    replicas = Replicas(truth.read_versions, wire, poll_seconds=_NEVER, least_seconds=0.001)
    replicas.register("keys", truth.load)
    await replicas.start()
    yield replicas
    await replicas.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  tells nobody
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("replicas")
async def test_everything_is_loaded_when_start_returns(truth: Truth) -> None:
    assert truth.copy == "first"


async def test_what_did_not_change_is_not_loaded_again(truth: Truth, replicas: Replicas) -> None:
    assert await replicas.refreshed("keys")
    assert await replicas.refreshed("keys")
    assert truth.loads == 1


@pytest.mark.usefixtures("replicas")
async def test_a_signal_from_another_node_brings_the_change(truth: Truth, wire: Wire) -> None:
    truth.change("second")
    wire.deliver(b"keys")
    await until(lambda: truth.copy == "second")


@pytest.mark.usefixtures("replicas")
@pytest.mark.parametrize("payload", [b"", b"unknown", b"\xff\xfe"])
async def test_a_signal_that_means_nothing_here_does_nothing(truth: Truth, wire: Wire, payload: bytes) -> None:
    looks = truth.looks
    wire.deliver(payload)
    await asyncio.sleep(0.01)
    assert truth.looks == looks


async def test_a_signal_that_was_lost_is_made_up_for_by_polling(truth: Truth, wire: Wire) -> None:
    replicas = Replicas(truth.read_versions, wire, poll_seconds=0.005, least_seconds=0.001)
    replicas.register("keys", truth.load)
    await replicas.start()
    truth.change("second")
    await until(lambda: truth.copy == "second")
    await replicas.stop()


async def test_who_makes_a_change_sees_it_at_once_and_tells_the_others(
    truth: Truth, wire: Wire, replicas: Replicas
) -> None:
    truth.change("second")
    await replicas.changed("keys")
    assert truth.copy == "second"
    assert wire.published == [(TOPIC, b"keys")]


async def test_many_who_ask_at_once_share_one_look(truth: Truth, replicas: Replicas) -> None:
    looks = truth.looks
    assert all(await asyncio.gather(*(replicas.refreshed("keys") for _ in range(200))))
    assert truth.looks - looks <= 2


async def test_one_who_stops_waiting_does_not_disturb_the_others(truth: Truth, replicas: Replicas) -> None:
    truth.change("second")
    leaving, staying = asyncio.create_task(replicas.refreshed("keys")), asyncio.create_task(replicas.refreshed("keys"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying
    assert truth.copy == "second"


async def test_a_database_that_is_away_keeps_the_last_copy_and_is_told_of(truth: Truth, replicas: Replicas) -> None:
    truth.away = True
    truth.change("second")
    assert not await replicas.refreshed("keys")
    assert truth.copy == "first"
    truth.away = False
    assert await replicas.refreshed("keys")
    assert truth.copy == "second"


async def test_a_copy_that_cannot_be_read_keeps_no_other_from_being_fresh(truth: Truth, replicas: Replicas) -> None:
    other = Truth()
    replicas.register("routes", other.load)
    truth.broken = True
    truth.change("second")
    assert not await replicas.refreshed("keys")
    assert await replicas.refreshed("routes")
    assert (truth.copy, other.copy) == ("first", "first")
    truth.broken = False
    assert await replicas.refreshed("keys")
    assert truth.copy == "second"


async def test_a_database_that_was_set_back_is_read_again(truth: Truth, replicas: Replicas) -> None:
    """From a backup: its counter is lower than that of the copy."""
    truth.value = "restored"
    truth.versions = {}
    assert await replicas.refreshed("keys")
    assert truth.copy == "restored"


async def test_stopping_twice_is_safe_and_leaves_nobody_waiting(truth: Truth, wire: Wire, replicas: Replicas) -> None:
    waiting = asyncio.create_task(replicas.refreshed("keys"))
    await asyncio.sleep(0)
    await replicas.stop()
    await replicas.stop()
    assert isinstance(await waiting, bool)
    assert wire.subscribers == []


async def test_a_name_is_registered_once(truth: Truth, replicas: Replicas) -> None:
    with pytest.raises(ValueError, match="keys"):
        replicas.register("keys", truth.load)
