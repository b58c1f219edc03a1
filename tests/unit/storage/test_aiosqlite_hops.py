"""Many rows go through one hop in slices, which nobody outside notices."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from junto.storage import aiosqlite_hops

if TYPE_CHECKING:
    from junto.storage.aiosqlite_hops import OneHopConnection, WholeCursor

pytestmark = pytest.mark.anyio

_INSERT = "INSERT INTO numbers VALUES (?) ON CONFLICT DO NOTHING"


@asynccontextmanager
async def numbers() -> AsyncIterator[OneHopConnection]:
    connection = aiosqlite_hops.connect(":memory:")
    await connection
    try:
        await connection.cursor().execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY CHECK (n < 1000))")
        yield connection
    finally:
        await connection.close()


async def insert(connection: OneHopConnection, rows: list[tuple[Any, ...]]) -> WholeCursor:
    cursor = connection.cursor()
    return await cursor.executemany(_INSERT, rows)


@pytest.mark.parametrize("count", [0, 1, 32, 33, 100])
async def test_every_row_is_inserted_and_counted(count: int) -> None:
    async with numbers() as connection:
        assert (await insert(connection, [(n,) for n in range(count)])).rowcount == count
        found = await connection.cursor().execute("SELECT n FROM numbers ORDER BY n")
        assert await found.fetchall() == [(n,) for n in range(count)]


async def test_rows_that_were_there_are_not_counted() -> None:
    async with numbers() as connection:
        await insert(connection, [(n,) for n in range(50)])
        assert (await insert(connection, [(n,) for n in range(100)])).rowcount == 50


async def test_a_row_that_is_refused_in_a_later_slice_leaves_a_transaction_to_roll_back() -> None:
    async with numbers() as connection:
        with pytest.raises(sqlite3.IntegrityError):
            await insert(connection, [*((n,) for n in range(40)), (1000,)])
        await connection.rollback()
        found = await connection.cursor().execute("SELECT count(*) FROM numbers")
        assert await found.fetchall() == [(0,)]
