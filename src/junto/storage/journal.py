"""The journal: where an exchange is written down before its answer's end is acknowledged.

Owns the segment files of one directory and the records in them that are not yet in the database, which it also holds in
memory, bounded. Records are written before they are acknowledged, those of one moment together; no fsync: a record survives the death of the process, and losing power loses what
the kernel had not written. Must not be shared by two processes (storage/lock.py sees to that) nor by two threads, and
knows nothing of the database: the flusher takes records from here and says when they are safe.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.core.errors import Overloaded
from junto.storage.frames import Skipped, scan
from junto.storage.sealed_records import seal_record, unseal_record
from junto.storage.segments import Segment, SegmentWriter, list_segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord
    from junto.storage.sealing import Sealer

_log = structlog.get_logger(__name__)

_PROBE_BYTES = 64 * 1024
_RETRY_AFTER_SECONDS = 5.0


class JournalFull(Overloaded):
    """The journal cannot be written to, so the exchange is not recorded and must not be acknowledged."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at start: records to be flushed again, gaps without a readable record, and the bytes in those gaps."""

    records: int = 0
    gaps: int = 0
    lost_bytes: int = 0


@dataclass(slots=True)
class _Filed:
    """A segment and how many of its records are not in the database yet."""

    segment: Segment
    waiting: int = 0


