"""A database that is away is told as such; a statement that is wrong is not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from junto.core.errors import Conflict, Overloaded
from junto.storage.engine import Database
from junto.storage.sessions import OPERATOR, Sessions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_database_that_cannot_be_opened_is_a_503_with_retry_after(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/x.sqlite3")
    sessions = Sessions(cast("Database", SimpleNamespace(writer=engine, reader=engine)))
    for begin in (sessions.read, sessions.write):
        with pytest.raises(Overloaded) as caught:
            async with begin(OPERATOR):
                pass
        assert caught.value.retry_after
        assert isinstance(caught.value.__cause__, OperationalError)
    await engine.dispose()
    for thread in threading.enumerate():  # of connections that came to nothing: it has a last word for the event loop
        if "connection_worker" in thread.name:
            await anyio.to_thread.run_sync(thread.join, 5)


async def test_a_statement_that_is_wrong_stays_an_error_of_ours(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        with pytest.raises(OperationalError):
            async with Sessions(database).read(OPERATOR) as session:
                await session.execute(text("SELECT * FROM nothing"))


async def test_what_the_block_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        with pytest.raises(Conflict):
            async with Sessions(database).write(OPERATOR):
                raise Conflict("taken")
