"""The schema is made and upgraded the same way on every database, and rows that an older Junto wrote are still there."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from junto.ports.stores import ExchangeQuery
from junto.storage import schema
from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.secret_name import kept_name
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables import METADATA
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.metadata import SCHEMA_VERSION
from junto.storage.writer import ExchangeWriter
from tests.unit.storage.records import record

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
    passed_over = ["alembic_version"]
    if connection.dialect.name == "sqlite":
        passed_over.append("ix_jobs_line")  # Alembic does not see there which way a column of an index goes
    return [each for each in compare_metadata(context, METADATA) if not any(name in str(each) for name in passed_over)]


def shape(connection: Connection) -> dict[str, Any]:
    """Everything that the database itself says about its tables: columns in order with their defaults, keys, indexes, policies."""
    inspector = inspect(connection)
    shown: dict[str, Any] = {}
    for table in sorted(inspector.get_table_names()):
        columns = [
            (
                column["name"],
                str(column["type"]),
                column["nullable"],
                str(column["default"]).partition("::")[0].strip("'"),
            )
            for column in inspector.get_columns(table)
        ]
        shown[table] = (
            sorted(columns)
            if table in {"exchanges", "exchange_bodies"}
            else columns,  # these have got columns at their end
            inspector.get_pk_constraint(table),
            sorted(map(str, inspector.get_foreign_keys(table))),
            sorted(map(str, inspector.get_unique_constraints(table))),
            sorted(plain(index) for index in inspector.get_indexes(table)),
            connection.execute(select(func.count()).select_from(text(table))).scalar_one(),
        )
    if connection.dialect.name == "sqlite":
        triggers = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        shown["triggers"] = [tuple(row) for row in connection.execute(triggers)]
    return shown


def plain(index: Any) -> str:
    """An index as text; what it is limited to comes as an object, whose own text is an address in memory."""
    options = {name: str(value) for name, value in index.pop("dialect_options", {}).items()}
    return f"{index} {options}"


async def shape_of(database: Database) -> dict[str, Any]:
    async with Sessions(database).read(OPERATOR) as session:
        return await session.connection.run_sync(shape)


async def at_first_revision(place: Path | str, *, then: str = "0001") -> Database:
    """A database as the first release made it: its tables, one exchange, and no word of revisions. Or as upgraded from there."""
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
        if then != "0001":
            await connection.run_sync(lambda connection: schema.upgrade(connection, to=then))
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


async def test_a_file_that_is_made_at_once_is_the_one_that_the_steps_lead_to(tmp_path: Path) -> None:
    made, led = Database(tmp_path / "made"), Database(tmp_path / "led")
    assert await made.migrate() is schema.Migrated.MADE
    led.path.parent.mkdir()
    async with led.writer.begin() as connection:
        await connection.run_sync(schema.upgrade)
    assert await shape_of(made) == await shape_of(led)
    await made.close()
    await led.close()


def test_the_steps_make_one_chain_and_the_code_knows_it() -> None:
    script = ScriptDirectory(str(files("junto.storage") / "migrations"))
    chain = [step.revision for step in script.walk_revisions()]
    assert tuple(reversed(chain)) == schema.REVISIONS
    assert script.get_heads() == [schema.HEAD]


@pytest.mark.parametrize("revision", schema.REVISIONS[:-1])
async def test_each_older_revision_is_upgraded_with_what_was_in_it(empty: Path | str, revision: str) -> None:
    database = await at_first_revision(empty, then=revision)
    with pytest.raises(schema.SchemaTooOld, match="junto migrate"):
        await database.look()
    assert await database.migrate() is schema.Migrated.UPGRADED
    await database.look()
    sessions = Sessions(database)
    exchanges = StoredExchanges(sessions, fold_answer=lambda *_: None, waiting=lambda: (0, 0))
    found = await exchanges.find("req_1")
    assert found is not None
    assert (found["model"], found["request"], found["tenant"]) == ("x", {}, "x")
    await ExchangeWriter(sessions).store([record(2)])
    assert {row["id"] for row in await exchanges.page(ExchangeQuery())} == {record(2).id, "req_1"}
    await database.close()


@pytest.mark.parametrize("where", ["jobs", "exchange_bodies", "nowhere"])
async def test_the_name_of_the_secret_is_found_where_bodies_are_encrypted_already(
    empty: Path | str, where: str
) -> None:
    database = await at_first_revision(empty, then="0005")
    sealed = "zstd+aesgcm:1a2b3c4d"
    async with Sessions(database).write(OPERATOR) as session:
        if where == "exchange_bodies":
            await session.execute(text("UPDATE exchange_bodies SET codec = :codec"), {"codec": sealed})
        if where == "jobs":
            old = MetaData()
            await session.connection.run_sync(old.reflect)
            columns = [column for column in old.tables["jobs"].columns if not column.nullable]
            row = {column.name: 0 if column.type.python_type is int else "" for column in columns}
            row |= {"tenant_id": "default", "id": "job_1", "status": "pending", "request_codec": sealed}
            await session.execute(insert(old.tables["jobs"]).values(row))
    assert await database.migrate() is schema.Migrated.UPGRADED
    assert await kept_name(Sessions(database)) == (None if where == "nowhere" else "1a2b3c4d")
    await database.close()


async def test_a_migration_that_fails_leaves_everything_as_it_was(empty: Path | str) -> None:
    database = await at_first_revision(empty)
    async with database.writer.begin() as connection:
        await connection.execute(text("CREATE TABLE versions (somebody_elses INTEGER)"))
    before = await _all_tables(database)
    with pytest.raises(DBAPIError, match="versions"):
        await database.migrate()
    assert await _all_tables(database) == before
    async with database.writer.begin() as connection:
        await connection.execute(text("DROP TABLE versions"))
    assert await database.migrate() is schema.Migrated.UPGRADED
    await database.close()


async def _all_tables(database: Database) -> dict[str, Any]:
    async with database.reader.connect() as connection:
        return await connection.run_sync(shape)


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
