"""A Postgres that crashes, is away and comes back: nothing is lost, callers are told to come again, and nobody has to restart Junto."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text

from junto.core.errors import Overloaded
from junto.storage.engine import Database
from junto.storage.flusher import Flusher
from junto.storage.journal import Journal
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.writer import ExchangeWriter
from tests.unit.storage.records import record, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conformance.databases import Postgres

pytestmark = pytest.mark.anyio


@contextmanager
def away(postgres: Postgres) -> Iterator[None]:
    """The server has crashed for as long as the block runs."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


async def stored(sessions: Sessions) -> int:
    async with sessions.read(OPERATOR) as session:
        return int((await session.execute(select(func.count()).select_from(EXCHANGES))).scalar_one())


async def test_the_journal_fills_while_postgres_is_away_and_empties_when_it_is_back(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, limit_rows=100)
    journal.open()
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        flusher = Flusher(journal, ExchangeWriter(sessions), interval=0.01, longest_retry=0.05)
        flusher.start()
        journal.append(record(1))
        await until(lambda: flusher.stored == 1)
        written = 1
        with away(postgres):
            while journal.has_room:  # without any, admission refuses with 503
                written += 1
                journal.append(record(written))
                await asyncio.sleep(0)
            assert flusher.stored == 1
        await until(lambda: flusher.stored == written and journal.has_room)
        await flusher.stop()
        assert (await stored(sessions), flusher.refused) == (101, 0)
    journal.close()


async def test_a_crash_between_two_sessions_costs_none_of_them(postgres: Postgres, postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        await ExchangeWriter(sessions).store(records(1))
        with away(postgres):
            pass
        assert await stored(sessions) == 1


@pytest.mark.parametrize("scope", [OPERATOR, Tenant("acme")], ids=["operator", "tenant"])
async def test_who_asks_while_it_is_away_is_told_when_to_come_again(
    postgres: Postgres, postgres_url: str, scope: Tenant
) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        with away(postgres):
            for begin in (sessions.read, sessions.write):
                with pytest.raises(Overloaded) as told:
                    async with begin(scope) as session:
                        await session.execute(select(EXCHANGES.c.id))
                assert told.value.retry_after
                assert told.value.status == 503
        assert await stored(sessions) == 0


async def test_a_crash_in_the_middle_of_a_session_writes_nothing(postgres: Postgres, postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)

        async def crash(*_: object) -> None:
            postgres.stop()

        try:
            with pytest.raises(Overloaded):
                await ExchangeWriter(sessions, along=[crash]).store(records(1, 2))
        finally:
            postgres.start()
        assert await stored(sessions) == 0


async def freeze(sessions: Sessions) -> None:
    """What a process does that is stopped in the middle of a session for too long, and goes on."""
    async with sessions.write(OPERATOR) as session:
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '1ms'"))
        await asyncio.sleep(0.1)
        await session.execute(select(1))


async def test_a_process_that_froze_in_a_session_has_lost_it_and_its_locks(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        sessions = Sessions(database)
        async with sessions.read(OPERATOR) as session:
            limits = await session.execute(
                select(
                    func.current_setting("idle_in_transaction_session_timeout"),
                    func.current_setting("statement_timeout"),
                )
            )
            assert limits.one() == ("10s", "30s")
        with pytest.raises(Overloaded):
            await freeze(sessions)
        assert await stored(sessions) == 0


async def test_a_start_without_postgres_says_so(postgres: Postgres, postgres_url: str) -> None:
    with away(postgres), pytest.raises(Overloaded):
        await Database(postgres_url).__aenter__()
