"""Reads stored exchanges for people: pages of metadata, one exchange in full, and figures about all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from junto.core.money import usd_from_nano
from junto.storage.bodies import Packed, unpack
from junto.storage.folding import readable
from junto.storage.sealing import unsealed
from junto.storage.sessions import OPERATOR
from junto.storage.tables.exchanges import BODIES, EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import ColumnElement, RowMapping

    from junto.ports.stores import ExchangeQuery
    from junto.storage.folding import FoldAnswer
    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Sessions

MOST_PER_PAGE = 200
_AS_THEY_ARE = (
    *("id", "started_ms", "tenant", "client", "wire", "operation", "requested_model", "model", "backend", "locality"),
    *(
        "sensitivity",
        "task_type",
        "purpose",
        "outcome",
        "status",
        "prompt_version",
        "error_code",
        "finish_reason",
        "price_date",
    ),
    *("ttft_ms", "duration_ms", "parent_id", "keep", "request_bytes", "answer_bytes", "stored_bytes"),
)
_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


class StoredExchanges:
    """Implements ports.stores.ExchangeStore, for the operator: exchanges of all tenants.

    `fold_answer` reads an answer's bytes (folding.answer_folder makes one); `waiting` gives the rows and bytes that are in the
    journal and not in the database yet.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        fold_answer: FoldAnswer,
        waiting: Callable[[], tuple[int, int]],
        sealer: Sealer | None = None,
    ) -> None:
        self._sessions = sessions
        self._fold_answer = fold_answer
        self._waiting = waiting
        self._sealer = sealer

    async def page(self, query: ExchangeQuery) -> list[dict[str, Any]]:
        """Metadata, newest first, at most 200: the record's fields, with `usage` as one object and `cost_usd` as a string."""
        statement = (
            select(EXCHANGES)
            .where(*_conditions(query))
            .order_by(EXCHANGES.c.id.desc())
            .limit(max(1, min(query.limit, MOST_PER_PAGE)))
        )
        async with self._sessions.read(OPERATOR) as session:
            rows = (await session.execute(statement)).mappings().all()
        return [_metadata(row) for row in rows]

    async def find(self, exchange_id: str) -> dict[str, Any] | None:
        """One exchange: its metadata, `request` (JSON, or text) and `answer` (folded); both None without stored bodies.

        An answer that cannot be folded is `{"raw": JSON or text}`; damaged bodies leave `unreadable` with the reason.
        """
        statement = (
            select(EXCHANGES, BODIES.c.codec, BODIES.c.content)
            .join_from(EXCHANGES, BODIES, EXCHANGES.c.id == BODIES.c.id, isouter=True)
            .where(EXCHANGES.c.id == exchange_id)
        )
        async with self._sessions.read(OPERATOR) as session:
            row = (await session.execute(statement)).mappings().one_or_none()
        if row is None:
            return None
        return _metadata(row) | self._bodies(row)

    async def stats(self) -> dict[str, Any]:
        """Counts by outcome and by tier, bytes before and after compression, the first and last time, the journal's backlog."""
        table = EXCHANGES.c
        stored = table.stored_bytes > 0
        raw_bytes = table.request_bytes + table.answer_bytes
        statement = select(
            table.outcome,
            table.sensitivity,
            func.count().label("exchanges"),
            func.count().filter(stored).label("with_bodies"),
            func.coalesce(func.sum(raw_bytes).filter(stored), 0).label("raw_bytes"),
            func.sum(table.stored_bytes).label("stored_bytes"),
            func.sum(table.cost_nano).label("cost_nano"),
            func.min(table.started_ms).label("oldest_ms"),
            func.max(table.started_ms).label("newest_ms"),
        ).group_by(table.outcome, table.sensitivity)
        async with self._sessions.read(OPERATOR) as session:
            rows = (await session.execute(statement)).mappings().all()
        return self._figures(rows)

    def _bodies(self, row: RowMapping) -> dict[str, Any]:
        if row["content"] is None:
            return {"request": None, "answer": None}
        try:
            packed = unsealed(Packed(row["codec"], row["content"]), self._sealer, row["tenant"], row["id"])
            request, answer = unpack(packed, row["request_bytes"])
        except ValueError as error:
            return {"request": None, "answer": None, "unreadable": str(error)}
        folded = self._fold_answer(row["answer_wire"], bool(row["answer_stream"]), answer) if answer else None
        if folded is None and answer:
            folded = {"raw": readable(answer)}
        return {"request": readable(request) if request else None, "answer": folded}

    def _figures(self, rows: Iterable[RowMapping]) -> dict[str, Any]:
        rows = list(rows)
        raw, stored = _total(rows, "raw_bytes"), _total(rows, "stored_bytes")
        waiting_rows, waiting_bytes = self._waiting()
        return {
            "exchanges": _total(rows, "exchanges"),
            "with_bodies": _total(rows, "with_bodies"),
            "by_outcome": _totals_by(rows, "outcome"),
            "by_sensitivity": _totals_by(rows, "sensitivity"),
            "raw_bytes": raw,
            "stored_bytes": stored,
            "compression_ratio": round(raw / stored, 2) if stored else None,
            "cost_usd": usd_from_nano(_total(rows, "cost_nano")),
            "oldest_ms": min((row["oldest_ms"] for row in rows), default=None),
            "newest_ms": max((row["newest_ms"] for row in rows), default=None),
            "journal": {"waiting_rows": waiting_rows, "waiting_bytes": waiting_bytes},
        }


def _conditions(query: ExchangeQuery) -> list[ColumnElement[bool]]:
    table = EXCHANGES.c
    equal = {
        table.model: query.model,
        table.backend: query.backend,
        table.client: query.client,
        table.sensitivity: query.sensitivity,
        table.outcome: query.outcome,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if query.before is not None:
        conditions.append(table.id < query.before)
    if query.since_ms is not None:
        conditions.append(table.started_ms >= query.since_ms)
    return conditions


def _metadata(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _AS_THEY_ARE} | {
        "stream": bool(row["stream"]),
        "truncated": bool(row["truncated"]),
        "usage": {name: row[name] for name in _TOKENS} | {"estimated": bool(row["usage_estimated"])},
        "cost_usd": usd_from_nano(row["cost_nano"]),
        "attempts": msgspec.json.decode(row["attempts"]),
    }


def _total(rows: Iterable[RowMapping], column: str) -> int:
    return int(sum(row[column] for row in rows))  # a sum of integers is a decimal number in Postgres


def _totals_by(rows: Iterable[RowMapping], column: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row[column]] = totals.get(row[column], 0) + row["exchanges"]
    return totals
