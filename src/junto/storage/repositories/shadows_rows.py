"""Rows of shadows as values, reading them for people, and deleting old ones. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from junto.core.money import usd_from_nano
from junto.core.periods import DAY_MS, day_of
from junto.ports.shadows import StoredShadow
from junto.storage.bodies import Packed
from junto.storage.folding import readable
from junto.storage.repositories.jobs_rows import Transactions, unpacked
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import SHADOW_DAYS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, RowMapping, Table

    from junto.ports.shadows import ShadowQuery
    from junto.storage.sessions import Session, Sessions

type Key = tuple[str, str]
"""The tenant and the id."""

MOST_PER_PAGE: Final = 200
_ROW: Final = SHADOWS.c
TEXTS: Final[Mapping[str, tuple[Column[Any], ...]]] = {
    "request": (_ROW.request_codec, _ROW.request),
    "answer": (_ROW.answer_codec, _ROW.answer),
}
_FIELDS: Final = tuple(name for name in StoredShadow.__struct_fields__ if name != "request")
HEAD: Final = tuple(_ROW[name] for name in _FIELDS)
_SHOWN: Final = (
    *("id", "tenant_id", "source_kind", "source_id", "task_type", "client_id", "sensitivity", "wire"),
    *("production_model", "model", "model_used", "backend", "status", "error_code", "attempts", "fence"),
    *("tokens_in", "tokens_out", "latency_ms", "prompt_version", "route_version", "created_ms", "finished_ms"),
)


def shadow_of(session: Session, row: RowMapping) -> StoredShadow:
    """The shadow of a row, with its request where that was selected."""
    request = b"" if row.get("request") is None else _text(session, row, "request")
    return StoredShadow(**{name: row[name] for name in _FIELDS}, request=request)


def insert_ignoring(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that leaves what is there already as it is."""
    if session.connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def without_nul(value: Any) -> Any:
    """Postgres has no text with a NUL in it, and a caller's task type may have one."""
    return value.replace("\0", "") if isinstance(value, str) else value


class StoredShadowPages:
    """Shadows as people look at them: the operator, at those of all tenants."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def page(self, query: ShadowQuery) -> Sequence[Mapping[str, Any]]:
        asked = select(*(_ROW[name] for name in _SHOWN), _ROW.cost_nano).order_by(_ROW.id.desc())
        if query.task_type is not None:
            asked = asked.where(_ROW.task_type == query.task_type)
        if query.status is not None:
            asked = asked.where(_ROW.status == query.status)
        if query.before is not None:
            asked = asked.where(_ROW.id < query.before)
        async with self._transaction(OPERATOR, reading=True) as session:
            rows = await session.execute(asked.limit(max(1, min(query.limit, MOST_PER_PAGE))))
            return [_shown(row) for row in rows.mappings()]

    async def find(self, shadow_id: str) -> Mapping[str, Any] | None:
        asked = select(SHADOWS).where(_ROW.id == shadow_id)
        async with self._transaction(OPERATOR, reading=True) as session:
            row = (await session.execute(asked)).mappings().first()
            if row is None:
                return None
            texts = {name: _text(session, row, name) if row[name] is not None else b"" for name in TEXTS}
        return _shown(row) | {
            "request": readable(texts["request"]) if texts["request"] else None,
            "answer": msgspec.json.decode(texts["answer"]) if texts["answer"] else None,
        }


async def delete_old(sessions: Sessions, *, days: int, limit: int) -> int:
    """Delete at most so many that are older than that; how many went. What their days have spent goes as well."""
    async with sessions.write(OPERATOR) as session:
        now = int((await session.execute(select(session.now_ms))).scalar_one())
        # A day longer, since one may be open still that was kept just before midnight.
        await session.execute(delete(SHADOW_DAYS).where(SHADOW_DAYS.c.day < day_of(now - (days + 1) * DAY_MS)))
        oldest = select(_ROW.id).where(_ROW.created_ms < now - days * DAY_MS).order_by(_ROW.created_ms).limit(limit)
        ids = list((await session.execute(oldest)).scalars())
        if not ids:
            return 0
        return (await session.execute(delete(SHADOWS).where(_ROW.id.in_(ids)))).rowcount


def _text(session: Session, row: RowMapping, name: str) -> bytes:
    packed = Packed(row[f"{name}_codec"], row[name])
    return unpacked(packed, session.sealer, row["tenant_id"], row["id"], name)


def _shown(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN} | {"cost_usd": usd_from_nano(row["cost_nano"])}
