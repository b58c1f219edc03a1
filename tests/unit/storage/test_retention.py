"""Retention: what is too old goes, bodies and space included; what is not stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from junto.storage.engine import Database
from junto.storage.retention import Retention
from junto.storage.sessions import Sessions
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.writer import ExchangeWriter

from .records import record, records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Table

pytestmark = pytest.mark.anyio

DAY = 24 * 60 * 60 * 1000


class FixedClock:
    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return 100 * DAY


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path) as database:
        yield database


async def until_empty(database: Database) -> None:
    async with asyncio.timeout(10):
        while await ids(database, EXCHANGES):  # noqa: ASYNC110  what is awaited happens in the database
            await asyncio.sleep(0.005)


async def ids(database: Database, table: Table) -> list[str]:
    async with database.reader.connect() as connection:
        return list((await connection.execute(select(table.c.id).order_by(table.c.id))).scalars())


async def test_exchanges_older_than_the_days_are_deleted_with_their_bodies(database: Database) -> None:
    limit = 70 * DAY
    await ExchangeWriter(Sessions(database)).store(records(limit - 2, limit - 1, limit, limit + 1))
    retention = Retention(Sessions(database), FixedClock(), days=30, batch_rows=1, pause=0)
    assert await retention.sweep() == 2
    kept = [record(limit).id, record(limit + 1).id]
    assert await ids(database, EXCHANGES) == kept
    assert await ids(database, BODIES) == kept
    assert await retention.sweep() == 0


async def test_the_file_gives_back_the_space_of_what_was_deleted(database: Database) -> None:
    async def pragma(name: str) -> int:
        async with database.writer.connect() as connection:
            return int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())

    empty = await pragma("page_count")
    await ExchangeWriter(Sessions(database), compress=False).store(records(*range(200), request_body=bytes(20_000)))
    assert await pragma("page_count") > empty + 400
    assert await Retention(Sessions(database), FixedClock(), days=1, pause=0).sweep() == 200
    assert await pragma("freelist_count") == 0
    assert await pragma("page_count") < empty + 10


async def test_the_service_sweeps_at_start_and_stops_twice_safely(database: Database) -> None:
    await ExchangeWriter(Sessions(database)).store(records(1))
    retention = Retention(Sessions(database), FixedClock(), days=1)
    retention.start()
    await until_empty(database)
    await retention.stop()
    await retention.stop()


async def test_a_sweep_that_fails_does_not_end_the_service(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        async with database.writer.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE exchanges RENAME TO hidden")
        retention = Retention(Sessions(database), FixedClock(), days=1, interval=0.001)
        retention.start()
        await asyncio.sleep(0.02)
        async with database.writer.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE hidden RENAME TO exchanges")
        await ExchangeWriter(Sessions(database)).store(records(1))
        await until_empty(database)
        await retention.stop()
