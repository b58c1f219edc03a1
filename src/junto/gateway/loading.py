"""Bringing models into the memory of local backends and putting them out, for people and for Ollama's clients.

Owns the loads under way: a second request for the same joins the first, those at one backend take turns, and a load ends when
the last one who waits for it goes away, unless it was told that it may go on alone. Knows no dialect and no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from junto.catalog.model import Kind
from junto.core.errors import (
    FailureKind,
    Forbidden,
    InvalidField,
    NotFound,
    Overloaded,
    Unsupported,
    UpstreamFailed,
    UpstreamFailure,
)
from junto.core.sensitivity import Locality
from junto.ports.observer import SwapEnded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.gateway.heartbeat import Heartbeats
    from junto.gateway.runtime import Current, Target
    from junto.ports.clock import Clock
    from junto.ports.observer import SwapObserver
    from junto.routing.facts import DeploymentFacts

_MOST_UNDER_WAY = 8
_LONGEST_SECONDS = 900.0
_RETRY_AFTER = 5.0
_INTERNAL: Final = "internal_error"


class Move(StrEnum):
    """The two directions."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A model is where it was asked to be: on these backends, after so long."""

    model: str
    backends: tuple[str, ...]
    milliseconds: int


@dataclass(slots=True, kw_only=True)
class _Work:
    """One load or unload under way, and how many wait for it. `alone`: it goes on when nobody does."""

    task: asyncio.Task[Moved]
    waiting: int = 0
    alone: bool = False


