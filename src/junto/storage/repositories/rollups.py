"""Daily figures of models, counted where exchanges are stored: in the transaction that stores them, and from those that are new.

Runs for every exchange: one pass over a batch (evals/counting.py), prepared statements and plain tuples. Rows are written in the
order of their keys, so that two nodes that count the same models wait for each other and never in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from junto.evals.counting import SUMS, counted
from junto.storage.tables.evals import EVAL_DAYS, EVAL_LATENCIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from junto.core.exchange import ExchangeRecord
    from junto.storage.sessions import Session

_KEY: Final = ("task_type", "day", "tenant_id", "kind", "model")


class Rollups:
    """Adds to the figures; one for a whole process."""

    def __init__(self) -> None:
        self._days = _Adding(EVAL_DAYS, _KEY, SUMS)
        self._latencies = _Adding(EVAL_LATENCIES, (*_KEY, "bucket"), ("answers",))

    async def count(self, session: Session, records: Sequence[ExchangeRecord]) -> None:
        """Count exchanges that were not there before, in the session's transaction. The session must see all tenants."""
        sums, buckets = counted(records)
        if sums:
            await self._days.run(session, sorted((*key, *added) for key, added in sums.items()))
        if buckets:
            await self._latencies.run(session, sorted((*key, added) for key, added in buckets.items()))


class _Adding:
    """Adds rows to those of the same key, in the cheapest way that each database has."""

    def __init__(self, table: Table, key: tuple[str, ...], added: tuple[str, ...]) -> None:
        columns = (*key, *added)
        names, conflict = ", ".join(columns), ", ".join(key)
        sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in added)
        into = f"INSERT INTO {table.name} ({names})"
        upsert = f"ON CONFLICT ({conflict}) DO UPDATE SET {sums}"
        arrays = ", ".join(f"%s::{'bigint' if _is_number(table, name) else 'text'}[]" for name in columns)
        self._sqlite = f"{into} VALUES ({', '.join('?' * len(columns))}) {upsert}"
        self._postgres = f"{into} SELECT * FROM unnest({arrays}) {upsert}"  # noqa: S608  own names

    async def run(self, session: Session, rows: list[tuple[Any, ...]]) -> None:
        connection = session.connection
        if connection.dialect.name == "sqlite":
            await connection.exec_driver_sql(self._sqlite, rows)
        else:
            columns = tuple(list(column) for column in zip(*rows, strict=True))
            await connection.exec_driver_sql(self._postgres, columns)


def _is_number(table: Table, column: str) -> bool:
    return table.c[column].type.python_type is int
