"""The journal under a secret: no word lies readable on the disk, and whatever the secret at the next start, everything is charged."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given

from junto.core.secret import Secret
from junto.storage.journal import Journal, Recovery
from junto.storage.sealed_records import seal_record, unseal_record
from junto.storage.sealing import Sealer
from junto.storage.segments import list_segments

from .records import any_record, record

if TYPE_CHECKING:
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord

CANARY = b"a canary that nobody may read"


def sealer_of(secret: str = "a secret of the tests") -> Sealer:
    return Sealer(Secret(secret), entropy=secrets.token_bytes)


def spoken(number: int = 1) -> ExchangeRecord:
    return msgspec.structs.replace(record(number), keep="full", request_body=CANARY, answer_body=CANARY * 9)


def left_behind(directory: Path, sealer: Sealer | None) -> None:
    journal = Journal(directory, sealer=sealer)
    journal.open()
    journal.append(spoken())
    journal.close()


def found(directory: Path, sealer: Sealer | None) -> list[ExchangeRecord]:
    journal = Journal(directory, sealer=sealer)
    assert journal.open() == Recovery(records=1)
    return journal.oldest(10, 1 << 30)


@given(any_record)
def test_any_record_comes_back_as_it_was(written: ExchangeRecord) -> None:
    assert unseal_record(seal_record(written, sealer_of()), sealer_of()) == written


def test_no_word_lies_readable_on_the_disk_and_all_of_it_is_read_again(tmp_path: Path) -> None:
    left_behind(tmp_path, sealer_of())
    assert CANARY not in b"".join(segment.path.read_bytes() for segment in list_segments(tmp_path))
    assert found(tmp_path, sealer_of()) == [spoken()]


def test_what_waits_for_the_database_is_in_memory_as_it_was_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path, sealer=sealer_of())
    journal.open()
    journal.append(spoken())
    assert journal.oldest(10, 1 << 30) == [spoken()]


@pytest.mark.parametrize("now", [None, "another secret"])
def test_under_another_secret_or_none_only_the_words_are_lost(tmp_path: Path, now: str | None) -> None:
    left_behind(tmp_path, sealer_of())
    [charged] = found(tmp_path, None if now is None else sealer_of(now))
    assert charged == msgspec.structs.replace(spoken(), keep="metadata", request_body=b"", answer_body=b"")


def test_a_journal_from_before_there_was_a_secret_is_read(tmp_path: Path) -> None:
    left_behind(tmp_path, None)
    assert found(tmp_path, sealer_of()) == [spoken()]


def test_a_body_that_was_moved_to_another_record_is_not_read() -> None:
    sealed = seal_record(spoken(), sealer_of())
    moved = unseal_record(msgspec.structs.replace(sealed, id="req_other"), sealer_of())
    assert (moved.request_body, moved.answer_body) == (b"", b"")
