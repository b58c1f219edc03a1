"""Who may do what on Postgres: the login that migrates, the login that serves, and the two roles that sessions take on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from junto.storage.engine import Database
from junto.storage.schema import HEAD, Migrated, NotAllowed
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.identity import API_KEYS, CLIENTS, TENANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.databases import Postgres

pytestmark = pytest.mark.anyio

OURS = Tenant("ours")
STRANGER = "junto_stranger"  # a login without any rights


@pytest.fixture
def stranger(postgres: Postgres) -> Iterator[str]:
    with postgres.admin() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(STRANGER)))
        yield STRANGER
        for database in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_%'").fetchall():
            with postgres.admin(str(database[0])) as inside:
                inside.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(STRANGER)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(STRANGER)))


def as_stranger(url: str) -> str:
    return url.replace("junto_login@", f"{STRANGER}@")


def client(tenant: str, name: str) -> dict[str, object]:
    return {
        "tenant_id": tenant, "id": name, "name": name, "enabled": 1, "allow_cloud_for_internal": 0, "min_sensitivity": "public",
        "weight": 1, "scopes": "[]", "notes": "", "created_ms": 0, "updated_ms": 0,
    }  # fmt: skip


async def test_the_two_roles_can_neither_log_in_nor_pass_by_row_security(postgres_url: str) -> None:
    async with Database(postgres_url) as database, database.reader.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
                " WHERE rolname IN ('junto_app', 'junto_operator') ORDER BY rolname"
            )
        )
        assert [tuple(row) for row in found] == [
            ("junto_app", False, False, False, False),
            ("junto_operator", False, False, False, False),
        ]


async def test_references_are_checked_although_the_tenant_may_not_read_what_is_referred_to(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        async with sessions.write(OPERATOR) as session:
            for name in ("ours", "theirs"):
                await session.execute(
                    insert(TENANTS).values(id=name, name=name, enabled=1, notes="", created_ms=0, updated_ms=0)
                )
            await session.execute(insert(CLIENTS).values(client("theirs", "desk")))
        key = {"tenant_id": "ours", "id": "k", "prefix": "jt_", "digest": b"1", "created_ms": 0}
        async with sessions.write(OURS) as session:
            await session.execute(insert(CLIENTS).values(client("ours", "shop")))
            await session.execute(insert(API_KEYS).values(key | {"client_id": "shop"}))
        with pytest.raises(IntegrityError, match="fk_api_keys"):
            async with sessions.write(OURS) as session:
                await session.execute(insert(API_KEYS).values(key | {"id": "k2", "digest": b"2", "client_id": "desk"}))


async def test_a_scope_ends_with_its_session(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        async with Sessions(database).read(OURS) as session:
            asked = select(text("current_user"), text("current_setting('junto.tenant', true)"))
            assert (await session.execute(asked)).one() == ("junto_app", "ours")
        async with database.reader.connect() as connection:  # the same one, from the pool
            assert (await connection.execute(asked)).one() == ("junto_login", "")


async def test_a_login_of_its_own_for_serving_needs_only_the_two_roles(
    postgres: Postgres, postgres_url: str, stranger: str
) -> None:
    with pytest.raises(NotAllowed, match="GRANT junto_app, junto_operator TO"):
        await Database(as_stranger(postgres_url)).__aenter__()
    with postgres.admin() as connection:
        connection.execute(sql.SQL("GRANT junto_app, junto_operator TO {}").format(sql.Identifier(stranger)))
    async with Database(as_stranger(postgres_url)) as database:
        async with Sessions(database).read(OPERATOR) as session:
            assert (await session.execute(select(TENANTS.c.id))).scalars().all() == ["default"]
        with pytest.raises(NotAllowed, match="may create tables"):
            await migrated_from_nothing(database)


async def migrated_from_nothing(database: Database) -> Migrated:
    """What it does to a database that has fallen a revision behind."""
    async with Sessions(database).write(OPERATOR) as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    return await database.migrate()


async def test_a_login_that_may_not_make_roles_migrates_when_it_was_given_them(
    postgres: Postgres, stranger: str
) -> None:
    url = postgres.empty()
    name = url.split("@/")[1].partition("?")[0]
    with postgres.admin() as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*map(sql.Identifier, (name, stranger))))
    database = Database(as_stranger(url))
    with pytest.raises(NotAllowed, match="CREATE ROLE"):
        await database.migrate()
    async with database.reader.connect() as connection:
        tables = await connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        assert tables == 0  # all of it or nothing
    with postgres.admin() as connection:
        connection.execute(sql.SQL("GRANT junto_app, junto_operator TO {}").format(sql.Identifier(stranger)))
    assert await database.migrate() is Migrated.MADE
    await database.look()
    await database.close()
    postgres.drop(url)


async def test_nodes_that_migrate_at_the_same_time_do_it_once(postgres: Postgres) -> None:
    url = postgres.empty()
    nodes = [Database(url) for _ in range(4)]
    done = await asyncio.gather(*(node.migrate() for node in nodes))
    assert sorted(done) == sorted([Migrated.MADE, *[Migrated.NOTHING] * 3])
    async with nodes[0].reader.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == [HEAD]
    for node in nodes:
        await node.close()
    postgres.drop(url)
