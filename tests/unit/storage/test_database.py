"""The database: set up as SQLite needs it, and filled idempotently."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from junto.storage.engine import Database
from junto.storage.flusher import Flusher
from junto.storage.journal import Journal
from junto.storage.schema import VERSION, SchemaTooNew
from junto.storage.sessions import Sessions
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.tables.identity import API_KEYS
from junto.storage.tables.metadata import SCHEMA_VERSION
from junto.storage.writer import ExchangeWriter, RecordRefused

from .records import ANSWER, REQUEST, record, records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path) as database:
        yield database


async def pragma(engine: AsyncEngine, name: str) -> object:
    async with engine.connect() as connection:
        return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()


async def count(database: Database, table: Table) -> int:
    async with database.reader.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_the_writer_syncs_each_commit_and_the_log_is_written_ahead(database: Database) -> None:
    assert await pragma(database.writer, "journal_mode") == "wal"
    assert await pragma(database.writer, "synchronous") == 2
    assert await pragma(database.writer, "auto_vacuum") == 2
    assert await pragma(database.writer, "mmap_size") == 0


async def test_a_row_of_nobody_is_refused_as_in_postgres(database: Database) -> None:
    row = dict.fromkeys((column.name for column in API_KEYS.columns), 0) | {
        "tenant_id": "t",
        "client_id": "c",
        "digest": b"",
    }
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        async with database.writer.begin() as connection:
            await connection.execute(API_KEYS.insert().values(row))


async def test_readers_cannot_write_and_never_checkpoint(database: Database) -> None:
    assert await pragma(database.reader, "query_only") == 1
    assert await pragma(database.reader, "wal_autocheckpoint") == 0
    with pytest.raises(OperationalError, match="readonly"):
        async with database.reader.begin() as connection:
            await connection.execute(update(SCHEMA_VERSION).values(version=9))


async def test_only_the_owner_can_read_the_file(database: Database) -> None:
    assert database.path.stat().st_mode & 0o077 == 0


async def test_a_database_opens_again_with_what_was_in_it(tmp_path: Path) -> None:
    async with Database(tmp_path) as first:
        await ExchangeWriter(Sessions(first)).store(records(1))
    async with Database(tmp_path) as second:
        assert await count(second, EXCHANGES) == 1
        assert await count(second, SCHEMA_VERSION) == 1
    await second.close()


async def test_a_database_of_a_newer_junto_is_refused_with_advice(tmp_path: Path) -> None:
    async with Database(tmp_path) as database, database.writer.begin() as connection:
        await connection.execute(update(SCHEMA_VERSION).values(version=VERSION + 1))
    with pytest.raises(SchemaTooNew, match="upgrade Junto"):
        await Database(tmp_path).__aenter__()


async def test_the_same_records_stored_twice_are_there_once(database: Database) -> None:
    writer = ExchangeWriter(Sessions(database))
    await writer.store(records(1, 2))
    await writer.store(records(2, 3))
    await writer.store([])
    assert await count(database, EXCHANGES) == 3
    assert await count(database, BODIES) == 3


async def test_only_exchanges_kept_in_full_have_bodies(database: Database) -> None:
    await ExchangeWriter(Sessions(database)).store(
        [record(1), record(2, keep="metadata"), record(3, request_body=b"", answer_body=b"")]
    )
    assert await count(database, EXCHANGES) == 3
    assert await count(database, BODIES) == 1


async def test_large_batches_and_large_bodies_arrive_whole(database: Database) -> None:
    writer = ExchangeWriter(Sessions(database))
    await writer.store([*records(*range(700)), record(1000, request_body=b"a" * 300_000)])
    async with database.reader.connect() as connection:
        row = (await connection.execute(select(EXCHANGES).where(EXCHANGES.c.id == record(1000).id))).mappings().one()
    assert row["request_bytes"] == 300_000
    assert 0 < row["stored_bytes"] < 10_000
    assert await count(database, EXCHANGES) == 701


async def test_without_compression_bodies_are_stored_as_they_were(database: Database) -> None:
    await ExchangeWriter(Sessions(database), compress=False).store(records(1))
    async with database.reader.connect() as connection:
        row = (await connection.execute(select(BODIES))).mappings().one()
    assert (row["codec"], row["content"]) == ("raw", REQUEST + ANSWER)


async def test_a_record_that_no_column_can_hold_is_refused_and_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(RecordRefused):
        await ExchangeWriter(Sessions(database)).store([record(1), record(2, cost_nano=2**63)])
    assert await count(database, EXCHANGES) == 0
    assert await count(database, BODIES) == 0


async def test_an_error_of_the_database_does_not_show_what_was_said(database: Database) -> None:
    """Flusher and retention log such errors; the driver's own text would repeat the statement's values."""
    async with database.writer.begin() as connection:
        await connection.exec_driver_sql(f"DROP TABLE {BODIES.name}")
    said = record(1, keep="full", request_body=b"a canary", answer_body=b"it sang")
    with pytest.raises(OperationalError) as caught:
        await ExchangeWriter(Sessions(database), compress=False).store([said])
    assert "canary" not in str(caught.value)
    assert "sang" not in str(caught.value)


async def test_a_locked_database_loses_nothing_and_is_no_reason_to_refuse_a_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.open()
    async with Database(tmp_path) as database:
        flusher = Flusher(journal, ExchangeWriter(Sessions(database)))
        async with database.writer.connect() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout=1")
        other = sqlite3.connect(database.path)
        other.execute("BEGIN EXCLUSIVE")
        for one in records(1, 2):
            journal.append(one)
        assert not await flusher.flush()
        assert (journal.waiting_rows, flusher.failures, flusher.refused) == (2, 1, 0)
        other.rollback()
        other.close()
        assert await flusher.flush()
        assert await count(database, EXCHANGES) == 2
    journal.close()


async def test_replaying_a_journal_that_was_already_flushed_changes_nothing(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        writer = ExchangeWriter(Sessions(database))
        for _ in range(3):
            journal = Journal(tmp_path / "journal")
            journal.open()
            for one in records(1, 2):
                journal.append(one)
            await writer.store(
                journal.oldest(10, 1 << 20)
            )  # and then the process dies, before the journal forgets them
            journal.close()
        survivor = Journal(tmp_path / "journal")
        assert survivor.open().records == 6
        assert await Flusher(survivor, writer).flush()
        assert await count(database, EXCHANGES) == 2
        assert await count(database, BODIES) == 2
        survivor.close()
    assert list((tmp_path / "journal").iterdir()) == []
