"""The journal: written down at once, bounded, read again after a crash, gone when the database has it all."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from junto.core.errors import Overloaded
from junto.storage.journal import Journal, JournalFull, Recovery
from junto.storage.segments import list_segments

from .records import record, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord


def opened(directory: Path, **limits: Any) -> Journal:
    journal = Journal(directory, **limits)
    journal.open()
    return journal


def waiting(journal: Journal) -> list[ExchangeRecord]:
    return journal.oldest(1_000_000, 1 << 40)


def room(journal: Journal) -> bool:
    return journal.has_room


def on_disk(directory: Path) -> bytes:
    return b"".join(segment.path.read_bytes() for segment in list_segments(directory))


@contextmanager
def full_disk() -> Iterator[None]:
    """Files of this process can grow to 2,000 bytes only: the kernel then writes short, as on a full disk.

    Around the test's own lines only: pytest's report may go to a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def append_all(journal: Journal, count: int) -> None:
    for number in range(1, count + 1):
        journal.append(record(number))


def lift_the_limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_what_was_appended_is_in_the_file_before_append_returns(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1))
    crashed = Journal(tmp_path)  # nothing was closed or flushed in between
    assert crashed.open() == Recovery(records=1)
    assert waiting(crashed) == [record(1)]
    journal.close()
    crashed.close()


def test_records_wait_in_order_until_the_database_has_them(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for one in records(1, 2, 3):
        journal.append(one)
    assert journal.oldest(2, 1 << 20) == records(1, 2)
    journal.forget_oldest(2)
    assert waiting(journal) == records(3)
    assert journal.waiting_rows == 1
    journal.close()


def test_a_batch_is_bounded_in_bytes_but_holds_one_record_at_least(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1))
    length = journal.waiting_bytes
    for one in records(2, 3):
        journal.append(one)
    assert journal.oldest(10, 2 * length) == records(1, 2)
    assert journal.oldest(10, 1) == records(1)
    journal.close()


def test_a_torn_tail_at_every_byte_of_the_last_record_recovers_all_earlier_ones(tmp_path: Path) -> None:
    journal = opened(tmp_path / "whole")
    for one in records(1, 2):
        journal.append(one)
    earlier = journal.waiting_bytes
    journal.append(record(3))
    whole, name = on_disk(tmp_path / "whole"), list_segments(tmp_path / "whole")[0].path.name
    journal.close()
    torn = tmp_path / "torn"
    for length in range(earlier + 1, len(whole)):
        torn.mkdir(exist_ok=True)
        (torn / name).write_bytes(whole[:length])
        recovered = Journal(torn)
        assert recovered.open() == Recovery(records=2, gaps=1, lost_bytes=length - earlier)
        assert waiting(recovered) == records(1, 2)
        recovered.forget_oldest(2)
        recovered.close()
        assert list(torn.iterdir()) == []


