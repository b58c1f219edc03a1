"""aiosqlite with one hop to its thread for each statement, where it makes three or four, and none where nothing is to be done.

A hop is two context switches and a wake-up of the event loop, which costs more than most of our statements. SQLAlchemy makes a
cursor, executes, fetches and closes, each a hop; here the cursor does all of that at once. A rollback or commit outside of a
transaction, which SQLAlchemy asks for whenever a connection goes back to its pool, is none.

A batch of rows is the longest thing that the thread does. It is done in slices, between which the thread steps back: where the
event loop shares its core, the kernel would let it wait for a whole turn of the thread's, milliseconds, low as its priority is.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import aiosqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_CHUNK = 64  # aiosqlite's own default; nobody iterates
_SLICE_ROWS = 32  # half a millisecond's work
_STEP_BACK_SECONDS = 0.0001


class WholeCursor:
    """What SQLAlchemy needs of a cursor. A statement's rows are all fetched with it, and the cursor is closed again."""

    def __init__(self, connection: OneHopConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Run a statement and fetch its rows."""
        await self._connection.run(self._take, sqlite3.Connection.execute, sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Run a statement for each of the parameters."""
        await self._connection.run(self._take_slices, sql, list(parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """The rows."""
        return self._rows

    async def close(self) -> None:
        """Nothing is left to be closed."""

    def _take(self, connection: sqlite3.Connection, execute: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        """Runs in the thread."""
        cursor = execute(connection, *arguments)
        try:
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    def _take_slices(self, connection: sqlite3.Connection, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Runs in the thread."""
        self._rows, self.description, self.rowcount = [], None, 0
        for start in range(0, len(parameters), _SLICE_ROWS):
            if start:
                time.sleep(_STEP_BACK_SECONDS)
            with closing(connection.executemany(sql, parameters[start : start + _SLICE_ROWS])) as cursor:
                self.rowcount += cursor.rowcount


class OneHopConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors are whole ones."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, _CHUNK)
        self._thread.daemon = True  # as SQLAlchemy makes those that it opens
        self._asked = 0
        self._done = 0

    def cursor(self) -> WholeCursor:  # type: ignore[override]
        """A cursor, without going to the thread."""
        return WholeCursor(self)

    async def commit(self) -> None:
        """Commit, where there is anything to commit."""
        if not self._is_idle():
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, where there is anything to roll back."""
        if not self._is_idle():
            await super().rollback()

    async def run(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do work with the connection, in its thread."""
        await self._execute(work, self._conn, *arguments)

    def _is_idle(self) -> bool:
        """Whether no transaction is open, and nothing that was asked for (by one who was cancelled, say) may yet open one."""
        return self._asked == self._done and self._connection is not None and not self._connection.in_transaction

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._asked += 1
        return await super()._execute(self._counted, partial(fn, *args, **kwargs))  # type: ignore[no-untyped-call]

    def _counted(self, work: Callable[[], Any]) -> Any:
        """Runs in the thread, which alone writes the count."""
        try:
            return work()
        finally:
            self._done += 1


def connect(database: str, **options: Any) -> OneHopConnection:
    """As aiosqlite.connect, for SQLAlchemy's `async_creator_fn`."""
    return OneHopConnection(partial(sqlite3.connect, database, **options))
