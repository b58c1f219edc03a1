"""The database of a Junto: one SQLite file in the data directory, or a Postgres that many processes share.

SQLite libraries before 3.51.3 can corrupt a write-ahead log that several connections reset, so there is one connection that
writes and checkpoints; all others are query-only. A commit is on the disk when it returns (synchronous=FULL). One process
per file is the business of storage/lock.py; whose rows a transaction may see is that of storage/sessions.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from junto.storage import aiosqlite_hops, schema
from junto.storage.away import told_when_away
from junto.storage.liveness import look_before_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

_READERS = 4
_FILE = "junto.sqlite3"
_ALL = ("PRAGMA busy_timeout=5000", "PRAGMA mmap_size=0", "PRAGMA synchronous=FULL")
_WRITER = (
    "PRAGMA page_size=8192",  # these two have to come first: they are fixed when the file gets its first page
    "PRAGMA auto_vacuum=INCREMENTAL",
    *_ALL,
    "PRAGMA journal_mode=WAL",
    "PRAGMA wal_autocheckpoint=500",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA foreign_keys=ON",  # as Postgres has them; a migration that makes a table anew has to mind them
)
_READER = (*_ALL, "PRAGMA wal_autocheckpoint=0", "PRAGMA query_only=ON")
_POSTGRES: Final = "postgresql+psycopg"
_CONNECTIONS = 16  # of one process to Postgres
_POOL_SECONDS = 10.0
_TO_POSTGRES = {
    "application_name": "junto",
    "connect_timeout": 5,  # seconds, as the next three; a peer that is gone without a word is found out within 20
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,  # milliseconds
}
# A process that is frozen in the middle of a transaction must not hold its locks for ever, nor a caller wait for them for ever.
_ON_POSTGRES = ("SET idle_in_transaction_session_timeout = '10s'", "SET statement_timeout = '30s'")
_NICENESS = 4  # about a third of a core that the loop keeps busy; with a tenth, the writer falls ever further behind


class DatabaseUrlRefused(schema.SchemaError):
    """The URL names no database that Junto works on; the message does not repeat the URL."""


class Database:
    """`place` is the data directory of a SQLite file, or a URL: `postgresql://...`, or `sqlite:///FILE`.

    Raises DatabaseUrlRefused.
    """

    def __init__(self, place: Path | str) -> None:
        url = _parsed(place) if isinstance(place, str) else URL.create("sqlite", database=str(place / _FILE))
        self._file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        if self._file is not None:
            self.writer = _sqlite(self._file, _WRITER, connections=1)
            self.reader = _sqlite(self._file, _READER, connections=_READERS)
        else:
            self.writer = self.reader = _postgres(url)

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite, which belongs to one process."""
        return self._file is not None

    @property
    def path(self) -> Path:
        """The SQLite file."""
        if self._file is None:
            raise AttributeError("a Postgres has no file")
        return self._file

    async def open(self) -> None:
        """Make sure of the schema: a file is brought up to date, a Postgres only looked at; raises schema.SchemaError, Overloaded."""
        if self._file is None:
            await self.look()
            return
        await self.migrate()

    async def look(self) -> None:
        """Raise schema.SchemaTooOld or SchemaTooNew unless the schema is one that this Junto can work on."""
        if self._file is not None and not self._file.exists():
            raise schema.SchemaTooOld(
                f"There is no database at {self._file} yet: `junto serve` makes it, or `junto migrate`."
            )
        with told_when_away():
            async with self.writer.begin() as connection:
                await schema.check(connection)

    async def migrate(self) -> schema.Migrated:
        """Bring the schema up to date; raises schema.SchemaTooNew, and Overloaded when the database is away."""
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with told_when_away():
            async with self.writer.begin() as connection:
                return await schema.migrate(connection)

    async def close(self) -> None:
        """Close all connections, the writer last, so that it is the one that checkpoints. Safe to call twice."""
        await self.reader.dispose()
        await self.writer.dispose()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _sqlite(path: Path, pragmas: Sequence[str], *, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        hide_parameters=True,  # an error that is logged must not show what callers said
        connect_args={"async_creator_fn": aiosqlite_hops.connect},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.create_function("lower_priority", 0, _lower_priority)
        cursor = connection.cursor()
        for statement in ("SELECT lower_priority()", *pragmas):
            cursor.execute(statement)
        cursor.close()

    return engine


def _lower_priority() -> int:
    """Let the event loop go before the thread that this runs in, which is the connection's own: batches can wait, callers not."""
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    return 0


def _parsed(url: str) -> URL:
    unreadable = DatabaseUrlRefused(
        "database_url cannot be read: in its user and password, characters such as @ : / # % have to be percent-encoded."
    )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # what they say may be a part of the password
        raise unreadable from None
    if "@" in (parsed.host or ""):  # the rest of a password, which no error may show
        raise unreadable
    driver = parsed.drivername
    if driver in {"postgres", "postgresql", _POSTGRES}:
        return parsed.set(drivername=_POSTGRES)
    if driver in {"sqlite", "sqlite+aiosqlite"} and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise DatabaseUrlRefused("database_url has to be postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:///FILE.")


def _postgres(url: URL) -> AsyncEngine:
    from psycopg import ProgrammingError  # noqa: PLC0415  only where there is a Postgres
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    try:
        make_conninfo(**dict.fromkeys(url.query, "1"))
    except ProgrammingError:
        raise DatabaseUrlRefused(
            f"database_url has options that Postgres does not know: {', '.join(url.query)}."
        ) from None
    engine = create_async_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={name: value for name, value in _TO_POSTGRES.items() if name not in url.query},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for statement in _ON_POSTGRES:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    look_before_use(engine.sync_engine)
    return engine
