"""Opens the database, the journal and what runs over them, and takes them down again in reverse order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.flusher import Flusher
from junto.storage.folding import answer_folder
from junto.storage.journal import Journal
from junto.storage.lock import DataDirLock
from junto.storage.retention import Retention
from junto.storage.sessions import Sessions
from junto.storage.writer import ExchangeWriter
from junto.web.app import INFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from junto.ports.clock import Clock
    from junto.settings.model import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the rest of Junto uses of it."""

    journal: Journal
    database: Database
    sessions: Sessions
    exchanges: StoredExchanges
    replayed: Callable[[], bool]  # whether what an earlier process left in the journal is in the database

    async def answers(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self.database.reader.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True


async def open_storage(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Storage:
    """Open everything, the lock on the data directory first; raises DataDirInUse, SchemaTooNew."""
    lock = DataDirLock(settings.data_dir)
    lock.acquire()
    stack.callback(lock.release)
    journal = Journal(settings.data_dir / "journal")
    left = journal.open().records
    stack.callback(journal.close)
    database = await stack.enter_async_context(Database(settings.data_dir))
    flusher = Flusher(journal, ExchangeWriter(database.writer, compress=settings.storage.compress))
    flusher.start()
    stack.push_async_callback(flusher.stop)
    if settings.storage.retention_days is not None:
        retention = Retention(database.writer, clock, days=settings.storage.retention_days)
        retention.start()
        stack.push_async_callback(retention.stop)
    wires = {wire.name: wire for wire in INFERENCE.values()}
    exchanges = StoredExchanges(
        database.reader,
        fold_answer=answer_folder(wires),
        waiting=lambda: (journal.waiting_rows, journal.waiting_bytes),
    )
    return Storage(
        journal=journal,
        database=database,
        sessions=Sessions(database),
        exchanges=exchanges,
        replayed=lambda: flusher.stored + flusher.refused >= left,
    )
