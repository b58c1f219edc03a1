"""The ledger: one entry for each exchange and each job, written once and never changed; and usage, which is read from it.

`post` runs for every exchange, in the transaction that stores it: prepared statements and plain tuples, and one look at the
budgets for a whole batch. Only entries that were really written change a budget, so a journal that is replayed charges nobody
twice. What an exchange had reserved is released in the same transaction, by what its record says it was paid from.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, func, or_, select

from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.periods import DAY_MS, day_of
from junto.ports.money import Charge
from junto.storage.repositories import money
from junto.storage.repositories.job_reservations import settle_holder
from junto.storage.tables.money import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import CursorResult

    from junto.ports.money import UsageQuery
    from junto.storage.sessions import Session

type Row = tuple[Any, ...]
type Payer = tuple[str, str, str]  # tenant, client and key

_ENTRY_FIELDS: Final = (
    *("tenant_id", "id", "client_id", "key_id", "at_ms", "task_type", "model", "backend"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_nano", "price_date"),
)
_COLUMNS: Final = (*_ENTRY_FIELDS, "kind", "day", "usage_estimated", "failed")


class LedgerWriter:
    """Writes entries in batches; one for a whole process."""

    def __init__(self) -> None:
        names, places = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
        self._sqlite = f"INSERT INTO ledger ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608  own names
        arrays = ", ".join(f"%s::{_array_type(name)}[]" for name in _COLUMNS)
        self._postgres = (
            f"INSERT INTO ledger ({names}) SELECT * FROM unnest({arrays}) "  # noqa: S608  own names
            "ON CONFLICT DO NOTHING RETURNING tenant_id, id"
        )
        self._day = (0, "")  # the last one that was asked for: nearly all are of today

    async def post(self, session: Session, records: Sequence[ExchangeRecord]) -> None:
        """Write the entries of these exchanges and settle their budgets, in the session's transaction.

        Exchanges that were made for a job make none: the job's own end does. The session must see all tenants.
        """
        charged = [record for record in records if not record.job_id]
        if not charged:
            return
        rows = [self._row(record) for record in charged]
        if not any(record.cost_nano or record.paid for record in charged):
            await self._insert(session, rows)
            return
        new = await self._insert_new(session, rows)
        costs: dict[Payer, int] = defaultdict(int)
        paid: dict[str, int] = defaultdict(int)
        for record in charged:
            if new is not None:
                if (record.tenant, record.id) not in new:
                    continue
                new.remove((record.tenant, record.id))  # it may be twice in one batch
            if record.cost_nano and not record.purpose:  # the operator's own work is in no tenant's budget
                costs[record.tenant, record.client_id, record.key_id] += record.cost_nano
            for reservation, nano in record.paid:
                paid[reservation] += nano
        await _settle(session, costs, paid)

    async def charge_job(self, session: Session, entry: Charge, *, reservation_holder: str | None) -> bool:
        """Write a job's entry, charge it, and give back what its holder has reserved, in the transaction that ends the job.

        False when the entry was there before: then nothing is charged again. None for a holder: nothing was reserved. The session
        must see the budgets that the job is paid from, its tenant's and its client's.
        """
        row = (*(getattr(entry, name) for name in _ENTRY_FIELDS), entry.kind, day_of(entry.at_ms))
        new = await self._insert_new(session, [(*row, int(entry.usage_estimated), int(entry.failed))])
        is_new = new is None or bool(new)
        costs: dict[Payer, int] = {}
        if is_new and entry.cost_nano:
            costs[entry.tenant_id, entry.client_id, entry.key_id] = entry.cost_nano
        if costs or reservation_holder is not None:
            await settle_holder(session, _by_owner(costs), reservation_holder)
        return is_new

    def _row(self, record: ExchangeRecord) -> Row:
        number, day = self._day
        at_ms = record.started_ms
        if at_ms // DAY_MS != number:
            number, day = self._day = (at_ms // DAY_MS, day_of(at_ms))
        # Written out, in the order of _COLUMNS: this runs for every exchange, and looking names up would cost ten times as much.
        return (
            record.tenant,
            record.id,
            record.client_id,
            record.key_id,
            at_ms,
            record.task_type,
            record.model,
            record.backend,
            record.input_tokens,
            record.cache_read_tokens,
            record.cache_write_tokens,
            record.output_tokens,
            record.cost_nano,
            record.price_date,
            record.purpose or "exchange",
            day,
            1 if record.usage_estimated else 0,
            1 if record.outcome is Outcome.ERROR else 0,
        )

    async def _insert(self, session: Session, rows: Sequence[Row]) -> CursorResult[Any]:
        connection = session.connection
        if connection.dialect.name == "sqlite":
            return await connection.exec_driver_sql(self._sqlite, list(rows))
        columns = tuple(list(column) for column in zip(*map(_without_nul, rows), strict=True))
        return await connection.exec_driver_sql(self._postgres, columns)

    async def _insert_new(self, session: Session, rows: Sequence[Row]) -> set[tuple[str, str]] | None:
        """Insert the rows whose ids are not there yet; which ones those were, None for all of them."""
        inserted = await self._insert(session, rows)
        if session.connection.dialect.name != "sqlite":
            return {(row.tenant_id, row.id) for row in inserted}
        if inserted.rowcount == len(rows):
            return None
        # Some were there: a journal is being replayed. Nothing is ever deleted here and nobody else writes meanwhile, so
        # the new ones are those with the highest row numbers.
        newest = await session.connection.exec_driver_sql(_NEWEST, (inserted.rowcount,))
        return {(row.tenant_id, row.id) for row in newest}


_NEWEST: Final = "SELECT tenant_id, id FROM ledger ORDER BY rowid DESC LIMIT ?"


async def usage(session: Session, query: UsageQuery) -> list[dict[str, Any]]:
    """A row for each of the last days that had any use, oldest first."""
    today = int((await session.execute(select(session.now_ms))).scalar_one())
    entry = LEDGER.c
    since = day_of(today - (query.days - 1) * DAY_MS)
    sums = {
        "jobs": case((entry.kind == "job", 1), else_=0),
        "requests": case((entry.kind == "exchange", 1), else_=0),
        "failures": case((entry.kind.in_(("job", "exchange")), entry.failed), else_=0),
        "tokens_in": entry.input_tokens + entry.cache_read_tokens + entry.cache_write_tokens,
        "tokens_out": entry.output_tokens,
        "tokens_cached": entry.cache_read_tokens,
        "cost_nano": entry.cost_nano,
    }
    asked = (
        select(entry.day, *(func.sum(column).label(name) for name, column in sums.items()))
        .where(session.within(LEDGER), entry.day >= since)
        .group_by(entry.day)
        .order_by(entry.day)
    )
    if query.client_id is not None:
        asked = asked.where(entry.client_id == query.client_id)
    if query.tenant_id is not None:
        asked = asked.where(entry.tenant_id == query.tenant_id)
    rows = (await session.execute(asked)).mappings()
    return [{"date": row["day"], **{name: int(row[name]) for name in sums}} for row in rows]


async def _settle(session: Session, costs: Mapping[Payer, int], paid: Mapping[str, int]) -> None:
    """Move what was used from reserved to spent, in all budgets that are concerned."""
    if not costs and not paid:
        return
    spent = _by_owner(costs)
    budgets = await money.lock_budgets(session, or_(money.owned_by(spent), money.behind(paid)))
    taken = await money.take(session, paid) if paid and budgets else {}
    await money.spend(session, budgets, spent=spent, released=taken)


def _by_owner(costs: Mapping[Payer, int]) -> money.Owned:
    """The costs once for each whose budget they may come from."""
    owned: dict[tuple[str, str], int] = defaultdict(int)
    for (tenant, client, key), nano in costs.items():
        owned["tenant", tenant] += nano
        if client:
            owned["client", client] += nano
        if key:
            owned["key", key] += nano
    return owned


def _without_nul(row: Row) -> Iterable[Any]:
    """Postgres has no text with a NUL in it, and a caller's task type may have one: that must not lose an entry."""
    return (value.replace("\0", "") if value.__class__ is str and "\0" in value else value for value in row)


def _array_type(column: str) -> str:
    if column in {"usage_estimated", "failed"}:
        return "int"
    return "bigint" if column.endswith(("_tokens", "_ms", "_nano")) else "text"
