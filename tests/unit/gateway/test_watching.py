"""Heartbeats: what one backend says counts at once, whatever another one does."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from junto.core.errors import FailureKind, UpstreamFailure
from junto.gateway.heartbeat import Heartbeats, Watched
from junto.ports.provider import FoundModel, Probe
from junto.providers.fake import Fake
from junto.routing.facts import BackendLive
from tests.unit.gateway.one_backend import StillClock

pytestmark = pytest.mark.anyio


class Slow(Fake):
    """A backend whose probe takes until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def probe(self) -> Probe:
        self.asked.set()
        await self.may_answer.wait()
        return Probe(models=(FoundModel(name="late"),))


def watched(provider: Fake, live: BackendLive | None = None) -> Watched:
    return Watched(name=provider.name, provider=provider, live=live or BackendLive(), every=10)


async def test_a_backend_that_answers_is_told_of_while_another_one_hangs() -> None:
    changes: list[int] = []
    beats = Heartbeats(clock=StillClock(), on_change=lambda: changes.append(len(beats.found)))
    hanging = Slow("hanging")
    beats.watch([watched(hanging), watched(Fake("quick"))])
    beat = asyncio.create_task(beats.beat())
    await hanging.asked.wait()
    await asyncio.sleep(0)
    assert changes == [1]
    beat.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beat
    assert list(beats.found) == ["quick"]


async def test_a_probe_that_began_before_a_reload_says_nothing_about_what_came_after() -> None:
    changes: list[None] = []
    beats = Heartbeats(clock=StillClock(), on_change=lambda: changes.append(None))
    old, live = Slow("desk"), BackendLive()
    beats.watch([watched(old, live)])
    beat = asyncio.create_task(beats.beat())
    await old.asked.wait()
    beats.watch([watched(Fake("desk"), live)])
    live.up = False
    old.may_answer.set()
    await beat
    assert not live.up
    assert not changes
    assert beats.found == {}


async def test_only_a_change_of_the_models_is_told() -> None:
    changes: list[None] = []
    clock = StillClock()
    beats = Heartbeats(clock=clock, on_change=lambda: changes.append(None))
    beats.watch([watched(Fake("desk"))])
    await beats.beat()
    clock.now += 60
    await beats.beat()
    assert len(changes) == 1


async def test_a_backend_that_refuses_the_key_at_its_heartbeat_is_told_once_until_it_takes_it() -> None:
    clock = StillClock()
    desk = Fake("desk", probe_failure=UpstreamFailure(FailureKind.CREDENTIALS))
    live = BackendLive()
    beats = Heartbeats(clock=clock, on_change=lambda: None)
    beats.watch([Watched(name="desk", provider=desk, live=live, every=10, key_hint="backends: desk: api_key")])

    async def beat() -> list[str]:
        clock.now += 60
        with capture_logs() as lines:
            await beats.beat()
        return [line["look_at"] for line in lines if line["event"] == "backend_refuses_key"]

    assert await beat() == ["backends: desk: api_key"]
    assert await beat() == []
    assert [live.locked_out] == [True]
    desk.probe_failure = None
    assert await beat() == []
    assert [live.locked_out] == [False]
    desk.probe_failure = UpstreamFailure(FailureKind.CREDENTIALS)
    assert len(await beat()) == 1
