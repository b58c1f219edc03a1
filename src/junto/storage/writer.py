"""Puts batches of exchange records into the database, idempotently: an id that is there already stays as it is.

What else has to be written with them, in the same transaction (the ledger, the figures of models), is given at the start.

Each exchange passes through here, and the processor time that this takes is a part of its price: rows are plain tuples, and
storage/bulk.py inserts them. They are prepared in short slices between which the event loop runs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError

from junto.core.errors import InvalidField, Overloaded
from junto.core.exchange import ExchangeRecord
from junto.storage.bodies import Packer
from junto.storage.bulk import BulkInsert
from junto.storage.sessions import OPERATOR
from junto.storage.tables.exchanges import BODIES, EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.storage.bodies import Packed
    from junto.storage.bulk import Row
    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Session, Sessions

_SLICE_ROWS = 16  # prepared at a stretch on the event loop: a fraction of a millisecond
_SLICE_BYTES = 128 * 1024
_THREAD_BYTES = 64 * 1024  # larger bodies are compressed, and sealed, in a thread
_ID = 0  # its place in a row
_FIELDS = ExchangeRecord.__struct_fields__
_USED = _FIELDS.index("answer_wire") + 1  # the fields that say something of nearly every exchange
_PLAIN = _FIELDS.index("parts_nano") + 1  # and those that say something of few; all of these are stored as they are
_COMPUTED = ("outcome", "attempts", "request_bytes", "answer_bytes", "stored_bytes")
_FLAGS = ("stream", "answer_stream", "usage_estimated", "truncated")
_USUAL = (*ExchangeRecord.__struct_defaults__[_USED - len(_FIELDS) : _PLAIN - len(_FIELDS)], *(0 for _ in _FLAGS))


class RecordRefused(Exception):
    """The database is there and does not take one of these records, now or ever."""


class Sink(Protocol):
    """Where a flusher puts records."""

    async def store(self, records: Sequence[ExchangeRecord]) -> None:
        """Store all of them, or raise and store none; RecordRefused when trying again cannot help."""


type Along = Callable[[Session, Sequence[ExchangeRecord]], Awaitable[None]]


class _SomeAreThere(Exception):
    """Not all records of a batch are new. The transaction is taken back, and the next one looks which they are."""


class ExchangeWriter:
    """A Sink in a database. Each of `along` is called with the records of a batch, in its transaction.

    Each of `of_new` is called after them, with those that were stored just now and had never been before: what counts
    exchanges counts none twice, whatever is replayed.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        compress: bool = True,
        along: Sequence[Along] = (),
        of_new: Sequence[Along] = (),
        sealer: Sealer | None = None,
    ) -> None:
        self._sessions = sessions
        self._sealer = sealer
        self._along = along
        self._of_new = of_new
        self._packer = Packer(compress=compress)
        self._exchanges = BulkInsert(
            EXCHANGES, (*_FIELDS[:_USED], *_COMPUTED, *_FIELDS[_USED:_PLAIN], *_FLAGS), usual=_USUAL
        )
        self._bodies = BulkInsert(BODIES, ("id", "codec", "content", "tenant"))
        self._attempts_json = msgspec.json.Encoder().encode

    async def store(self, records: Sequence[ExchangeRecord]) -> None:
        """Store all in one transaction that is on the disk when this returns."""
        if not records:
            return
        rows: list[Row] = []
        bodies: list[Row] = []
        unsliced_rows = unsliced_bytes = 0
        for record in records:
            if record.keep == "none":
                continue  # it is here for what is written along
            size = len(record.request_body) + len(record.answer_body)
            packed: Packed | None = None
            if size and record.keep == "full":
                is_small = size <= _THREAD_BYTES
                packed = self._pack(record) if is_small else await asyncio.to_thread(self._pack, record)
            if packed is not None:
                bodies.append((record.id, packed.codec, packed.content, record.tenant))
            rows.append(self._row(record, len(packed.content) if packed is not None else 0))
            unsliced_rows += 1
            unsliced_bytes += size
            if unsliced_rows >= _SLICE_ROWS or unsliced_bytes >= _SLICE_BYTES:
                unsliced_rows = unsliced_bytes = 0
                await asyncio.sleep(0)
        try:
            try:
                await self._insert(records, rows, bodies)
            except _SomeAreThere:  # a journal is being replayed, or nobody knew whether an earlier commit had happened
                await self._insert_missing(records, rows, bodies)
        except (DataError, IntegrityError, InvalidField, OverflowError, UnicodeError) as error:
            raise RecordRefused(str(error)) from error

    async def _insert(self, records: Sequence[ExchangeRecord], rows: list[Row], bodies: list[Row]) -> None:
        async with self._sessions.write(OPERATOR) as session:
            stored = await self._exchanges.run(session.connection, rows) if rows else 0
            if self._of_new and stored != len(rows):
                raise _SomeAreThere
            await self._write_along(session, records, bodies)
            if rows:
                await self._write_of_new(session, [record for record in records if record.keep != "none"])

    async def _insert_missing(self, records: Sequence[ExchangeRecord], rows: list[Row], bodies: list[Row]) -> None:
        """The same, with a look at which of them are there: only the others are stored, each once."""
        async with self._sessions.write(OPERATOR) as session:
            asked = select(EXCHANGES.c.id).where(EXCHANGES.c.id.in_([row[_ID] for row in rows]))
            there = set((await session.execute(asked)).scalars())
            missing = {row[_ID]: row for row in reversed(rows) if row[_ID] not in there}
            if missing and await self._exchanges.run(session.connection, list(missing.values())) != len(missing):
                # An earlier transaction of this node's own has ended only now: the whole batch is tried again.
                raise Overloaded("An earlier batch has reached the database only now.")
            await self._write_along(session, records, bodies)
            stored = {
                record.id: record for record in reversed(records) if record.id in missing and record.keep != "none"
            }
            if stored:
                await self._write_of_new(session, list(stored.values()))

    async def _write_along(self, session: Session, records: Sequence[ExchangeRecord], bodies: list[Row]) -> None:
        if bodies:
            await self._bodies.run(session.connection, bodies)
        for write in self._along:
            await write(session, records)

    async def _write_of_new(self, session: Session, stored: Sequence[ExchangeRecord]) -> None:
        for write in self._of_new:
            await write(session, stored)

    def _pack(self, record: ExchangeRecord) -> Packed:
        packed = self._packer.pack(record.request_body, record.answer_body)
        return packed if self._sealer is None else self._sealer.seal(packed, record.tenant, record.id)

    def _row(self, record: ExchangeRecord, stored_bytes: int) -> Row:
        """The row with nothing but exact int and str in it: the driver binds those without looking for adapters."""
        values = msgspec.structs.astuple(record)
        attempts = record.attempts
        return (
            *values[:_USED],
            record.outcome._value_,
            self._attempts_json(attempts).decode() if attempts else "[]",
            len(record.request_body),
            len(record.answer_body),
            stored_bytes,
            *values[_USED:_PLAIN],
            1 if record.stream else 0,
            1 if record.answer_stream else 0,
            1 if record.usage_estimated else 0,
            1 if record.truncated else 0,
        )
