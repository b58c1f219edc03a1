"""The background service that carries records from the journal to the database in batches.

Owns when and how often; what a batch looks like in the database is the sink's business. While the database is away it keeps
everything and tries again, ever less often; the journal's bound then stops new work from being admitted.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from junto.storage.away import why
from junto.storage.writer import RecordRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.exchange import ExchangeRecord
    from junto.storage.journal import Journal
    from junto.storage.writer import Sink

_log = structlog.get_logger(__name__)

_MOST_DOUBLINGS = 16


class Flusher:
    """Moves a journal's records into a sink every `interval` seconds, or as soon as a batch is full.

    A batch is at most `batch_rows` records and about `batch_bytes` of journal. Delays between tries are seconds and double up
    to `longest_retry`. `failures` counts the tries in a row that failed, `stored` and `refused` records since the start.
    """

    def __init__(
        self,
        journal: Journal,
        sink: Sink,
        *,
        interval: float = 0.25,
        batch_rows: int = 500,
        batch_bytes: int = 4 * 1024 * 1024,
        longest_retry: float = 5.0,
        patience: float = 10.0,
    ) -> None:
        self._journal = journal
        self._sink = sink
        self._interval = interval
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._longest_retry = longest_retry
        self._patience = patience
        self._due = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failures = 0
        self.stored = 0
        self.refused = 0

    def start(self) -> None:
        """Begin to flush in the background, first whatever an earlier process left in the journal."""
        if self._task is None:
            self._journal.notify(self._due.set, rows=self._batch_rows, size=self._batch_bytes)
            self._task = asyncio.create_task(self._run(), name="junto-flusher")

    async def stop(self) -> None:
        """Flush what is left and end; what cannot be stored now stays in the journal. Safe to call twice."""
        self._stopping.set()
        self._due.set()
        task, self._task = self._task, None
        if task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, self._patience)
        if self._journal.waiting_rows:
            _log.warning("flusher.left_in_journal", records=self._journal.waiting_rows)

    async def flush(self) -> bool:
        """Store one batch, and more as long as full ones wait; when stopping, everything. False if the database is away."""
        self._journal.probe()
        self._journal.write_out()
        while batch := self._journal.oldest(self._batch_rows, self._batch_bytes):
            if not await self._store(batch):
                return False
            if not (self._is_due or self._stopping.is_set()):
                break
        return True

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await self.flush()
            await self._pause()
        await self.flush()

    @property
    def _is_due(self) -> bool:
        return self._journal.waiting_rows >= self._batch_rows or self._journal.waiting_bytes >= self._batch_bytes

    async def _pause(self) -> None:
        """Wait for the next flush; after a failure a full batch is no reason to hurry."""
        if self.failures:
            event, delay = (
                self._stopping,
                min(self._interval * 2 ** min(self.failures, _MOST_DOUBLINGS), self._longest_retry),
            )
        else:
            event, delay = self._due, self._interval
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), delay)
        if not self._stopping.is_set():
            self._due.clear()

    async def _store(self, batch: Sequence[ExchangeRecord]) -> bool:
        try:
            await self._sink.store(batch)
        except RecordRefused as refusal:
            return await self._store_singly(batch, refusal)
        except Exception as error:  # noqa: BLE001  whatever it is, the records stay where they are
            return self._failed(error)
        self._done(batch)
        return True

    async def _store_singly(self, batch: Sequence[ExchangeRecord], refusal: RecordRefused) -> bool:
        """One record that the database will never take must not hold up all others: find it and set it aside."""
        if len(batch) == 1:
            self.refused += 1
            self._journal.forget_oldest(1)
            _log.error("flusher.record_refused", id=batch[0].id, error=str(refusal))
            return True
        for record in batch:
            if not await self._store([record]):
                return False
        return True

    def _done(self, batch: Sequence[ExchangeRecord]) -> None:
        self._journal.forget_oldest(len(batch))
        self.stored += len(batch)
        if self.failures:
            _log.info("flusher.database_is_back", failures=self.failures)
        self.failures = 0

    def _failed(self, error: Exception) -> bool:
        self.failures += 1
        if self.failures == 1:
            _log.error("flusher.database_is_away", error=why(error), waiting=self._journal.waiting_rows)
        return False
