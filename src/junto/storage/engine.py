"""The SQLite database of a data directory: its connections and its schema's version.

SQLite libraries before 3.51.3 can corrupt a write-ahead log that several connections reset, so there is one connection that
writes and checkpoints; all others are query-only. A commit is on the disk when it returns (synchronous=FULL). One process
per file is the business of storage/lock.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, event, insert, select
from sqlalchemy.ext.asyncio import create_async_engine

from junto.storage.tables import exchanges  # noqa: F401  the tables must be known before they are made
from junto.storage.tables.metadata import METADATA, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

VERSION = 1
_READERS = 4
_FILE = "junto.sqlite3"
_ALL = ("PRAGMA busy_timeout=5000", "PRAGMA mmap_size=0", "PRAGMA synchronous=FULL")
_WRITER = (
    "PRAGMA auto_vacuum=INCREMENTAL",  # has to come first: it is fixed when the file gets its first page
    *_ALL,
    "PRAGMA journal_mode=WAL",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA journal_size_limit=67108864",
)
_READER = (*_ALL, "PRAGMA wal_autocheckpoint=0", "PRAGMA query_only=ON")


class SchemaTooNew(RuntimeError):
    """The database was written by a newer Junto; the message says what to do."""


class Database:
    """A writer of one connection and a small pool of readers on the same file."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / _FILE
        self.writer = _engine(self.path, _WRITER, connections=1)
        self.reader = _engine(self.path, _READER, connections=_READERS)

    async def open(self) -> None:
        """Make the file and its tables if need be; raises SchemaTooNew."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        async with self.writer.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            found = await connection.scalar(select(SCHEMA_VERSION.c.version))
            if found is None:
                await connection.execute(insert(SCHEMA_VERSION).values(version=VERSION))
            elif found > VERSION:
                raise SchemaTooNew(
                    f"{self.path} has schema version {found}, and this Junto knows {VERSION}: "
                    "upgrade Junto, or use another data directory."
                )

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


def _engine(path: Path, pragmas: Sequence[str], *, connections: int) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        hide_parameters=True,  # an error that is logged must not show what callers said
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return engine
