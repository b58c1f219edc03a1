"""Every few seconds, on any node: what ran out, what was lost and what is old is put right.

Each finding is one small transaction, guarded by what it was found in, so that any number of nodes may sweep. A database that is
away is tried again at the next sweep.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded
from junto.jobs.telling import ended_unrun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.jobs.news import News
    from junto.ports.jobs import Lapsed, MakeId, SweepStore
    from junto.ports.observer import JobObserver
    from junto.ports.queue import JobQueue

    type Expire = Callable[..., Awaitable[Sequence[Lapsed]]]

SWEEP_SECONDS: Final = 5.0
_KEYS_MS: Final = 24 * 3600 * 1000
_DAY_MS: Final = 24 * 3600 * 1000
_SHALLOW: Final = 64  # hints that are made sure of; whoever has room finds the rest in the database
_RARELY: Final = 12  # sweeps between two looks for what is old
_AT_ONCE: Final = 100  # findings in one transaction
_DELETED_AT_ONCE: Final = 200
_DELETIONS: Final = 10  # in one sweep: the next one deletes the rest, so that leases are looked at in time


class Sweeper:
    """One for a process. `retention_days` None keeps ended jobs for ever."""

    def __init__(
        self,
        store: SweepStore,
        queue: JobQueue,
        *,
        news: News,
        observer: JobObserver,
        make_id: MakeId,
        retention_days: Callable[[], int | None],
        every: float = SWEEP_SECONDS,
    ) -> None:
        self._store = store
        self._queue = queue
        self._news = news
        self._observer = observer
        self._make_id = make_id
        self._retention_days = retention_days
        self._every = every
        self._sweeps = 0
        self._is_behind = False  # there was more to delete than one sweep deletes
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Sweep in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-sweeper")

    async def stop(self) -> None:
        """Sweep no more; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sweep(self) -> None:
        """Put right what there is now; raises Overloaded when the database is away."""
        await self._expire(self._store.expire_leases)
        await self.end_overdue()
        await self._ring()
        self._count("reservations", await self._store.settle_orphans())
        if self._sweeps % _RARELY == 0 or self._is_behind:
            self._count("idempotency_keys", await self._store.forget_keys(older_ms=_KEYS_MS))
            if (days := self._retention_days()) is not None:
                await self._delete_ended(days * _DAY_MS)
        self._sweeps += 1

    async def end_overdue(self) -> None:
        """End the pending jobs whose deadline passed, by the database's clock, and tell who waits; raises Overloaded."""
        await self._expire(self._store.expire_deadlines)

    async def _expire(self, expire: Expire) -> None:
        """All there is, in many small transactions: a worker that is lost may have had hundreds of jobs."""
        while True:
            lapsed = await expire(make_id=self._make_id, limit=_AT_ONCE)
            await self._tell(lapsed)
            if len(lapsed) < _AT_ONCE:
                return

    async def _delete_ended(self, older_ms: int) -> None:
        for _ in range(_DELETIONS):
            deleted = await self._store.delete_ended(older_ms=older_ms, limit=_DELETED_AT_ONCE)
            self._count("deleted", deleted)
            self._is_behind = deleted == _DELETED_AT_ONCE
            if not self._is_behind:
                return

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Overloaded:
                pass
            except Exception:  # noqa: BLE001  one thing that cannot be put right must not keep the others from it
                self._log.exception("sweep_failed")
            await asyncio.sleep(self._every)

    async def _tell(self, lapsed: Sequence[Lapsed]) -> None:
        for one in lapsed:
            self._log.warning("job_swept", job_id=one.job.id, status=one.status.value, error=one.job.error_code)
            if one.status.is_end:
                self._observer.job_ended(ended_unrun(one.job))
        # Together: each waits for a broker that hangs, and the next look at leases must not come late for it.
        await asyncio.gather(*(self._news.changed(one.job.id, one.status.value) for one in lapsed))
        ended = sum(one.status.is_end for one in lapsed)
        self._count("failed", ended)
        self._count("requeued", len(lapsed) - ended)

    async def _ring(self) -> None:
        """Publish hints again where the queue has run dry: they are cheap, and claiming decides."""
        if await self._queue.depth():
            return
        rung = 0
        for tenant_id, job_id in await self._store.waiting(limit=_SHALLOW):
            if not await self._queue.publish(tenant_id, job_id):
                break  # the queue is full, or its broker away: the others would wait for it one by one
            rung += 1
        self._count("republished", rung)

    def _count(self, what: str, count: int) -> None:
        if count:
            self._observer.swept(what=what, count=count)
