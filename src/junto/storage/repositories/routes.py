"""Routes in the database, every save a row of its own; and recorded exchanges as metadata, for trying out a table.

A save raises the counter of the nodes' copies first: its lock makes savers take turns, so that none counts on from an old row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, func, insert, select

from junto.core.errors import Conflict
from junto.core.ids import request_id
from junto.core.sensitivity import parse_sensitivity
from junto.core.usage import Usage
from junto.ports.routes import RecordedExchange, RouteVersion
from junto.routing.routes import document_of, route_from
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.tables.routes import ROUTE_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping, Select

    from junto.routing.routes import Route
    from junto.storage.sessions import Session, Sessions

ROUTES_VERSION: Final = "routes"
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])


class StoredRoutes:
    """Implements ports.routes.RouteStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def in_force(self) -> list[Route]:
        table = ROUTE_VERSIONS
        newest = select(table.c.task_type, func.max(table.c.version).label("version")).group_by(table.c.task_type)
        last = newest.subquery()
        asked = select(table).join(last, and_(table.c.task_type == last.c.task_type, table.c.version == last.c.version))
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(asked.where(table.c.deleted == 0).order_by(table.c.task_type))
            return [_route(row) for row in rows.mappings()]

    async def find(self, task_type: str, version: int | None = None) -> RouteVersion | None:
        asked = _versions(task_type).limit(1)
        if version is not None:
            asked = asked.where(ROUTE_VERSIONS.c.version == version)
        async with self._sessions.read(OPERATOR) as session:
            return next(iter(await _found(session, asked)), None)

    async def history(self, task_type: str, *, before: int | None, limit: int) -> list[RouteVersion]:
        asked = _versions(task_type).limit(limit)
        if before is not None:
            asked = asked.where(ROUTE_VERSIONS.c.version < before)
        async with self._sessions.read(OPERATOR) as session:
            return await _found(session, asked)

    async def save(self, task_type: str, route: Route | None, *, author: str, expected: int | None) -> RouteVersion:
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, ROUTES_VERSION)
            last = next(iter(await _found(session, _versions(task_type).limit(1))), None)
            number = last.version if last is not None else 0
            if expected is not None and expected != number:
                raise Conflict(f"The route is at version {number}, not {expected}.", param="version")
            await session.execute(
                insert(ROUTE_VERSIONS).values(
                    task_type=task_type,
                    version=number + 1,
                    document="{}" if route is None else msgspec.json.encode(document_of(route)).decode(),
                    deleted=int(route is None),
                    author=author,
                    created_ms=session.now_ms,
                )
            )
            (saved,) = await _found(session, _versions(task_type).limit(1))
            return saved


class StoredTraffic:
    """Implements ports.routes.RecordedTraffic: columns of metadata only."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def recorded(self, *, since_ms: int | None, task_type: str | None, limit: int) -> Sequence[RecordedExchange]:
        table = EXCHANGES
        columns = [table.c[name] for name in (*_PLAIN, "sensitivity", "stream", *_USAGE)]
        asked = select(*columns).where(table.c.parent_id == "").order_by(table.c.id.desc()).limit(limit)
        if since_ms is not None:
            asked = asked.where(table.c.id >= request_id(since_ms, 0))
        if task_type is not None:
            asked = asked.where(table.c.task_type == task_type)
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(asked.where(session.within(table)))
            return [_exchange(row) for row in rows.mappings()]


_PLAIN = ("id", "client_id", "client", "operation", "requested_model", "task_type", "cost_nano")
_USAGE = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def _versions(task_type: str) -> Select[Any]:
    table = ROUTE_VERSIONS
    return select(table).where(table.c.task_type == task_type).order_by(table.c.version.desc())


async def _found(session: Session, asked: Select[Any]) -> list[RouteVersion]:
    rows = await session.execute(asked)
    return [
        RouteVersion(
            task_type=row["task_type"],
            version=row["version"],
            route=None if row["deleted"] else _route(row),
            author=row["author"],
            created_ms=row["created_ms"],
        )
        for row in rows.mappings()
    ]


def _route(row: RowMapping) -> Route:
    return route_from(row["task_type"], _DOCUMENT.decode(row["document"]), version=row["version"])


def _exchange(row: RowMapping) -> RecordedExchange:
    return RecordedExchange(
        **{name: row[name] for name in _PLAIN},
        sensitivity=parse_sensitivity(row["sensitivity"]),
        stream=bool(row["stream"]),
        usage=Usage(**{name.removesuffix("_tokens"): row[name] for name in _USAGE}),
    )
