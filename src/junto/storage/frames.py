"""The format of journal segments: how a record becomes bytes, and how good records are found again in damaged bytes.

A segment is a run of frames and nothing else; its file is named `<sequence>-<marker>.journal`, and each of its frames is

    marker   8 bytes   random, the same for all frames of the segment; hexadecimal in the file's name
    length   4 bytes   of the payload, little endian
    payload            the record as a MessagePack map (bodies stay raw bytes); absent fields are at their defaults
    crc32    4 bytes   of all the above, little endian

Whatever does not check out is skipped up to the next marker. A marker is random so that no text a caller sends can look
like a frame when a damaged one around it is scanned. No file access here.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

from junto.core.exchange import ExchangeRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER_BYTES = 8
_HEAD_BYTES = MARKER_BYTES + 4
_TAIL_BYTES = 4
_LENGTH = struct.Struct("<I")
_KEPT_BUFFER_BYTES = 1 << 20


class Framer:
    """Encodes records, one frame behind the other, into one reused buffer until that is cleared."""

    def __init__(self, marker: bytes) -> None:
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._head = marker + bytes(_HEAD_BYTES - MARKER_BYTES)
        self.pending = bytearray()

    def add(self, record: ExchangeRecord) -> int:
        """Append the frame of a record to `pending`; returns its length in bytes."""
        buffer = self.pending
        start = len(buffer)
        buffer += self._head
        self._encode_into(record, buffer, -1)
        body = start + _HEAD_BYTES
        buffer[start + MARKER_BYTES : body] = _LENGTH.pack(len(buffer) - body)
        buffer += _LENGTH.pack(zlib.crc32(memoryview(buffer)[start:] if start else buffer))
        return len(buffer) - start

    def clear(self) -> None:
        """Begin anew, after the frames were written or given up."""
        if len(self.pending) > _KEPT_BUFFER_BYTES:  # one huge exchange must not hold its memory for good
            self.pending = bytearray()
        else:
            self.pending.clear()


class Skipped(msgspec.Struct, frozen=True):
    """Bytes that hold no readable record: `torn` at the end of a segment, or damaged in the middle of it."""

    offset: int
    length: int
    torn: bool


class Scanned(msgspec.Struct, frozen=True):
    """A readable record and the length of its frame in bytes."""

    record: ExchangeRecord
    length: int


def scan(data: bytes, marker: bytes) -> Iterator[Scanned | Skipped]:
    """All readable records of a segment in order, and the gaps between them. Never raises."""
    decode = msgspec.msgpack.Decoder(ExchangeRecord).decode
    position = good_end = 0
    while (start := data.find(marker, position)) >= 0:
        payload = _payload_at(data, start)
        record = None if payload is None else _decoded(decode, payload)
        if payload is None or record is None:
            position = start + 1
            continue
        if start > good_end:
            yield Skipped(good_end, start - good_end, torn=False)
        length = _HEAD_BYTES + len(payload) + _TAIL_BYTES
        yield Scanned(record, length)
        position = good_end = start + length
    if good_end < len(data):
        yield Skipped(good_end, len(data) - good_end, torn=True)


def _payload_at(data: bytes, start: int) -> memoryview | None:
    body = start + _HEAD_BYTES
    if body > len(data):
        return None
    (length,) = _LENGTH.unpack_from(data, start + MARKER_BYTES)
    end = body + length
    if end + _TAIL_BYTES > len(data):
        return None
    view = memoryview(data)
    (expected,) = _LENGTH.unpack_from(data, end)
    return view[body:end] if zlib.crc32(view[start:end]) == expected else None


def _decoded(decode: _Decode, payload: memoryview) -> ExchangeRecord | None:
    """The record; None for one that another version of Junto wrote in a shape that this one cannot read."""
    try:
        return decode(payload)
    except msgspec.DecodeError:
        return None


if TYPE_CHECKING:
    from collections.abc import Callable

    type _Decode = Callable[[memoryview], ExchangeRecord]
