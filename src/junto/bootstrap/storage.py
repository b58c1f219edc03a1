"""Opens the database, the journal and what runs over them, and takes them down again in reverse order."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.flusher import Flusher
from junto.storage.folding import answer_folder
from junto.storage.journal import Journal
from junto.storage.lock import DataDirLock
from junto.storage.repositories.conversations_rows import purge_conversations
from junto.storage.repositories.figures import purge_figures
from junto.storage.repositories.judge_runs import purge_runs
from junto.storage.repositories.judging import purge_judgements
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.repositories.rollups import Rollups
from junto.storage.repositories.scores import purge_links, purge_notes
from junto.storage.repositories.shadows import ShadowIntake, purge_shadows
from junto.storage.retention import Retention
from junto.storage.sealing import Sealer
from junto.storage.secret_name import keep_or_refuse
from junto.storage.sessions import Sessions
from junto.storage.writer import ExchangeWriter
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AsyncExitStack

    from junto.core.secret import Secret
    from junto.ports.clock import Clock
    from junto.settings.model import Settings

_PATIENCE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the rest of Junto uses of it. `start_flushing` once it is known which exchanges have shadows: a journal that was left behind has some."""

    journal: Journal
    database: Database
    sessions: Sessions
    exchanges: StoredExchanges
    intake: ShadowIntake
    start_flushing: Callable[[], None]
    replayed: Callable[[], bool]  # whether what an earlier process left in the journal is in the database

    async def answers(self) -> bool:
        """Whether the database answers now; one that takes longer than two seconds does not."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self.database.reader.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):  # TimeoutError is one of the latter
            return False
        return True


def database_of(settings: Settings) -> Database:
    """The database that the settings name, not opened; raises DatabaseUrlRefused."""
    return Database(settings.data_dir if settings.database_url is None else settings.database_url.reveal())


@contextmanager
def locked(settings: Settings, database: Database) -> Iterator[None]:
    """The data directory, and the SQLite file where that lies elsewhere, are this process's alone; raises DataDirInUse."""
    with ExitStack() as locks:
        locks.enter_context(DataDirLock(settings.data_dir))
        if database.is_file and database.path.parent.resolve() != settings.data_dir.resolve():
            locks.enter_context(DataDirLock(database.path.parent))
        yield


def sealer_of(secret: Secret | None) -> Sealer | None:
    """What encrypts stored bodies; None without a secret."""
    return None if secret is None else Sealer(secret, entropy=secrets.token_bytes)


async def open_storage(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Storage:
    """Open everything, the lock on the data directory first; raises DataDirInUse, SchemaError (OtherSecret among them), Overloaded."""
    database = database_of(settings)
    stack.enter_context(locked(settings, database))
    sealer = sealer_of(settings.secrets_key)
    journal = Journal(settings.data_dir / "journal", sealer=sealer)
    left = journal.open().records
    stack.callback(journal.close)
    await stack.enter_async_context(database)
    sessions = Sessions(database, sealer=sealer)
    await keep_or_refuse(sessions, None if sealer is None else sealer.name)
    intake = ShadowIntake()
    writer = ExchangeWriter(
        sessions,
        compress=settings.storage.compress,
        along=[LedgerWriter().post],
        of_new=[Rollups().count, intake.post],
        sealer=sealer,
    )
    flusher = Flusher(journal, writer)
    stack.push_async_callback(flusher.stop)
    retention = Retention(
        sessions,
        clock,
        days=settings.storage.retention_days,
        along=[
            partial(purge_conversations, sessions),
            partial(purge_figures, sessions),
            partial(purge_links, sessions),
            partial(purge_notes, sessions, days=settings.storage.retention_days),
            partial(purge_judgements, sessions, days=settings.storage.retention_days),
            partial(purge_runs, sessions, days=settings.storage.retention_days),
            purge_shadows(sessions, settings.storage.retention_days),
        ],
    )
    retention.start()
    stack.push_async_callback(retention.stop)
    wires = {wire.name: wire for wire in INFERENCE.values()}
    exchanges = StoredExchanges(
        sessions,
        fold_answer=answer_folder(wires),
        waiting=lambda: (journal.waiting_rows, journal.waiting_bytes),
        sealer=sealer,
    )
    return Storage(
        journal=journal,
        database=database,
        sessions=sessions,
        exchanges=exchanges,
        intake=intake,
        start_flushing=flusher.start,
        replayed=lambda: flusher.stored + flusher.refused >= left,
    )
