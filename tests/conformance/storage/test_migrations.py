"""The schema is made and upgraded the same way on every database, and rows that an older Junto wrote are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, insert, select, text, update

from junto.storage import schema
from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables import METADATA
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.metadata import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conformance import databases

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """A place with nothing in it."""
    if request.param == "sqlite":
        yield tmp_path
        return
    postgres: databases.Postgres = request.getfixturevalue("postgres")
    url = postgres.empty()
    yield url
    postgres.drop(url)


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [each for each in compare_metadata(context, METADATA) if "alembic_version" not in str(each)]


async def at_first_revision(place: Path | str) -> Database:
    """A database as the first release made it: its tables, one exchange, and no word of revisions."""
    database = Database(place)
    if database.writer.dialect.name == "sqlite":
        database.path.touch()
    async with database.writer.begin() as connection:
        await connection.run_sync(to_first)
        row = dict.fromkeys(FIRST_TEXTS, "x") | dict.fromkeys(FIRST_NUMBERS, 1) | {"id": "req_1", "attempts": "[]"}
        old = MetaData()
        await connection.run_sync(old.reflect)
        await connection.execute(insert(old.tables["exchanges"]).values(row | {"request_bytes": 2}))
        await connection.execute(insert(old.tables["exchange_bodies"]).values(id="req_1", codec="raw", content=b"{}"))
        await connection.execute(text("DROP TABLE alembic_version"))
    return database


FIRST_TEXTS = (
    *("tenant", "client", "wire", "operation", "requested_model", "model", "backend", "locality", "sensitivity"),
    *("task_type", "outcome", "error_code", "finish_reason", "price_date", "parent_id", "keep", "answer_wire"),
)
FIRST_NUMBERS = (
    *("started_ms", "stream", "status", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"),
    *("reasoning_tokens", "usage_estimated", "cost_nano", "ttft_ms", "duration_ms", "answer_stream", "truncated"),
    *("request_bytes", "answer_bytes", "stored_bytes"),
)


def to_first(connection: Connection) -> None:
    schema.upgrade(connection, to="0001")


async def test_an_empty_place_gets_every_table_that_the_code_knows(empty: Path | str) -> None:
    database = Database(empty)
    assert await database.migrate() is schema.Migrated.MADE
    async with database.writer.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await database.migrate() is schema.Migrated.NOTHING
    await database.close()


async def test_the_steps_lead_to_the_tables_that_the_code_knows(empty: Path | str) -> None:
    database = Database(empty)
    async with database.writer.begin() as connection:
        await connection.run_sync(schema.upgrade)
    async with database.writer.connect() as connection:
        assert await connection.run_sync(differences) == []
        revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert revision == schema.HEAD
    await database.close()


async def test_a_database_of_the_first_release_is_upgraded_with_its_rows(empty: Path | str) -> None:
    database = await at_first_revision(empty)
    assert await database.migrate() is schema.Migrated.UPGRADED
    sessions = Sessions(database)
    async with sessions.read(OPERATOR) as session:
        assert (await session.execute(select(TENANTS.c.id))).scalars().all() == ["default"]
    exchanges = StoredExchanges(sessions, fold_answer=lambda *_: None, waiting=lambda: (0, 0))
    found = await exchanges.find("req_1")
    assert found is not None
    assert (found["model"], found["duration_ms"], found["answer"]) == ("x", 1, None)
    await database.close()


async def test_a_database_that_only_newer_code_may_use_is_refused(place: Path | str) -> None:
    async with Database(place) as database, database.writer.begin() as connection:
        await connection.execute(update(SCHEMA_VERSION).values(version=schema.VERSION + 1))
    with pytest.raises(schema.SchemaTooNew, match="upgrade Junto"):
        await Database(place).__aenter__()


async def test_a_newer_revision_that_only_added_is_worked_with(place: Path | str) -> None:
    async with Database(place) as database, database.writer.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    async with Database(place) as database:
        assert await database.migrate() is schema.Migrated.NOTHING


async def test_a_postgres_that_was_not_migrated_is_not_served_from(postgres: databases.Postgres) -> None:
    url = postgres.empty()
    with pytest.raises(schema.SchemaTooOld, match="junto migrate"):
        await Database(url).__aenter__()
    postgres.drop(url)