class Journal:
    """Implements ports.stores.Recorder on segment files in a directory.

    `limit_bytes` and `limit_rows` bound what waits for the database: beyond either there is no room. A segment is closed
    when it has grown to `segment_bytes`, and deleted when all of its records are in the database. With a `sealer` bodies lie
    encrypted on the disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int = 32 * 1024 * 1024,
        limit_rows: int = 50_000,
        segment_bytes: int = 8 * 1024 * 1024,
        sealer: Sealer | None = None,
    ) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._limit_rows = limit_rows
        self._segment_bytes = segment_bytes
        self._sealer = sealer
        self._waiting: deque[tuple[ExchangeRecord, int]] = deque()
        self._waiting_bytes = 0
        self._segments: deque[_Filed] = deque()
        self._writer: SegmentWriter | None = None
        self._next_sequence = 1
        self._blocked = False
        self._unwritten = 0  # the newest of those that wait; their frames are in the writer's buffer
        self._unreported: JournalFull | None = None  # a failure that whoever acknowledges has not been told of yet
        self._due_rows = self._due_bytes = 0
        self._when_due: Callable[[], None] | None = None

    def open(self) -> Recovery:
        """Read what an earlier process left behind, so that it waits for the database again, and begin a new segment."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [self._recover(segment) for segment in list_segments(self._directory)]
        self._begin_segment()
        return Recovery(
            records=sum(one.records for one in found),
            gaps=sum(one.gaps for one in found),
            lost_bytes=sum(one.lost_bytes for one in found),
        )

    def close(self) -> None:
        """Close the files; what still waits is read again at the next start. Safe to call twice."""
        self.write_out()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._delete_finished()

    @property
    def has_room(self) -> bool:
        """Whether new work may be admitted: below both limits, and the last write succeeded."""
        return (
            self._waiting_bytes < self._limit_bytes
            and len(self._waiting) < self._limit_rows
            and not self._blocked
            and self._writer is not None
        )

    @property
    def has_room_for_bodies(self) -> bool:
        """Whether less than half of the limit waits: the other half is for records without bodies."""
        return self._waiting_bytes < self._limit_bytes // 2

    @property
    def blocked(self) -> bool:
        """Whether the last write failed: the disk is full or broken."""
        return self._blocked

    @property
    def waiting_rows(self) -> int:
        """How many records are not in the database yet."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes those take in the journal."""
        return self._waiting_bytes

    def append(self, record: ExchangeRecord) -> None:
        """Write a record down; raises JournalFull when the disk takes no more.

        Work that was admitted is recorded even beyond the limits. A record to be kept as metadata is written without
        bodies whatever it carries, and one not to be kept (`none`) with nothing but what the ledger needs.
        """
        self.write_out()
        self.add(record)
        self._write()

    def add(self, record: ExchangeRecord) -> None:
        """Take a record, to be written down by the next `commit`: until then it must not be acknowledged."""
        if record.keep != "full":
            record = _stripped(record)
        writer = self._writer
        if writer is None or writer.broken or writer.size + writer.pending >= self._segment_bytes:
            self.write_out()
            try:
                writer = self._begin_segment()
            except OSError as error:
                raise self._block(error) from error
        length = writer.add(record if self._sealer is None else seal_record(record, self._sealer))
        self._unwritten += 1
        self._segments[-1].waiting += 1
        self._hold(record, length)

    def commit(self) -> None:
        """Write down all that was added; raises JournalFull if any of it, since the last commit, could not be written."""
        if self._unwritten:
            self._write()
        if self._unreported is not None:
            error, self._unreported = self._unreported, None
            raise error

    def write_out(self) -> None:
        """As `commit`, for who acknowledges nothing: a failure is kept for the next commit."""
        if self._unwritten:
            try:
                self._write()
            except JournalFull as error:
                self._unreported = error

    def notify(self, callback: Callable[[], None], *, rows: int, size: int) -> None:
        """Call back from within `append` whenever that many rows or bytes wait; the callback must be quick."""
        self._when_due, self._due_rows, self._due_bytes = callback, rows, size

    def oldest(self, rows: int, size: int) -> list[ExchangeRecord]:
        """The records that have waited longest: at most that many rows, and at most that many bytes unless it is one row."""
        taken: list[ExchangeRecord] = []
        for record, length in islice(self._waiting, rows):
            size -= length
            if taken and size < 0:
                break
            taken.append(record)
        return taken

    def forget_oldest(self, count: int) -> None:
        """The records that have waited longest are in the database now: drop them, and the segments that are done with."""
        for _ in range(count):
            _, length = self._waiting.popleft()
            self._waiting_bytes -= length
        while count:
            filed = self._segments[0]
            settled = min(count, filed.waiting)
            filed.waiting -= settled
            count -= settled
            if count:
                self._delete_finished()
        self._delete_finished()
        self._clear_if_idle()

    def probe(self) -> None:
        """If the last write failed, find out whether the disk takes writes again."""
        if not self._blocked:
            return
        try:
            writer = self._writer
            if writer is None or writer.broken:
                writer = self._begin_segment()
            writer.probe(_PROBE_BYTES)
        except OSError:
            return
        self._blocked = False
        _log.info("journal.writable_again", directory=str(self._directory))

    def _write(self) -> None:
        """Write what was added; if that fails, it is as if it had never been added."""
        writer = self._writer
        if writer is None or not self._unwritten:
            return
        count, self._unwritten = self._unwritten, 0
        try:
            writer.write()
        except OSError as error:
            for _ in range(count):
                _, length = self._waiting.pop()
                self._waiting_bytes -= length
            self._segments[-1].waiting -= count
            raise self._block(error) from error
        self._blocked = False

    def _hold(self, record: ExchangeRecord, length: int) -> None:
        self._waiting.append((record, length))
        self._waiting_bytes += length
        if self._when_due is not None and (
            len(self._waiting) >= self._due_rows or self._waiting_bytes >= self._due_bytes
        ):
            self._when_due()

    def _recover(self, segment: Segment) -> Recovery:
        filed = _Filed(segment)
        gaps = lost_bytes = 0
        for item in scan(segment.path.read_bytes(), segment.marker):
            if isinstance(item, Skipped):
                gaps += 1
                lost_bytes += item.length
                _log.warning(
                    "journal.unreadable",
                    path=str(segment.path),
                    offset=item.offset,
                    bytes=item.length,
                    torn=item.torn,
                )
            else:
                filed.waiting += 1
                self._hold(unseal_record(item.record, self._sealer), item.length)
        self._segments.append(filed)
        self._next_sequence = segment.sequence + 1
        return Recovery(records=filed.waiting, gaps=gaps, lost_bytes=lost_bytes)

    def _begin_segment(self) -> SegmentWriter:
        writer = SegmentWriter(self._directory, self._next_sequence)
        self._next_sequence += 1
        if self._writer is not None:
            self._writer.close()
        self._writer = writer
        self._segments.append(_Filed(writer.segment))
        self._delete_finished()
        return writer

    def _block(self, error: OSError) -> JournalFull:
        if not self._blocked:
            _log.error("journal.write_failed", directory=str(self._directory), error=str(error))
        self._blocked = True
        return JournalFull("Junto cannot record this exchange: its disk is full.", retry_after=_RETRY_AFTER_SECONDS)

    def _delete_finished(self) -> None:
        """Delete the oldest segments as long as nothing in them waits; never the one being written."""
        current = self._writer.segment if self._writer is not None else None
        while self._segments and not self._segments[0].waiting and self._segments[0].segment is not current:
            path = self._segments.popleft().segment.path
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # it is read again at the next start, which changes nothing
                _log.warning("journal.not_deleted", path=str(path), error=str(error))

    def _clear_if_idle(self) -> None:
        """Empty the segment being written when all of it is in the database: text must not outlive its retention here."""
        writer = self._writer
        if writer is None or self._waiting or not writer.size:
            return
        try:
            writer.clear()
        except OSError:
            writer.broken = True


def _stripped(record: ExchangeRecord) -> ExchangeRecord:
    """The record without its bodies, or, where nothing is to be kept, without all that the ledger does not need."""
    if record.keep == "metadata":
        if record.request_body or record.answer_body:
            return msgspec.structs.replace(record, request_body=b"", answer_body=b"")
        return record
    return msgspec.structs.replace(
        record,
        keep="none",
        client="",
        requested_model="",
        finish_reason="",
        attempts=(),
        parent_id="",
        request_body=b"",
        answer_body=b"",
    )
