"""Claims jobs in the database's order and runs them, as many as there is room for.

A hint from the queue, or a look every second, starts a round of claims: which job is next is decided by the database, never by the
queue. While there is no room no hint is taken, so that a worker which has some gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded
from junto.ports.jobs import Kind, Room
from junto.worker.batching import Batching
from junto.worker.hardware import Hardware, in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.gateway.runtime import Current
    from junto.jobs.runs import Runs
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim, WorkStore
    from junto.ports.queue import JobQueue

_POLL_SECONDS: Final = 1.0
_HINTS_AT_ONCE: Final = 8
_CLAIMS_AT_ONCE: Final = 32


class Worker:
    """One for a process; `runs` has the room and the jobs that run. `speech` is how many of those may be speech, by now."""

    def __init__(
        self,
        store: WorkStore,
        runs: Runs,
        queue: JobQueue,
        *,
        current: Current,
        clock: Clock,
        speech: Callable[[], int] = lambda: 0,
        poll: float = _POLL_SECONDS,
    ) -> None:
        self._store = store
        self._runs = runs
        self._queue = queue
        self._current = current
        self._clock = clock
        self._speech = speech
        self._poll = poll
        self._batching = Batching()
        self._hardware = Hardware()
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._claiming: asyncio.Task[None] | None = None
        self._looks = False  # a round of claims is under way
        self._left_some = True  # jobs may wait for which there was no room
        self._log = structlog.get_logger()

    async def start(self) -> None:
        """Begin to take jobs."""
        if self._claiming is None:
            self._runs.start(self._ended)
            self._has_room.set()
            self._wake.set()
            self._claiming = asyncio.create_task(self._run(), name="junto-worker")
            await self._queue.start(self._rung, concurrency=_HINTS_AT_ONCE)

    async def stop(self, *, grace: float) -> None:
        """Claim no more, let what runs end for so many seconds, then give the rest back at once. Safe to call twice."""
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)
            self._has_room.set()
            await self._queue.stop(grace=0)
        await self._runs.stop(grace=grace)

    async def claim_all(self) -> int:
        """Claim what there is room for now, and start it; how many jobs that were. Raises Overloaded."""
        count = 0
        self._looks = True
        try:
            self._left_some = True
            while (room := self._room()) is not None:
                claims, since, limit = await self._claim(room)
                for claim in claims:
                    self._runs.begin(claim, since=since)
                count += len(claims)
                if len(claims) < min(most for most in (limit, room.local, room.cloud) if most > 0):
                    if 0 < room.speech <= sum(claim.job.kind is Kind.SPEECH for claim in claims):
                        continue  # others may have been behind speech that there was no room for
                    # What waits for the other kind of room, or for models without any, was not looked at.
                    no_speech = room.speech <= 0 < self._speech()
                    self._left_some = room.local <= 0 or bool(room.full) or no_speech
                    break
        finally:
            self._looks = False
        if not self._runs.free:
            self._has_room.clear()
        return count

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.claim_all()
            except Overloaded:
                pass  # the database is away: the jobs are in it, and so are theirs
            except Exception:  # noqa: BLE001  whatever it is, jobs must be looked for again
                self._log.exception("claiming_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._wake.wait()

    async def _rung(self, _tenant_id: str, _job_id: str) -> None:
        """A hint came. It is kept while there is no room, so that no more are taken."""
        await self._has_room.wait()
        self._wake.set()

    def _ended(self) -> None:
        """Room was made. Where nothing waited for it, the next hint is early enough."""
        self._has_room.set()
        if self._looks or self._left_some:
            self._wake.set()

    async def _claim(self, room: Room) -> tuple[Sequence[Claim], float, int]:
        since = self._clock.monotonic()
        prefer = in_memory(self._current.runtime) if room.local > 0 and self._batching.prefers(since) else ()
        limit = self._batching.left if prefer else _CLAIMS_AT_ONCE
        claiming = asyncio.ensure_future(
            self._store.claim(self._runs.worker, room, lease_ms=self._runs.lease_ms, limit=limit, prefer=prefer)
        )
        try:
            claims = await asyncio.shield(claiming)
        except asyncio.CancelledError:  # the claim may happen all the same, and then nobody would run it for a lease
            await self._give_back(claiming)
            raise
        self._batching.took(sum(claim.job.model in prefer for claim in claims), since)
        return claims, since, limit

    async def _give_back(self, claiming: asyncio.Future[Sequence[Claim]]) -> None:
        with contextlib.suppress(Overloaded):
            for claim in await claiming:
                await self._store.release(claim)

    def _room(self) -> Room | None:
        free = self._runs.free
        if not free:
            return None
        local = self._hardware.room(self._current.runtime, self._runs.local, self._runs.most)
        speech = max(0, min(free, self._speech() - self._runs.speaking))
        return Room(local=min(free, local.at_once), cloud=free, full=local.full, speech=speech)
