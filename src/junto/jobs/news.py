"""News of jobs between processes: status changes, text as it grows, and cancellations. All of it is hints.

The database is the truth: whoever waits for a job looks there too, so a message that is lost costs a moment. Text is sent only
while somebody watches: a watcher says so again and again, and the worker that has the job answers with all there is, then with
what is new.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from junto.ports.jobs import Job
    from junto.ports.signals import Signals

_STATUS: Final = "jobs.status"
_TEXT: Final = "jobs.text"
_WATCH: Final = "jobs.watch"
_CANCEL: Final = "jobs.cancel"
_MOST_WAITING = 1000  # messages for one listener; one that falls behind loses some, and finds the end by looking


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. A status, or text from `offset` on of the attempt with that fence; of a watcher: how much it has of that.

    `stepped`: one of the job's parts is done.
    """

    job_id: str
    status: str = ""
    fence: int = 0
    offset: int = 0
    text: str = ""
    stepped: bool = False


_decode: Final = msgspec.json.Decoder(Told)


class Listener:
    """The news of one job."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(_MOST_WAITING)
        self.ended: Job | None = None  # as it was written down, where that happened in this process

    def put(self, told: Told) -> None:
        """Take a message, if there is room."""
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(told)

    async def next(self, seconds: float) -> Told | None:
        """The next message; None when there was none for so long."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return None


class News:
    """One for the process."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._unsubscribe: list[Callable[[], None]] = []
        self._on_watch: Callable[[Told], None] | None = None
        self._on_cancel: Callable[[str], None] | None = None

    def start(self) -> None:
        """Begin to hear."""
        topics = {_STATUS: self._heard, _TEXT: self._heard, _WATCH: self._watched, _CANCEL: self._cancelled}
        self._unsubscribe = [self._signals.subscribe(topic, heard) for topic, heard in topics.items()]

    def stop(self) -> None:
        """Hear no more; safe to call twice."""
        while self._unsubscribe:
            self._unsubscribe.pop()()

    def serve(self, *, on_watch: Callable[[Told], None], on_cancel: Callable[[str], None]) -> None:
        """From now on jobs run in this process."""
        self._on_watch, self._on_cancel = on_watch, on_cancel

    async def changed(self, job_id: str, status: str) -> None:
        """Tell everybody that a job is in another status."""
        await self._signals.publish(_STATUS, msgspec.json.encode(Told(job_id=job_id, status=status)))

    def ended_here(self, job: Job) -> None:
        """A job's end was written down by this process: who listens to it here need not look for it."""
        for listener in tuple(self._listeners.get(job.id, ())):
            listener.ended = job

    async def stepped(self, job_id: str) -> None:
        """Tell everybody that one of a job's parts is done."""
        await self._signals.publish(_STATUS, msgspec.json.encode(Told(job_id=job_id, stepped=True)))

    async def grew(self, told: Told) -> None:
        """Tell those who watch what an attempt has said."""
        await self._signals.publish(_TEXT, msgspec.json.encode(told))

    async def watch(self, seen: Told) -> None:
        """Ask whoever runs the job to tell what it says, for a while."""
        await self._signals.publish(_WATCH, msgspec.json.encode(seen))

    async def cancel(self, job_id: str) -> None:
        """Tell whoever runs the job that it is to be cancelled; the row says so too."""
        await self._signals.publish(_CANCEL, job_id.encode())

    @contextmanager
    def listening(self, job_id: str) -> Iterator[Listener]:
        """The news of one job, for as long as the block runs."""
        listener = Listener()
        self._listeners[job_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[job_id].discard(listener)
            if not self._listeners[job_id]:
                del self._listeners[job_id]

    def _heard(self, payload: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            told = _decode.decode(payload)
            for listener in tuple(self._listeners.get(told.job_id, ())):
                listener.put(told)

    def _watched(self, payload: bytes) -> None:
        if self._on_watch is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                self._on_watch(_decode.decode(payload))

    def _cancelled(self, payload: bytes) -> None:
        if self._on_cancel is not None:
            self._on_cancel(payload.decode("utf-8", "replace"))
