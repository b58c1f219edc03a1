"""Many rows into a table at once, in the cheapest way that each database has; rows whose key is there already are left as they are.

Below SQLAlchemy, since each exchange passes through here: prepared statements and plain tuples for SQLite; for Postgres COPY into
a temporary table of the connection's own, because row-level security allows no COPY into the real one, and from there on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

type Row = tuple[Any, ...]


class BulkInsert:
    """Inserts rows, tuples of exact int, str and bytes in the order of `columns`.

    `usual` are what the last columns nearly always hold, numbers and empty texts: of such rows SQLite is given the other columns only,
    since it takes as long for each value that it is given as for the rest of a short row.
    """

    def __init__(self, table: Table, columns: Sequence[str], *, usual: Row = ()) -> None:
        names = ", ".join(columns)
        self._usual = usual
        self._given = len(columns) - len(usual)
        staging = f"new_{table.name}"
        self._texts = tuple(place for place, name in enumerate(columns) if isinstance(table.c[name].type, Text))
        insert = f"INSERT INTO {table.name} ({names}) VALUES (%s) ON CONFLICT DO NOTHING"  # noqa: S608  own names
        self._insert = insert % ", ".join("?" * len(columns))
        self._insert_usual = insert % ", ".join(("?",) * self._given + tuple(map(_literal, usual)))
        # Made once in the life of a connection, empty at the end of each transaction. With defaults: a newer revision may have
        # added columns that this code knows nothing of.
        self._stage = f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table.name} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
        self._copy = f"COPY {staging} ({names}) FROM STDIN"
        self._move = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staging} ON CONFLICT DO NOTHING"  # noqa: S608

    async def run(self, connection: AsyncConnection, rows: list[Row]) -> int:
        """Insert them, once in a transaction; how many were new. Raises sqlalchemy.exc.DBAPIError, OverflowError or UnicodeError."""
        if connection.dialect.name != "sqlite":
            return await self._through_staging(connection, rows)
        given, usual = self._given, self._usual
        others = [row for row in rows if row[given:] != usual] if usual else rows
        new = 0
        if len(others) < len(rows):
            few = [row[:given] for row in rows if row[given:] == usual]
            new += (await connection.exec_driver_sql(self._insert_usual, few)).rowcount
        if others:
            new += (await connection.exec_driver_sql(self._insert, others)).rowcount
        return new

    async def _through_staging(self, connection: AsyncConnection, rows: list[Row]) -> int:
        from psycopg import Error  # noqa: PLC0415  only where there is a Postgres

        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            async with driver.cursor() as cursor:
                await cursor.execute(self._stage)
                async with cursor.copy(self._copy) as copy:
                    for row in rows:
                        await copy.write_row(self._without_nul(row))
                await cursor.execute(self._move)
                return int(cursor.rowcount)
        except Error as error:
            # As SQLAlchemy would have told it, had it run the statement.
            raise DBAPIError.instance(
                self._copy, None, error, Error, hide_parameters=True, dialect=connection.dialect,
                connection_invalidated=driver.closed,
            ) from error  # fmt: skip

    def _without_nul(self, row: Row) -> Row:
        """Postgres has no character 0 in texts; a caller may have put one into the name of a model."""
        if not any("\0" in row[place] for place in self._texts):
            return row
        return tuple(value.replace("\0", "\ufffd") if type(value) is str else value for value in row)


def _literal(value: int | str) -> str:
    """A number or the empty text, as it stands in a statement."""
    return "''" if value == "" else str(int(value))
