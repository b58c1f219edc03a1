"""Frames: what was written is read again, and damage costs no more than what it touched."""

from __future__ import annotations

import os
import zlib

from hypothesis import given
from hypothesis import strategies as st

from junto.core.exchange import ExchangeRecord
from junto.storage.frames import Framer, Scanned, Skipped, scan

from .records import any_record, record, records

MARKER = b"\x91\x02marker"


def segment(*written: ExchangeRecord, marker: bytes = MARKER) -> bytes:
    framer = Framer(marker)
    for one in written:
        framer.add(one)
    return bytes(framer.pending)


def found(data: bytes, marker: bytes = MARKER) -> list[ExchangeRecord]:
    return [item.record for item in scan(data, marker) if isinstance(item, Scanned)]


def gaps(data: bytes) -> list[Skipped]:
    return [item for item in scan(data, MARKER) if isinstance(item, Skipped)]


@given(st.lists(any_record, max_size=4))
def test_any_records_are_read_as_they_were_written(written: list[ExchangeRecord]) -> None:
    data = segment(*written)
    assert found(data) == written
    assert gaps(data) == []
    assert sum(item.length for item in scan(data, MARKER)) == len(data)


def test_a_tail_torn_at_any_byte_costs_only_the_last_record() -> None:
    earlier, last = segment(*records(1, 2)), segment(record(3))
    for kept in range(1, len(last)):
        data = earlier + last[:kept]
        assert found(data) == records(1, 2)
        assert gaps(data) == [Skipped(len(earlier), kept, torn=True)]


def test_a_flipped_bit_anywhere_costs_only_the_record_it_is_in() -> None:
    first, second, third = (segment(one) for one in records(1, 2, 3))
    for position in range(len(second)):
        damaged = bytearray(second)
        damaged[position] ^= 1 << (position % 8)
        data = first + bytes(damaged) + third
        assert found(data) == records(1, 3)
        assert gaps(data) == [Skipped(len(first), len(second), torn=False)]


def test_zeroes_that_a_power_cut_left_in_place_of_a_record_are_skipped() -> None:
    data = segment(record(1)) + bytes(4096) + segment(record(2))
    assert found(data) == records(1, 2)
    assert [gap.length for gap in gaps(data)] == [4096]


def test_a_frame_quoted_in_a_callers_text_is_not_taken_for_a_record() -> None:
    forged = segment(record(666, tenant="victim"), marker=b"guessed!")
    data = bytearray(segment(record(1, request_body=forged), record(2)))
    data[20] ^= 0xFF
    assert found(bytes(data)) == [record(2)]


def test_a_marker_inside_a_sound_record_does_not_split_it() -> None:
    data = segment(record(1, request_body=MARKER * 3), record(2))
    assert found(data) == [record(1, request_body=MARKER * 3), record(2)]


def test_a_record_of_another_shape_is_skipped_even_if_its_checksum_is_right() -> None:
    payload = b"\x81\xa2id\x01"  # {"id": 1}
    frame = MARKER + len(payload).to_bytes(4, "little") + payload
    frame += zlib.crc32(frame).to_bytes(4, "little")
    data = frame + segment(record(1))
    assert found(data) == [record(1)]
    assert gaps(data) == [Skipped(0, len(frame), torn=False)]


@given(st.binary(max_size=200), st.lists(st.integers(0, 3), max_size=6))
def test_scanning_rubbish_never_raises_and_never_finds_a_record(rubbish: bytes, places: list[int]) -> None:
    data = b"".join(MARKER * place + rubbish for place in places)
    assert found(data) == []
    assert sum(item.length for item in scan(data, MARKER)) == len(data)


def test_a_huge_record_does_not_keep_its_memory_for_the_small_ones_after_it() -> None:
    framer = Framer(MARKER)
    framer.add(record(1, request_body=os.urandom(2 << 20)))
    huge = framer.pending
    framer.clear()
    length = framer.add(record(2))
    assert framer.pending is not huge
    assert len(framer.pending) == length
    assert found(bytes(framer.pending)) == [record(2)]
