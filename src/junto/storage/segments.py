"""The files of a journal: their names, their order, and one writer that leaves no torn frame behind while it lives."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.storage.frames import MARKER_BYTES, Framer

if TYPE_CHECKING:
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord

_NAME = re.compile(r"(\d{10})-([0-9a-f]{16})\.journal")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a journal; segments are replayed in the order of their sequence numbers."""

    path: Path
    sequence: int
    marker: bytes


def list_segments(directory: Path) -> list[Segment]:
    """The segments in a directory, oldest first; files with other names are none of the journal's business."""
    found = [
        Segment(path, int(match[1]), bytes.fromhex(match[2]))
        for path in directory.iterdir()
        if (match := _NAME.fullmatch(path.name))
    ]
    return sorted(found, key=lambda segment: (segment.sequence, segment.marker))


class ShortWrite(OSError):
    """The file took only a part of a frame: the disk is full, or a quota or size limit was met."""


class SegmentWriter:
    """Appends frames to a new segment. Raises OSError when it cannot; the file then ends where it ended before."""

    def __init__(self, directory: Path, sequence: int) -> None:
        marker = os.urandom(MARKER_BYTES)
        path = directory / f"{sequence:010d}-{marker.hex()}.journal"
        self.segment = Segment(path, sequence, marker)
        self.size = 0
        self.broken = False  # a torn frame could not be cut off: nothing may follow it
        self._framer = Framer(marker)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def add(self, record: ExchangeRecord) -> int:
        """Take a record for the next write; returns the length of its frame in bytes."""
        return self._framer.add(record)

    @property
    def pending(self) -> int:
        """How many bytes the next write takes."""
        return len(self._framer.pending)

    def write(self) -> None:
        """Append what was added, with one write; when it fails, nothing of it stays."""
        frames = self._framer.pending
        length = len(frames)
        try:
            written = os.write(self._fd, frames)
        except OSError:
            self._cut_off()
            raise
        finally:
            self._framer.clear()
        if written != length:
            self._cut_off()
            raise ShortWrite(f"only {written} of {length} bytes could be written to {self.segment.path}")
        self.size += length

    def probe(self, length: int) -> None:
        """Find out whether that many bytes can be written now, and leave none behind."""
        try:
            written = os.write(self._fd, bytes(length))
        finally:
            self._cut_off()
        if written != length:
            raise ShortWrite(f"only {written} of {length} bytes could be written to {self.segment.path}")

    def clear(self) -> None:
        """Drop all frames: the caller has them in safety elsewhere."""
        os.ftruncate(self._fd, 0)
        self.size = 0

    def close(self) -> None:
        """Close the file and keep it."""
        os.close(self._fd)

    def _cut_off(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self.broken = True
