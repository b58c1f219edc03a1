"""A session of one tenant neither sees nor touches what is another's, in any table; on Postgres the database alone sees to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import BigInteger, Integer, LargeBinary, Table, delete, func, insert, select, update
from sqlalchemy.exc import ProgrammingError

from junto.storage.engine import Database
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables import METADATA, OPERATOR_TABLES, TENANT_TABLES
from junto.storage.tables.metadata import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

OURS, THEIRS = Tenant("ours"), Tenant("theirs")
IN_ORDER = [table for table in METADATA.sorted_tables if table in TENANT_TABLES]
CHANGEABLE = [table for table in IN_ORDER if table.name != "ledger"]  # nobody changes that one: test_ledger_is_final.py


def row(table: Table, tenant: str) -> dict[str, Any]:
    """A row that the table takes, whose ids all tell the tenant's name."""
    made: dict[str, Any] = {}
    for column in table.columns:
        if isinstance(column.type, BigInteger | Integer):
            made[column.name] = 1
        elif isinstance(column.type, LargeBinary):
            made[column.name] = tenant.encode()
        else:
            made[column.name] = tenant
    return made


async def fill(sessions: Sessions) -> None:
    async with sessions.write(OPERATOR) as session:
        for table in METADATA.sorted_tables:
            for tenant in (OURS, THEIRS):
                if table in TENANT_TABLES or table.name == "tenants":
                    await session.execute(insert(table).values(row(table, tenant.id)))


@pytest.fixture(params=["filtered on sqlite", "filtered on postgres", "unfiltered on postgres"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Sessions]:
    """Rows of two tenants in every table, and sessions in which they must be kept apart."""
    is_sqlite = request.param.endswith("sqlite")
    place = request.getfixturevalue("tmp_path" if is_sqlite else "postgres_url")
    async with Database(place) as database:
        sessions = Sessions(database, filtered=not request.param.startswith("un"))
        await fill(sessions)
        yield sessions


def test_every_table_is_known_as_a_tenants_or_as_the_operators() -> None:
    assert {*TENANT_TABLES, *OPERATOR_TABLES, SCHEMA_VERSION} == set(METADATA.tables.values())
    for table in METADATA.tables.values():
        assert ({"tenant", "tenant_id"} & set(table.columns.keys()) != set()) == (table in TENANT_TABLES)


@pytest.mark.parametrize("table", IN_ORDER, ids=lambda table: table.name)
async def test_a_tenant_sees_its_own_rows_only(both: Sessions, table: Table) -> None:
    async with both.read(OURS) as session:
        found = await session.execute(select(table.c[TENANT_TABLES[table]]).where(session.within(table)))
        assert found.scalars().all() == ["ours"]
    async with both.read(OPERATOR) as session:
        assert await session.connection.scalar(select(func.count()).select_from(table)) == 2


@pytest.mark.parametrize("table", CHANGEABLE, ids=lambda table: table.name)
async def test_a_tenant_changes_its_own_rows_only(both: Sessions, table: Table) -> None:
    column = next(column for column in reversed(list(table.columns)) if column.name != TENANT_TABLES[table])
    async with both.write(OURS) as session:
        same = {column: column}
        changed = await session.execute(update(table).where(session.within(table)).values(same))
        assert changed.rowcount == 1


@pytest.mark.parametrize("table", list(reversed(CHANGEABLE)), ids=lambda table: table.name)
async def test_a_tenant_deletes_its_own_rows_only(both: Sessions, table: Table) -> None:
    async with both.write(OPERATOR) as session:  # what refers to it goes first
        for other in reversed(IN_ORDER):
            if any(key.column.table is table for key in other.foreign_keys):
                for deeper in reversed(IN_ORDER):
                    if any(key.column.table is other for key in deeper.foreign_keys):
                        await session.execute(delete(deeper))
                await session.execute(delete(other))
    async with both.write(OURS) as session:
        deleted = await session.execute(delete(table).where(session.within(table)))
        assert deleted.rowcount == 1
    async with both.read(OPERATOR) as session:
        left = await session.execute(select(table.c[TENANT_TABLES[table]]))
        assert left.scalars().all() == ["theirs"]


@pytest.mark.parametrize("table", IN_ORDER, ids=lambda table: table.name)
async def test_on_postgres_a_tenant_cannot_write_a_row_for_another(postgres_url: str, table: Table) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        async with sessions.write(OPERATOR) as session:
            for parent in METADATA.sorted_tables:
                if parent is table:
                    break
                if parent in TENANT_TABLES or parent.name == "tenants":
                    await session.execute(insert(parent).values(row(parent, "theirs")))
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with sessions.write(OURS) as session:
                await session.execute(insert(table).values(row(table, "theirs")))


@pytest.mark.parametrize("table", CHANGEABLE, ids=lambda table: table.name)
async def test_on_postgres_a_tenant_cannot_hand_a_row_to_another(postgres_url: str, table: Table) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        await fill(sessions)
        given_away = update(table).values({TENANT_TABLES[table]: "third"})
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with sessions.write(OURS) as session:
                await session.execute(given_away)


async def test_on_postgres_a_connection_that_is_nobodys_sees_nothing(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        await fill(Sessions(database))
        async with database.reader.connect() as connection:
            for table in IN_ORDER:
                assert await connection.scalar(select(func.count()).select_from(table)) == 0, table.name


async def test_on_postgres_a_tenant_reaches_none_of_the_operators_tables(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        for table in OPERATOR_TABLES:
            if table.name == "versions":
                continue  # counters, which every change may raise
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with Sessions(database).read(OURS) as session:
                    await session.execute(select(table))
