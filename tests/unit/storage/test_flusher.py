"""The flusher: everything arrives, nothing twice, nothing is dropped while the database is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.storage.flusher import Flusher
from junto.storage.journal import Journal
from junto.storage.writer import RecordRefused

from .records import record, records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord

pytestmark = pytest.mark.anyio


class FakeSink:
    """Remembers what it was given; fails as told."""

    def __init__(self) -> None:
        self.batches: list[list[ExchangeRecord]] = []
        self.failures: list[Exception] = []
        self.refuses: set[str] = set()
        self.away = False
        self.stored = asyncio.Event()

    async def store(self, records: Sequence[ExchangeRecord]) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError("the database is away")
        if self.failures:
            raise self.failures.pop(0)
        if any(one.id in self.refuses for one in records):
            raise RecordRefused("no such thing")
        self.batches.append(list(records))
        self.stored.set()

    @property
    def ids(self) -> list[str]:
        return [one.id for batch in self.batches for one in batch]


def ids(*numbers: int) -> list[str]:
    return [record(number).id for number in numbers]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    journal.open()
    yield journal
    journal.close()


async def test_a_flush_stores_one_batch_and_takes_it_from_the_journal(journal: Journal) -> None:
    sink = FakeSink()
    for one in records(1, 2, 3):
        journal.append(one)
    assert await Flusher(journal, sink).flush()
    assert sink.batches == [records(1, 2, 3)]
    assert journal.waiting_rows == 0


async def test_full_batches_are_stored_at_once_and_the_rest_waits_for_company(journal: Journal) -> None:
    sink = FakeSink()
    for one in records(*range(1, 9)):
        journal.append(one)
    flusher = Flusher(journal, sink, batch_rows=3)
    await flusher.flush()
    assert [len(batch) for batch in sink.batches] == [3, 3]
    await flusher.flush()
    assert [len(batch) for batch in sink.batches] == [3, 3, 2]
    assert flusher.stored == 8


async def test_batches_are_bounded_in_bytes(journal: Journal) -> None:
    sink = FakeSink()
    for one in records(1, 2, 3, request_body=bytes(10_000)):
        journal.append(one)
    flusher = Flusher(journal, sink, batch_bytes=10_500)
    await flusher.flush()
    await flusher.flush()
    assert [len(batch) for batch in sink.batches] == [1, 1, 1]


async def test_while_the_database_is_away_everything_is_kept_and_comes_later(journal: Journal) -> None:
    sink = FakeSink()
    flusher = Flusher(journal, sink)
    sink.away = True
    for number in range(1, 6):
        journal.append(record(number))
        assert not await flusher.flush()
    assert flusher.failures == 5
    assert journal.waiting_rows == 5
    sink.away = False
    assert await flusher.flush()
    assert sink.ids == ids(1, 2, 3, 4, 5)
    assert flusher.failures == 0


async def test_a_journal_at_its_limit_has_room_again_after_a_flush(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_rows=2)
    journal.open()
    sink = FakeSink()
    sink.away = True
    flusher = Flusher(journal, sink)
    for one in records(1, 2):
        journal.append(one)
    await flusher.flush()
    room_before = journal.has_room
    sink.away = False
    await flusher.flush()
    assert (room_before, journal.has_room) == (False, True)
    journal.close()


async def test_the_service_retries_by_itself_until_the_database_is_back(journal: Journal) -> None:
    sink = FakeSink()
    sink.failures = [ConnectionError("gone"), TimeoutError("slow"), OSError("disk")]
    flusher = Flusher(journal, sink, interval=0.001, longest_retry=0.004)
    journal.append(record(1))
    flusher.start()
    await asyncio.wait_for(sink.stored.wait(), 10)
    await flusher.stop()
    assert sink.ids == ids(1)


async def test_a_full_batch_does_not_wait_for_the_interval(journal: Journal) -> None:
    sink = FakeSink()
    flusher = Flusher(journal, sink, interval=3600, batch_rows=2)
    flusher.start()
    await asyncio.sleep(0)
    for one in records(1, 2):
        journal.append(one)
    await asyncio.wait_for(sink.stored.wait(), 10)
    assert sink.ids == ids(1, 2)
    await flusher.stop()


async def test_what_rests_is_flushed_on_stop_and_stopping_twice_is_safe(journal: Journal) -> None:
    sink = FakeSink()
    flusher = Flusher(journal, sink, interval=3600, batch_rows=2)
    flusher.start()
    await asyncio.sleep(0)
    for one in records(*range(1, 6)):
        journal.append(one)
    await flusher.stop()
    await flusher.stop()
    assert sink.ids == ids(1, 2, 3, 4, 5)


async def test_stopping_while_the_database_is_away_ends_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    sink = FakeSink()
    sink.away = True
    flusher = Flusher(journal, sink, interval=3600)
    flusher.start()
    journal.append(record(1))
    await flusher.stop()
    journal.close()
    again = Journal(tmp_path)
    assert again.open().records == 1
    again.close()


async def test_a_stop_does_not_wait_for_ever_for_a_database_that_hangs(journal: Journal) -> None:
    class Hanging(FakeSink):
        async def store(self, records: Sequence[ExchangeRecord]) -> None:
            await asyncio.Event().wait()

    flusher = Flusher(journal, Hanging(), patience=0.01)
    journal.append(record(1))
    flusher.start()
    await flusher.stop()
    assert journal.waiting_rows == 1


async def test_stopping_what_was_never_started_is_safe(journal: Journal) -> None:
    await Flusher(journal, FakeSink()).stop()


async def test_one_record_that_the_database_refuses_does_not_hold_up_the_others(journal: Journal) -> None:
    sink = FakeSink()
    sink.refuses = set(ids(2))
    flusher = Flusher(journal, sink)
    for one in records(1, 2, 3):
        journal.append(one)
    assert await flusher.flush()
    assert sink.ids == ids(1, 3)
    assert flusher.refused == 1
    assert journal.waiting_rows == 0


async def test_a_database_that_goes_away_amid_single_records_loses_none(journal: Journal) -> None:
    sink = FakeSink()
    sink.failures = [RecordRefused("a batch"), ConnectionError("gone")]
    for one in records(1, 2):
        journal.append(one)
    flusher = Flusher(journal, sink)
    assert not await flusher.flush()
    assert journal.waiting_rows == 2
    assert await flusher.flush()
    assert sink.ids == ids(1, 2)
    assert flusher.refused == 0
