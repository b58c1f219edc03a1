"""Transactions that know whose they are: a tenant's, or the operator's.

No repository gets a connection in any other way, so none can forget whose rows it may see. `Session.within` is the
application's filter; on Postgres the database enforces the same by row-level security, whatever the filter says.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, cast, func, literal_column, select, true

from junto.storage.away import told_when_away
from junto.storage.tables import TENANT_TABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

    from junto.storage.engine import Database
    from junto.storage.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Tenant:
    """The rows of one tenant."""

    id: str


class Operator:
    """The rows of all tenants: administration, the sweeper, looking up a key. Never chosen by what a caller sends."""

    __slots__ = ()


OPERATOR: Final = Operator()
type Scope = Tenant | Operator

# Both end with the transaction, so that a connection goes back to its pool as nobody's.
_ENTER: Final = select(
    func.set_config("role", bindparam("role"), true()), func.set_config("junto.tenant", bindparam("tenant"), true())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One transaction in one scope. `now_ms` is the database's clock, the only one that decides what has expired.

    `sealer` is what bodies are encrypted with, where they are.
    """

    connection: AsyncConnection
    scope: Scope
    now_ms: ColumnElement[int]
    filtered: bool = True
    sealer: Sealer | None = None

    def within(self, table: Table) -> ColumnElement[bool]:
        """The condition that keeps a statement to the rows of this session's scope."""
        if not self.filtered or isinstance(self.scope, Operator):
            return true()
        return table.c[TENANT_TABLES[table]] == self.scope.id

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a statement."""
        return await self.connection.execute(statement, parameters)


class Sessions:
    """Begins sessions. `filtered=False` is for the test that shows that Postgres alone keeps tenants apart."""

    def __init__(self, database: Database, *, filtered: bool = True, sealer: Sealer | None = None) -> None:
        self._database = database
        self._filtered = filtered
        self._sealer = sealer

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[Session]:
        """A transaction that is committed, and on the disk, when the block ends; rolled back when it raises.

        Raises core.errors.Overloaded when the database is away; whether a commit happened is open then.
        """
        with told_when_away():
            async with self._database.writer.begin() as connection:
                yield await self._session(connection, scope)

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[Session]:
        """A transaction that only reads; raises core.errors.Overloaded when the database is away."""
        with told_when_away():
            async with self._database.reader.begin() as connection:
                yield await self._session(connection, scope)

    async def _session(self, connection: AsyncConnection, scope: Scope) -> Session:
        if connection.dialect.name == "postgresql":
            role, tenant = ("junto_app", scope.id) if isinstance(scope, Tenant) else ("junto_operator", "")
            await connection.execute(_ENTER, {"role": role, "tenant": tenant})
        return Session(
            connection=connection,
            scope=scope,
            now_ms=_now_ms(connection),
            filtered=self._filtered,
            sealer=self._sealer,
        )


def _now_ms(connection: AsyncConnection) -> ColumnElement[int]:
    """Milliseconds since the epoch by the database's clock, at the beginning of the statement. Always the same two objects."""
    return _SQLITE_NOW if connection.dialect.name == "sqlite" else _POSTGRES_NOW


_SQLITE_NOW: Final[ColumnElement[int]] = literal_column(
    "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
)
_POSTGRES_NOW: Final[ColumnElement[int]] = cast(
    func.floor(func.extract("epoch", func.clock_timestamp()) * 1000), BigInteger
)
