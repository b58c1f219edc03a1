"""Daily figures of models, summed up for whoever asks; and deleted when they are older than anybody can ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select, true, tuple_

from junto.core.periods import DAY_MS, day_of
from junto.evals.counting import SUMS
from junto.ports.figures import Figures
from junto.ports.subjects import Kind
from junto.storage.repositories.jobs_rows import Transactions
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import EVAL_DAYS, EVAL_LATENCIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select, Table

    from junto.ports.figures import FigureQuery
    from junto.storage.sessions import Session, Sessions

KEPT_DAYS: Final = 400
# Row security hides from Postgres that the operator sees every row: it expects a handful, and would sort hundreds of thousands of
# texts to group them. Until the end of the transaction it groups by hashes; what is read here is in no order.
_HASHES: Final = select(func.set_config("enable_sort", "off", true()))


class StoredFigures:
    """Implements ports.figures.FigureStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def figures(self, query: FigureQuery, *, latencies: bool = True) -> Sequence[Figures]:
        async with self._transaction(OPERATOR, reading=True) as session:
            if session.connection.dialect.name == "postgresql":
                await session.execute(_HASHES)
            found = (await session.execute(_sums(session, query))).mappings().all()
            buckets = await _buckets(session, query) if latencies and found else {}
        return [
            Figures(
                model=row["model"],
                kind=Kind(row["kind"]),
                latencies=buckets.get((row["model"], row["kind"]), {}),
                **{name: int(row[name]) for name in SUMS},
            )
            for row in sorted(found, key=lambda row: (row["model"], row["kind"]))
        ]


async def purge_figures(sessions: Sessions, *, limit: int) -> int:
    """Delete at most so many rows of days that nobody can ask for any more; how many went."""
    async with sessions.write(OPERATOR) as session:
        today = int((await session.execute(select(session.now_ms))).scalar_one())
        first = day_of(today - KEPT_DAYS * DAY_MS)
        return sum([await _purge(session, table, first, limit) for table in (EVAL_DAYS, EVAL_LATENCIES)])


async def _purge(session: Session, table: Table, first: str, limit: int) -> int:
    key = list(table.primary_key.columns)
    old = select(*key).where(table.c.day < first).limit(limit)
    return (await session.execute(delete(table).where(tuple_(*key).in_(old)))).rowcount


def _sums(session: Session, query: FigureQuery) -> Select[Any]:
    table = EVAL_DAYS.c
    sums = [func.sum(table[name]).label(name) for name in SUMS]
    return (
        select(table.model, table.kind, *sums)
        .where(*_within(session, EVAL_DAYS, query))
        .group_by(table.model, table.kind)
    )


async def _buckets(session: Session, query: FigureQuery) -> dict[tuple[str, str], dict[int, int]]:
    table = EVAL_LATENCIES.c
    asked = (
        select(table.model, table.kind, table.bucket, func.sum(table.answers).label("answers"))
        .where(*_within(session, EVAL_LATENCIES, query))
        .group_by(table.model, table.kind, table.bucket)
    )
    found: dict[tuple[str, str], dict[int, int]] = {}
    for row in await session.execute(asked):
        found.setdefault((row.model, row.kind), {})[int(row.bucket)] = int(row.answers)
    return found


def _within(session: Session, table: Table, query: FigureQuery) -> list[ColumnElement[bool]]:
    conditions = [session.within(table), table.c.day >= query.since_day]
    if query.until_day is not None:
        conditions.append(table.c.day <= query.until_day)
    equal = {"task_type": query.task_type, "kind": query.kind, "tenant_id": query.tenant_id}
    conditions += [table.c[name] == value for name, value in equal.items() if value is not None]
    return conditions