class Loader:
    """One for the process. `under_way` and `failures` are by deployment key, for lists of models."""

    def __init__(
        self,
        current: Current,
        *,
        heartbeats: Heartbeats,
        clock: Clock,
        observer: SwapObserver,
        most: int = _MOST_UNDER_WAY,
    ) -> None:
        self._current = current
        self._heartbeats = heartbeats
        self._clock = clock
        self._observer = observer
        self._most = most
        self._works: dict[tuple[Move, str], _Work] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by backend: bounded by their number
        self._under_way: dict[str, Move] = {}
        self._failures: dict[str, str] = {}

    @property
    def under_way(self) -> Mapping[str, Move]:
        """What is moving now."""
        return self._under_way

    @property
    def failures(self) -> Mapping[str, str]:
        """Why a deployment's last load or unload failed, until one goes well."""
        return self._failures

    async def move(
        self,
        move: Move,
        name: str,
        *,
        patience: float | None = None,
        allowed: frozenset[str] | None = None,
        lenient: bool = False,
    ) -> Moved | None:
        """Load or unload, and wait for it: for ever, or `patience` seconds; then it goes on alone, and None comes back.

        A load takes the first backend that does it: those that are up first, then where it is in memory already, then by priority.
        An unload empties all. Raises UnknownModel, NotFound, InvalidField (nothing of that name is ours to load), UpstreamFailed
        with a reason for each backend, Overloaded when too many are under way; Forbidden where `allowed`, a client's list of
        models, has none of that name. A `lenient` caller may name a group, and what is not ours to load is no error to it.
        """
        targets = self._targets(move, name, allowed, lenient=lenient)
        if not targets:
            return Moved(model=name, backends=(), milliseconds=0)
        work = self._join(move, self._current.runtime.snapshot.resolve(name).name, targets)
        work.waiting += 1
        try:
            done, _ = await asyncio.wait({work.task}, timeout=patience)
        finally:
            work.waiting -= 1
            if not work.task.done() and not work.waiting and not work.alone and patience is None:
                work.task.cancel()
        if not done:
            work.alone = True
            return None
        try:
            return work.task.result()
        except InvalidField:
            if lenient:
                return Moved(model=name, backends=(), milliseconds=0)
            raise

    async def close(self) -> None:
        """Break off what is under way; safe to call twice."""
        tasks = [work.task for work in self._works.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, move: Move, name: str, targets: Sequence[Target]) -> _Work:
        key = (move, name)
        work = self._works.get(key)
        if work is not None and not work.task.done():
            return work
        if len(self._works) >= self._most:
            raise Overloaded(f"{self._most} models are being loaded already.", retry_after=_RETRY_AFTER)
        task = asyncio.create_task(self._carry_out(move, name, targets), name=f"{move} {name}")
        work = self._works[key] = _Work(task=task)

        def over(task: asyncio.Task[Moved]) -> None:
            if self._works.get(key) is work:
                del self._works[key]
            if not task.cancelled():
                task.exception()  # seen: whoever waits raises it, and one that went on alone is in `failures`

        task.add_done_callback(over)
        return work

    def _targets(self, move: Move, name: str, allowed: frozenset[str] | None, *, lenient: bool) -> list[Target]:
        runtime = self._current.runtime
        resolution = runtime.snapshot.resolve(name)
        candidates = resolution.stages[0].candidates
        if allowed is not None:
            candidates = tuple(each for each in candidates if {each.model, each.key, resolution.name} & allowed)
            if not candidates:
                raise Forbidden(f"This key may not use the model {name[:100]!r}.", param="model")
        if resolution.kind is Kind.GROUP and not lenient:
            raise InvalidField(f"{name[:100]} is a group: name one of its models.", param="model")
        if not candidates:
            raise NotFound(f"No backend has {name[:100]!r} now.", param="model")
        local = [each for each in candidates if each.locality is Locality.LOCAL and each.enabled]
        if not local and not lenient:
            raise InvalidField(f"{name[:100]} runs in a cloud: there is nothing to {move}.", param="model")
        if move is Move.LOAD:
            local.sort(key=lambda each: (not each.backend_live.up, not _is_resident(each), each.priority))
        return [runtime.targets[each.key] for each in local]

    async def _carry_out(self, move: Move, name: str, targets: Sequence[Target]) -> Moved:
        started = self._clock.monotonic()
        refused: list[str] = []
        unable: list[str] = []
        done: list[str] = []
        for target in targets:
            backend = target.deployment.backend
            try:
                await self._carry_out_at(move, target)
            except UpstreamFailure as failure:
                refused.append(f"{backend}: {failure.kind.value}")
            except Unsupported as word:
                unable.append(word.message)
            else:
                done.append(backend)
                if move is Move.LOAD:
                    break
        if refused and (not done or move is Move.UNLOAD):
            raise UpstreamFailed(f"{name[:100]} could not be {move}ed.", reasons=refused, retry_after=_RETRY_AFTER)
        if not done:
            raise InvalidField(unable[0], param="model", reasons=unable)
        milliseconds = int((self._clock.monotonic() - started) * 1000)
        return Moved(model=name, backends=tuple(done), milliseconds=milliseconds)

    async def _carry_out_at(self, move: Move, target: Target) -> None:
        """One backend. Whatever comes of it, the swap is told, and the backend is looked at again soon."""
        facts = target.deployment
        act = target.provider.load if move is Move.LOAD else target.provider.unload
        async with self._turns[facts.backend]:
            was_resident = _is_resident(facts)
            started = self._clock.monotonic()
            failure, tells = _INTERNAL, True
            self._under_way[facts.key] = move
            try:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    await act(facts.upstream_model)
                failure = ""
            except UpstreamFailure as error:
                failure = error.kind.value
                raise
            except TimeoutError as late:
                failure = FailureKind.HEADERS_TIMEOUT.value
                raise UpstreamFailure(FailureKind.HEADERS_TIMEOUT, f"longer than {_LONGEST_SECONDS:g} s") from late
            except Unsupported:
                failure, tells = "", False
                raise
            except asyncio.CancelledError:
                failure = "cancelled"
                raise
            else:
                _note_residency(target, move)
                self._failures.pop(facts.key, None)
            finally:
                del self._under_way[facts.key]
                self._heartbeats.hurry(facts.backend)
                if failure:
                    self._failures[facts.key] = failure
                if tells and (failure or was_resident is not (move is Move.LOAD)):
                    self._tell(move, target, started, failure)

    def _tell(self, move: Move, target: Target, started: float, failure: str) -> None:
        with contextlib.suppress(Exception):  # counting must not fail what is counted
            self._observer.swap_ended(
                SwapEnded(
                    backend=target.deployment.backend,
                    model=target.deployment.model,
                    operation=move.value,
                    ended_ms=self._clock.wall_ms(),
                    milliseconds=int((self._clock.monotonic() - started) * 1000),
                    failure=failure,
                )
            )


def _is_resident(facts: DeploymentFacts) -> bool:
    resident = facts.backend_live.resident
    return resident is not None and facts.upstream_model in resident


def _note_residency(target: Target, move: Move) -> None:
    """What is known at once need not wait for the next heartbeat."""
    facts = target.deployment
    resident = facts.backend_live.resident
    if resident is not None:
        one = frozenset({facts.upstream_model})
        facts.backend_live.resident = resident | one if move is Move.LOAD else resident - one
