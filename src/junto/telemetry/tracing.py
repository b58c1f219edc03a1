"""Collects what is observed and turns it into spans in batches, away from the requests.

Implements ports.observer's Observer, SwapObserver and JobObserver. On the hot path it appends to a bounded list, and keeps no body
unless content was asked for and the exchange is public. What the exporter cannot keep up with is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from junto.core.exchange import ExchangeRecord
from junto.ports.observer import DispatchEnded, JobEnded, SwapEnded
from junto.telemetry import spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.telemetry.spans import SpanRecord

type Seen = ExchangeRecord | SwapEnded | DispatchEnded | JobEnded

_MOST_WAITING = 10_000
_BATCH = 512
_EVERY = 0.5
_LAST_SECONDS = 5.0


class Emitter(Protocol):
    """Where spans go. Called from a thread, one call at a time."""

    def emit(self, records: Sequence[SpanRecord]) -> None:
        """Hand spans to the exporter."""

    def close(self) -> None:
        """Export what is left, in bounded time."""


class Tracing:
    """One for the process. `content`: bodies of public exchanges become attributes. `every` is seconds between batches.

    `provider_of` gives the kind of a backend by its name, and is called from a thread.
    """

    def __init__(
        self,
        emitter: Emitter,
        *,
        provider_of: Callable[[str], str] = lambda _: "",
        content: bool = False,
        most_waiting: int = _MOST_WAITING,
        every: float = _EVERY,
    ) -> None:
        self._emitter = emitter
        self._provider_of = provider_of
        self._content = content
        self._most_waiting = most_waiting
        self._every = every
        self._waiting: deque[Seen] = deque()
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def start(self) -> None:
        """Begin to export in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="tracing")

    async def stop(self) -> None:
        """Export what waits, and end; safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
                await asyncio.to_thread(self._emitter.close)

    async def flush(self) -> None:
        """Hand everything that waits to the emitter."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            await asyncio.to_thread(self._emit, batch)

    def exchange_ended(self, record: ExchangeRecord) -> None:
        if (record.request_body or record.answer_body) and not (self._content and record.sensitivity == "public"):
            record = msgspec.structs.replace(record, request_body=b"", answer_body=b"")
        self._keep(record)

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        """The exchange's record tells of its attempts."""

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        """Not part of any request."""

    def swap_ended(self, swap: SwapEnded) -> None:
        self._keep(swap)

    def dispatch_ended(self, dispatch: DispatchEnded) -> None:
        self._keep(dispatch)

    def job_ended(self, job: JobEnded) -> None:
        self._keep(job)

    def job_submitted(self, *, task_type: str, queued: bool) -> None:
        """Its span begins with it, and is known at its end."""

    def lease_lost(self) -> None:
        """The attempt's outcome tells."""

    def write_fenced(self) -> None:
        """The attempt's outcome tells."""

    def swept(self, *, what: str, count: int) -> None:
        """Not part of any job's trace."""

    def webhook_tried(self, *, outcome: str) -> None:
        """Not part of any job's trace."""

    def _keep(self, seen: Seen) -> None:
        if len(self._waiting) >= self._most_waiting:
            if not self.dropped:
                structlog.get_logger().warning("spans_dropped", reason="the collector is slower than the traffic")
            self.dropped += 1
            return
        self._waiting.append(seen)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.flush()

    def _emit(self, batch: Sequence[Seen]) -> None:
        try:
            self._emitter.emit([self._span(seen) for seen in batch])
        except Exception:  # noqa: BLE001  traces are lost, requests go on
            structlog.get_logger().exception("spans_lost", count=len(batch))

    def _span(self, seen: Seen) -> SpanRecord:
        match seen:
            case ExchangeRecord():
                return spans.inference_span(seen, provider=self._provider_of(seen.backend), content=self._content)
            case SwapEnded():
                return spans.swap_span(seen)
            case DispatchEnded():
                return spans.dispatch_span(seen)
            case JobEnded():
                return spans.job_span(seen)
