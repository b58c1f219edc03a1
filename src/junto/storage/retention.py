"""The background service that deletes exchanges, bodies and all, when they are older than the operator keeps them.

What else has a time to live (conversations) is given at the start, and deleted in the same sweeps.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from sqlalchemy import delete, select

from junto.storage.away import why
from junto.storage.sessions import OPERATOR
from junto.storage.tables.exchanges import BODIES, EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.clock import Clock
    from junto.storage.sessions import Sessions

_log = structlog.get_logger(__name__)

_DAY_MS = 24 * 60 * 60 * 1000
_PAGES_PER_VACUUM = 256


class Purge(Protocol):
    """What has a time to live of its own."""

    async def __call__(self, *, limit: int) -> int:
        """Delete at most so many that are over it; how many went."""


class Retention:
    """Sweeps at start and every `interval` seconds after that; deletes in small transactions, so that flushing goes on.

    `days` is how long exchanges are kept (None: for ever); each of `along` deletes what else is too old.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        *,
        days: int | None,
        interval: float = 3600.0,
        batch_rows: int = 500,
        pause: float = 0.02,
        along: Sequence[Purge] = (),
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._days = days
        self._interval = interval
        self._batch_rows = batch_rows
        self._pause = pause
        self._purges: tuple[Purge, ...] = (*(() if days is None else (self._delete_exchanges,)), *along)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-retention")

    async def stop(self) -> None:
        """End after the transaction under way. Safe to call twice."""
        self._stopping.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    async def sweep(self) -> int:
        """Delete what is too old and give the space back to the file system; returns how many exchanges and others went."""
        deleted = 0
        for purge in self._purges:
            while not self._stopping.is_set():
                count = await purge(limit=self._batch_rows)
                deleted += count
                if count < self._batch_rows:
                    break
                await self._wait(self._pause)
        if deleted:
            await self._give_space_back()
        return deleted

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                deleted = await self.sweep()
            except Exception as error:  # noqa: BLE001  a database that is away now is tried again at the next sweep
                _log.warning("retention.sweep_failed", error=why(error))
            else:
                if deleted:
                    _log.info("retention.swept", deleted=deleted, days=self._days)
            await self._wait(self._interval)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _delete_exchanges(self, *, limit: int) -> int:
        before_ms = self._clock.wall_ms() - (self._days or 0) * _DAY_MS
        first = select(EXCHANGES.c.id, EXCHANGES.c.started_ms).order_by(EXCHANGES.c.id).limit(limit).subquery()
        oldest = select(first.c.id).where(first.c.started_ms < before_ms)
        async with self._sessions.write(OPERATOR) as session:
            await session.execute(delete(BODIES).where(BODIES.c.id.in_(oldest)))
            return (await session.execute(delete(EXCHANGES).where(EXCHANGES.c.id.in_(oldest)))).rowcount

    async def _give_space_back(self) -> None:
        """Shrink the file by its free pages, a few at a time."""
        while not self._stopping.is_set() and await self._vacuum_some():
            await self._wait(self._pause)

    async def _vacuum_some(self) -> bool:
        """Whether there was a free page to give back."""
        async with self._sessions.write(OPERATOR) as session:
            connection = session.connection
            if connection.dialect.name != "sqlite":
                return False  # Postgres sees to its free pages itself
            free = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
            if free:
                # The pragma has to be stepped through, a page at a time; only executescript does that for a row-less statement.
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.executescript(f"PRAGMA incremental_vacuum({_PAGES_PER_VACUUM})")
        return bool(free)
