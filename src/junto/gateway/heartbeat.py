"""Heartbeats: asks every backend now and then whether it is there, what models it has and what is in its memory.

Carries no user content. Writes the backends' live facts, keeps the last good probe, and tells when the catalog has to be
built anew. Takes no decision about requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from junto.core.errors import FailureKind, UpstreamFailure
from junto.gateway.lockout import let_in, locked_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.ports.clock import Clock
    from junto.ports.provider import Probe, Provider
    from junto.routing.facts import BackendLive

_TICK = 1.0
_DOWN_EVERY = 2.0  # a backend that is away is asked more often, so that it is used again soon
_PROBE_SECONDS = 15.0


@dataclass(slots=True, kw_only=True)
class Watched:
    """One backend under watch. `every` is seconds between probes; `live` is what routing reads.

    An `optional` one was not configured: it is used if it is there, and its absence is not worth a word.
    """

    name: str
    provider: Provider
    live: BackendLive
    every: float
    optional: bool = False
    key_hint: str = ""  # where its key is configured, for the log
    probe: Probe | None = None
    failure: str = ""
    latency_ms: int = 0
    checked_ms: int = 0
    due: float = 0.0
    busy: bool = field(default=False, repr=False)

    @property
    def found(self) -> tuple[object, ...]:
        """What the catalog is built from; a change of it means a new snapshot."""
        return () if self.probe is None else self.probe.models

    @property
    def is_shown(self) -> bool:
        """Whether people should hear of it."""
        return not self.optional or self.probe is not None


class Heartbeats:
    """Watches the backends that it is given; `watch` replaces them on reload, keeping what is known of those that stay."""

    def __init__(self, *, clock: Clock, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._watched: dict[str, Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    @property
    def backends(self) -> Mapping[str, Watched]:
        """Every backend under watch by name."""
        return self._watched

    @property
    def found(self) -> dict[str, Probe]:
        """The last good probe of each backend that has had one."""
        return {name: watched.probe for name, watched in self._watched.items() if watched.probe is not None}

    def watch(self, backends: Sequence[Watched]) -> None:
        """From now on these; a backend whose provider object stayed the same keeps its probe."""
        known = self._watched
        for backend in backends:
            before = known.get(backend.name)
            if before is not None and before.provider is backend.provider:
                backend.probe, backend.failure = before.probe, before.failure
                backend.latency_ms, backend.checked_ms = before.latency_ms, before.checked_ms
        self._watched = {backend.name: backend for backend in backends}

    def hurry(self, name: str) -> None:
        """Something about that backend has just changed: probe it at the next tick."""
        backend = self._watched.get(name)
        if backend is not None:
            backend.due = 0.0

    async def beat(self) -> None:
        """Probe every backend that is due, side by side, and wait for all of them."""
        now = self._clock.monotonic()
        due = [backend for backend in self._watched.values() if now >= backend.due and not backend.busy]
        if not due:
            return
        await asyncio.gather(*(self._probe(backend) for backend in due))

    def start(self) -> None:
        """Begin to beat in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="heartbeats")

    async def stop(self) -> None:
        """End; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        pending: set[asyncio.Task[None]] = set()
        try:
            while True:
                # Not awaited: one backend that hangs must not keep the others from being asked.
                beat = asyncio.create_task(self.beat())
                pending.add(beat)
                beat.add_done_callback(pending.discard)
                await asyncio.sleep(_TICK)
        finally:
            for beat in pending:
                beat.cancel()

    async def _probe(self, backend: Watched) -> None:
        backend.busy = True
        started = self._clock.monotonic()
        failure = ""
        probe: Probe | None = None
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                probe = await backend.provider.probe()
        except UpstreamFailure as error:
            failure = error.kind.value
        except TimeoutError:
            failure = "timeout"
        except Exception:  # noqa: BLE001  a provider's defect must not stop the watch over the others
            self._log.exception("probe_failed", backend=backend.name)
            failure = "internal_error"
        finally:
            backend.busy = False
        if self._watched.get(backend.name) is not backend:
            return  # a reload came in between: what this provider said is of no interest any more
        self._note(backend, probe, failure, started)

    def _note(self, backend: Watched, probe: Probe | None, failure: str, started: float) -> None:
        now = self._clock.monotonic()
        before = backend.found
        if probe is not None:
            backend.probe = probe
            residents = probe.residents
            backend.live.resident = None if residents is None else frozenset(each.name for each in residents)
        if failure == FailureKind.CREDENTIALS.value and backend.is_shown:
            locked_out(backend.live, backend=backend.name, key_hint=backend.key_hint)
        elif backend.failure == FailureKind.CREDENTIALS.value and not failure:
            let_in(backend.live)
        if backend.is_shown and bool(failure) != bool(backend.failure):
            self._log.info("backend_down" if failure else "backend_up", backend=backend.name, failure=failure or None)
        backend.failure = failure
        backend.live.up = not failure
        backend.latency_ms = int((now - started) * 1000)
        backend.checked_ms = self._clock.wall_ms()
        backend.due = now + (min(_DOWN_EVERY, backend.every) if failure else backend.every)
        if backend.found != before:  # told at once: another backend may keep this beat waiting, or make it fail
            self._on_change()