def test_a_damaged_record_is_counted_and_those_after_it_are_kept(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for one in records(1, 2, 3):
        journal.append(one)
    path = list_segments(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third + third // 2] ^= 0x10
    path.write_bytes(data)
    journal.close()
    again = Journal(tmp_path)
    assert again.open() == Recovery(records=2, gaps=1, lost_bytes=third)
    assert waiting(again) == records(1, 3)
    again.close()


def test_a_journal_that_is_opened_twice_in_a_row_still_has_everything_in_order(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(record(1))
    first.close()
    second = opened(tmp_path)
    second.append(record(2))
    second.close()
    third = opened(tmp_path)
    assert waiting(third) == records(1, 2)
    third.forget_oldest(2)
    third.close()
    assert list(tmp_path.iterdir()) == []


def test_segments_rotate_by_size_and_go_when_all_of_their_records_are_stored(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1000)
    for number in range(1, 10):
        journal.append(record(number))
    segments = list_segments(tmp_path)
    assert len(segments) > 3
    assert [segment.sequence for segment in segments] == list(range(1, len(segments) + 1))
    journal.forget_oldest(1)
    assert len(list_segments(tmp_path)) == len(segments)
    journal.forget_oldest(7)
    assert list_segments(tmp_path) == segments[-1:]
    journal.forget_oldest(1)
    journal.append(record(10))
    assert waiting(journal) == records(10)
    journal.close()
    assert opened(tmp_path).waiting_rows == 1


def test_no_text_stays_behind_in_the_open_segment_when_all_is_stored(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1))
    assert b"capital of France" in on_disk(tmp_path)
    journal.forget_oldest(1)
    assert on_disk(tmp_path) == b""
    journal.append(record(2))
    journal.close()
    assert waiting(opened(tmp_path)) == records(2)


def test_bodies_reach_the_disk_only_when_the_exchange_is_kept_in_full(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1, keep="metadata"))
    journal.append(record(2, keep="none"))
    assert b"capital of France" not in on_disk(tmp_path)
    assert b"Paris" not in on_disk(tmp_path)
    metadata, none = waiting(journal)
    assert metadata == record(1, keep="metadata", request_body=b"", answer_body=b"")
    assert (none.keep, none.requested_model, none.client, none.attempts) == ("none", "", "", ())
    assert none.cost_nano == record(2).cost_nano
    journal.close()


def test_there_is_no_room_at_the_limit_of_rows_or_of_bytes(tmp_path: Path) -> None:
    rows = opened(tmp_path / "rows", limit_rows=2)
    rows.append(record(1))
    assert room(rows)
    rows.append(record(2))
    assert not room(rows)
    rows.forget_oldest(1)
    assert room(rows)
    rows.close()
    size = opened(tmp_path / "bytes", limit_bytes=1000)
    while size.has_room:
        size.append(record(1))
    assert size.waiting_bytes >= 1000
    size.close()


def test_work_that_was_admitted_is_recorded_even_beyond_the_limit(tmp_path: Path) -> None:
    journal = opened(tmp_path, limit_rows=1)
    for one in records(1, 2, 3):
        journal.append(one)
    assert waiting(journal) == records(1, 2, 3)
    journal.close()


def test_a_journal_that_is_not_open_has_no_room(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert not room(journal)
    journal.open()
    assert room(journal)
    journal.close()
    journal.close()
    assert not room(journal)


@full_disk()
def test_a_short_write_is_refused_and_leaves_no_torn_record(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(JournalFull) as refusal:
        append_all(journal, 100)
    assert isinstance(refusal.value, Overloaded)
    assert refusal.value.retry_after
    assert journal.blocked
    assert not room(journal)
    kept = waiting(journal)
    assert kept == records(*range(1, len(kept) + 1))
    assert journal.waiting_bytes == len(on_disk(tmp_path)) < 2000
    journal.close()
    assert Journal(tmp_path).open() == Recovery(records=len(kept))


@full_disk()
def test_room_comes_back_when_a_write_succeeds_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(JournalFull):
        journal.append(record(1, request_body=bytes(4000)))
    journal.append(record(2))
    assert room(journal)
    with pytest.raises(JournalFull):
        journal.append(record(3, request_body=bytes(4000)))
    journal.probe()
    assert not room(journal)
    lift_the_limit()
    journal.probe()
    assert room(journal)
    assert waiting(journal) == records(2)
    assert journal.waiting_bytes == len(on_disk(tmp_path))
    journal.close()


def test_the_callback_comes_when_enough_rows_or_bytes_wait(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    calls: list[int] = []
    journal.notify(lambda: calls.append(journal.waiting_rows), rows=2, size=1 << 20)
    for one in records(1, 2, 3):
        journal.append(one)
    assert calls == [2, 3]
    journal.notify(lambda: calls.append(0), rows=100, size=journal.waiting_bytes + 1)
    journal.append(record(4))
    assert calls == [2, 3, 0]
    journal.close()


def test_journal_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0
    assert all(segment.path.stat().st_mode & 0o077 == 0 for segment in list_segments(tmp_path / "journal"))
    journal.close()


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.journal"
    other.write_text("mine")
    journal = opened(tmp_path)
    journal.close()
    assert other.read_text() == "mine"


def test_nothing_is_written_after_a_torn_record_that_could_not_be_cut_off(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1))
    assert journal._writer is not None
    with journal._writer.segment.path.open("ab") as file:
        file.write(b"torn")
    journal._writer.broken = True
    journal.append(record(2))
    assert len(list_segments(tmp_path)) == 2
    assert Journal(tmp_path).open() == Recovery(records=2, gaps=1, lost_bytes=4)
    journal.close()


def test_records_added_together_are_written_by_one_commit(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in (1, 2, 3):
        journal.add(record(number))
    assert on_disk(tmp_path) == b""
    journal.commit()
    journal.close()
    assert waiting(opened(tmp_path)) == [record(1), record(2), record(3)]


def test_a_record_appended_at_once_takes_along_what_was_added_before_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.add(record(1))
    journal.append(record(2))
    assert waiting(opened_copy(tmp_path)) == [record(1), record(2)]


def test_closing_writes_what_was_added(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.add(record(1))
    journal.close()
    assert waiting(opened(tmp_path)) == [record(1)]


@full_disk()
def test_a_commit_that_fails_forgets_all_that_it_was_for_and_says_so(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record(1))
    for number in range(2, 40):
        journal.add(record(number))
    with pytest.raises(JournalFull):
        journal.commit()
    lift_the_limit()
    assert waiting(journal) == [record(1)]
    journal.add(record(50))
    journal.commit()
    journal.close()
    assert waiting(opened(tmp_path)) == [record(1), record(50)]


@full_disk()
def test_a_failure_met_by_somebody_else_is_told_to_the_next_commit_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(1, 40):
        journal.add(record(number))
    journal.write_out()
    with pytest.raises(JournalFull):
        journal.commit()
    journal.commit()


def opened_copy(directory: Path) -> Journal:
    """What a process that starts after a kill would find: the files as they are now."""
    copy = directory / "copy"
    copy.mkdir()
    for segment in list_segments(directory):
        (copy / segment.path.name).write_bytes(segment.path.read_bytes())
    return opened(copy)
