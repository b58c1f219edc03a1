"""The claims that this process holds: renewed together in time, let go when they cannot be.

Owns when a lease counts as lost here, which is earlier than in the database: whoever cannot renew stops its own upstream call
before another worker may begin one. Decides nothing about the job.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim, WorkStore

LEASE_SECONDS: Final = 30.0
_RENEWALS: Final = 3  # in one lease
_LOOKS: Final = 30  # in one lease, for cancellations and for leases that are over
_MARGIN: Final = 0.95


class Stopped(StrEnum):
    """Why an attempt was broken off from outside."""

    LOST = "lost"  # its lease
    CANCELLED = "cancelled"
    RELEASED = "released"  # the worker stops
    DEADLINE = "deadline"


class Held:
    """One claim, and the attempt that runs under it. The first reason to stop counts."""

    __slots__ = ("_attempt", "claim", "good_until", "stopped", "tokens")

    def __init__(
        self, claim: Claim, attempt: asyncio.Task[object], tokens: Callable[[], int], good_until: float
    ) -> None:
        self.claim = claim
        self.good_until = good_until
        self.stopped: Stopped | None = None
        self.tokens = tokens
        self._attempt = attempt

    def stop(self, why: Stopped) -> None:
        """Break the attempt off, and with it its upstream call."""
        if self.stopped is None and not self._attempt.done():
            self.stopped = why
            self._attempt.cancel()


class Leases:
    """One for a worker. `worker` is what its claims are made in the name of."""

    def __init__(self, store: WorkStore, clock: Clock, *, worker: str, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._now = clock.monotonic
        self.worker = worker
        self.seconds = seconds
        self._held: dict[tuple[str, str, int], Held] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    @property
    def milliseconds(self) -> int:
        """How long a lease is, for the database."""
        return int(self.seconds * 1000)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, claim: Claim, attempt: asyncio.Task[object], tokens: Callable[[], int], *, since: float) -> Held:
        """Keep a claim that was asked for at `since` (monotonic)."""
        held = self._held[claim.key] = Held(claim, attempt, tokens, since + self.seconds * _MARGIN)
        return held

    def let_go(self, held: Held) -> None:
        """The attempt has ended."""
        self._held.pop(held.claim.key, None)

    def cancel(self, job_id: str) -> None:
        """Stop the attempt at this job, if it runs here."""
        for held in tuple(self._held.values()):
            if held.claim.job.id == job_id:
                held.stop(Stopped.CANCELLED)

    def release_all(self) -> None:
        """Stop every attempt: the worker ends."""
        for held in tuple(self._held.values()):
            held.stop(Stopped.RELEASED)

    def start(self) -> None:
        """Renew, and look for cancellations, in the background."""
        if not self._tasks:
            works = (self._renewing, self._looking, self._enforcing)
            self._tasks = [asyncio.create_task(work(), name=f"junto-leases-{work.__name__}") for work in works]

    async def stop(self) -> None:
        """Renew no more; safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def renew(self) -> None:
        """Renew every claim once, and stop those that no longer hold; raises Overloaded."""
        held = tuple(self._held.values())
        if not held:
            return
        asked_at = self._now()
        renewals = await self._store.renew([(one.claim, one.tokens()) for one in held], lease_ms=self.milliseconds)
        good = {renewal.key: renewal for renewal in renewals}
        for one in held:
            renewal = good.get(one.claim.key)
            if renewal is None:
                if one.claim.key in self._held:  # else it ended meanwhile, of itself
                    one.stop(Stopped.LOST)
                continue
            one.good_until = asked_at + self.seconds * _MARGIN
            if renewal.cancel_requested:
                one.stop(Stopped.CANCELLED)

    async def look(self) -> None:
        """Look for jobs that are to be cancelled, should the signal have been lost; raises Overloaded."""
        if self._held:
            for key in await self._store.to_cancel(self.worker):
                if key in self._held:
                    self._held[key].stop(Stopped.CANCELLED)

    def enforce(self) -> None:
        """Stop what was not renewed in time."""
        now = self._now()
        for held in tuple(self._held.values()):
            if now >= held.good_until:
                held.stop(Stopped.LOST)

    async def _renewing(self) -> None:
        pause = self.seconds / _RENEWALS
        while True:
            await asyncio.sleep(pause)
            pause = self.seconds / _LOOKS  # until it goes well
            with self._patiently(), contextlib.suppress(Overloaded):
                await self.renew()
                pause = self.seconds / _RENEWALS

    async def _looking(self) -> None:
        while True:
            await asyncio.sleep(self.seconds / _LOOKS)
            with self._patiently(), contextlib.suppress(Overloaded):
                await self.look()

    async def _enforcing(self) -> None:
        while True:
            await asyncio.sleep(self.seconds / _LOOKS)
            self.enforce()

    @contextlib.contextmanager
    def _patiently(self) -> Iterator[None]:
        try:
            yield
        except Exception:  # noqa: BLE001  whatever it is, the leases must be tried again
            self._log.exception("leases_failed")
