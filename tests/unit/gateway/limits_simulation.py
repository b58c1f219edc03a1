"""Several nodes over one store of limits in simulated time: minutes pass in milliseconds, and every run is the same again."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from junto.coordination.limiter_memory import MemoryBuckets
from junto.gateway.limits import Limiter
from junto.ports.limiter import Answer, BucketsAway, Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from random import Random

_PATIENCE = 0.5  # as that of the store in Redis


class _Leaping(selectors.DefaultSelector):
    """Does not wait for the time to pass, but lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        self.time += max(0.0, timeout)
        return super().select(0)


class SimulatedTime:
    """A clock that goes with the loop."""

    def __init__(self, selector: _Leaping) -> None:
        self._selector = selector

    def monotonic(self) -> float:
        return self._selector.time

    def wall_ms(self) -> int:
        return 1_800_000_000_000 + int(self._selector.time * 1000)


def simulate(scenario: Callable[[SimulatedTime], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario to its end in simulated time."""
    selector = _Leaping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.time  # type: ignore[method-assign]
    try:
        loop.run_until_complete(scenario(SimulatedTime(selector)))
    finally:
        loop.close()


class Network:
    """The way to the store: it takes a while each way, and may be cut before or after the store has heard."""

    def __init__(self, store: MemoryBuckets, random: Random, *, longest: float) -> None:
        self.store = store
        self.away = False
        self.loses = 0.0  # the part of the visits whose answer is lost
        self._random = random
        self._longest = longest

    async def visit(self, visit: Visit) -> Answer:
        if self.away:
            raise BucketsAway("away")
        there, back = (self._random.random() * self._longest for _ in range(2))
        await asyncio.sleep(there)
        answer = self.store.carry_out(visit)
        if there + back > _PATIENCE or self._random.random() < self.loses:
            await asyncio.sleep(max(0.0, _PATIENCE - there))
            raise BucketsAway("too late")
        await asyncio.sleep(back)
        return answer

    async def close(self) -> None:
        """Nothing to let go of."""


@asynccontextmanager
async def running_nodes(
    count: int, clock: SimulatedTime, network: Callable[[], Network | MemoryBuckets]
) -> AsyncIterator[list[Limiter]]:
    """Nodes that have found each other."""
    nodes = [Limiter(network(), clock=clock, node_id=f"node-{number}") for number in range(count)]
    for node in nodes:
        await node.start()
    await asyncio.sleep(1)
    try:
        yield nodes
    finally:
        for node in nodes:
            await node.close()


def most_in_a_minute(admitted: list[tuple[float, int]], *, ending_after: float = 0.0) -> int:
    """The most that was admitted in any 60 seconds that end with an admission later than `ending_after`."""
    admitted = sorted(admitted)
    most = total = first = 0
    for at, amount in admitted:
        total += amount
        while admitted[first][0] <= at - 60:
            total -= admitted[first][1]
            first += 1
        if at > ending_after:
            most = max(most, total)
    return most
