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
    from collections.abc import Callable, Sequence

    from junto.jobs.news import News
    from junto.ports.jobs import Lapsed, MakeId, SweepStore
    from junto.ports.observer import JobObserver
    from junto.ports.queue import JobQueue

SWEEP_SECONDS: Final = 5.0
_KEYS_MS: Final = 24 * 3600 * 1000
_DAY_MS: Final = 24 * 3600 * 1000
_SHALLOW: Final = 64  # hints that are made sure of; whoever has room finds the rest in the database
_RARELY: Final = 12  # sweeps between two looks for what is old


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
        await self._tell(await self._store.expire_leases(make_id=self._make_id))
        await self._tell(await self._store.expire_deadlines(make_id=self._make_id))
        await self._ring()
        self._count("reservations", await self._store.settle_orphans())
        if self._sweeps % _RARELY == 0:
            self._count("idempotency_keys", await self._store.forget_keys(older_ms=_KEYS_MS))
            if (days := self._retention_days()) is not None:
                self._count("deleted", await self._store.delete_ended(older_ms=days * _DAY_MS))
        self._sweeps += 1

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
            await self._news.changed(one.job.id, one.status.value)
        ended = sum(one.status.is_end for one in lapsed)
        self._count("failed", ended)
        self._count("requeued", len(lapsed) - ended)

    async def _ring(self) -> None:
        """Publish hints again where the queue has run dry: they are cheap, and claiming decides."""
        if await self._queue.depth():
            return
        rung = 0
        for tenant_id, job_id in await self._store.waiting(limit=_SHALLOW):
            rung += await self._queue.publish(tenant_id, job_id)
        self._count("republished", rung)

    def _count(self, what: str, count: int) -> None:
        if count:
            self._observer.swept(what=what, count=count)
