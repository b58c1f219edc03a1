"""Loads under way: joined, in turns, bounded, ended with the last one who waits, and told as swaps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from junto.catalog.model import Kind, Resolution
from junto.core.errors import FailureKind, InvalidField, Overloaded, Unsupported, UpstreamFailed, UpstreamFailure
from junto.core.sensitivity import Locality
from junto.gateway.loading import Loader, Move
from junto.routing.facts import BackendLive, DeploymentFacts, Live, Stage, Strategy

if TYPE_CHECKING:
    from junto.gateway.heartbeat import Heartbeats
    from junto.gateway.runtime import Current
    from junto.ports.observer import SwapEnded

pytestmark = pytest.mark.anyio


@dataclass
class Backend:
    """A provider as far as loading goes: `gate` holds loads, `failure` is raised by them."""

    name: str
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    calls: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def load(self, model: str) -> None:
        self.calls.append(f"load {model}")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.calls.append(f"broken off {model}")
            raise
        finally:
            self.at_once -= 1
        if self.failure is not None:
            raise self.failure

    async def unload(self, model: str) -> None:
        self.calls.append(f"unload {model}")
        if self.failure is not None:
            raise self.failure


@dataclass
class Target:
    deployment: DeploymentFacts
    provider: Backend


class Hurried:
    def __init__(self) -> None:
        self.names: list[str] = []

    def hurry(self, name: str) -> None:
        self.names.append(name)


class Told:
    def __init__(self) -> None:
        self.swaps: list[SwapEnded] = []

    def swap_ended(self, swap: SwapEnded) -> None:
        self.swaps.append(swap)


class Clock:
    def monotonic(self) -> float:
        return 1.0

    def wall_ms(self) -> int:
        return 1_000


class Ground:
    """Models by name on backends by name, and the loader over them."""

    def __init__(self, models: dict[str, tuple[str, ...]], **options: Any) -> None:
        names = {name for backends in models.values() for name in backends}
        self.backends = {name: Backend(name) for name in names}
        self.lives = {name: BackendLive(resident=frozenset()) for name in names}
        self.told, self.hurried = Told(), Hurried()
        facts = {
            model: tuple(
                DeploymentFacts(
                    backend=name,
                    model=model,
                    upstream_model=model,
                    provider="fake",
                    locality=Locality.LOCAL,
                    live=Live(),
                    backend_live=self.lives[name],
                )
                for name in backends
            )
            for model, backends in models.items()
        }
        self.targets = {d.key: Target(d, self.backends[d.backend]) for each in facts.values() for d in each}
        self.resolutions = {
            model: Resolution(
                name=model,
                kind=Kind.MODEL,
                stages=(Stage(name=model, strategy=Strategy.SMART, candidates=candidates),),
            )
            for model, candidates in facts.items()
        }
        self.runtime = self
        self.snapshot = self
        self.loader = Loader(
            cast("Current", self),
            heartbeats=cast("Heartbeats", self.hurried),
            clock=Clock(),
            observer=self.told,
            **options,
        )

    def resolve(self, name: str) -> Resolution:
        return self.resolutions[name]

    def waiting(self, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(self.loader.move(Move.LOAD, name))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_two_who_want_the_same_share_one_load() -> None:
    ground = Ground({"m": ("desk",)})
    first, second = ground.waiting("m"), ground.waiting("m")
    await settle()
    assert dict(ground.loader.under_way) == {"desk/m": Move.LOAD}
    ground.backends["desk"].gate.set()
    assert await first == await second
    assert ground.backends["desk"].calls == ["load m"]
    assert ground.lives["desk"].resident == frozenset({"m"})
    assert ground.hurried.names == ["desk"]
    assert [(swap.backend, swap.model, swap.operation, swap.failure) for swap in ground.told.swaps] == [
        ("desk", "m", "load", "")
    ]


async def test_loads_at_one_backend_take_turns_and_at_several_do_not() -> None:
    ground = Ground({"a": ("desk",), "b": ("desk",), "c": ("rack",)})
    tasks = [ground.waiting(name) for name in "abc"]
    await settle()
    assert (ground.backends["desk"].calls, ground.backends["rack"].calls) == (["load a"], ["load c"])
    for backend in ground.backends.values():
        backend.gate.set()
    await asyncio.gather(*tasks)
    assert ground.backends["desk"].most_at_once == 1


async def test_a_load_ends_with_the_last_one_who_waits_for_it() -> None:
    ground = Ground({"m": ("desk",)})
    first, second = ground.waiting("m"), ground.waiting("m")
    await settle()
    first.cancel()
    await settle()
    assert ground.backends["desk"].calls == ["load m"]
    second.cancel()
    await settle()
    assert ground.backends["desk"].calls == ["load m", "broken off m"]
    assert (dict(ground.loader.under_way), dict(ground.loader.failures)) == ({}, {"desk/m": "cancelled"})


async def test_one_that_may_go_on_alone_does() -> None:
    ground = Ground({"m": ("desk",)})
    assert await ground.loader.move(Move.LOAD, "m", patience=0.01) is None
    other = ground.waiting("m")
    await settle()
    other.cancel()
    await settle()
    assert ground.backends["desk"].calls == ["load m"]
    ground.backends["desk"].gate.set()
    await settle()
    assert ground.lives["desk"].resident == frozenset({"m"})


async def test_no_more_than_so_many_go_on_at_once() -> None:
    ground = Ground({"a": ("desk",), "b": ("rack",)}, most=1)
    first = ground.waiting("a")
    await settle()
    with pytest.raises(Overloaded) as refused:
        await ground.loader.move(Move.LOAD, "b")
    assert refused.value.retry_after
    ground.backends["desk"].gate.set()
    await first
    ground.backends["rack"].gate.set()
    assert await ground.loader.move(Move.LOAD, "b") is not None


async def test_the_next_backend_is_tried_and_the_failure_kept_until_it_goes_well() -> None:
    ground = Ground({"m": ("desk", "rack")})
    for backend in ground.backends.values():
        backend.gate.set()
    ground.backends["desk"].failure = UpstreamFailure(FailureKind.CONNECT)
    moved = await ground.loader.move(Move.LOAD, "m")
    assert moved is not None
    assert moved.backends == ("rack",)
    assert dict(ground.loader.failures) == {"desk/m": "connect"}
    ground.backends["desk"].failure = None
    ground.lives["rack"].up = False
    await ground.loader.move(Move.LOAD, "m")
    assert dict(ground.loader.failures) == {}


async def test_when_none_can_each_says_why() -> None:
    ground = Ground({"m": ("desk", "rack")})
    for backend in ground.backends.values():
        backend.gate.set()
        backend.failure = UpstreamFailure(FailureKind.CONNECT)
    with pytest.raises(UpstreamFailed) as failed:
        await ground.loader.move(Move.LOAD, "m")
    assert failed.value.reasons == ("desk: connect", "rack: connect")


async def test_a_backend_that_knows_no_loading_is_no_failure_and_no_swap() -> None:
    ground = Ground({"m": ("desk",)})
    ground.backends["desk"].gate.set()
    ground.backends["desk"].failure = Unsupported("desk loads m by itself.")
    with pytest.raises(InvalidField) as refused:
        await ground.loader.move(Move.LOAD, "m")
    assert "by itself" in refused.value.message
    assert ground.told.swaps == []
    lenient = await ground.loader.move(Move.LOAD, "m", lenient=True)
    assert lenient is not None
    assert lenient.backends == ()


async def test_what_is_in_memory_already_is_loaded_again_and_no_swap() -> None:
    """It sets the time anew for which the backend keeps it."""
    ground = Ground({"m": ("desk", "rack")})
    ground.lives["rack"].resident = frozenset({"m"})
    ground.backends["rack"].gate.set()
    moved = await ground.loader.move(Move.LOAD, "m")
    assert moved is not None
    assert moved.backends == ("rack",)
    assert ground.told.swaps == []


async def test_closing_breaks_off_what_is_under_way() -> None:
    ground = Ground({"m": ("desk",)})
    assert await ground.loader.move(Move.LOAD, "m", patience=0.01) is None
    await ground.loader.close()
    await ground.loader.close()
    assert ground.backends["desk"].calls == ["load m", "broken off m"]
