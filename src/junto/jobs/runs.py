"""The jobs that run in this process, whoever began them: bounded in number, and ended in order when the process stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from junto.ports.jobs import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.jobs.executor import Executor
    from junto.jobs.leases import Leases
    from junto.ports.jobs import Claim

CONCURRENCY: Final = 500


class Runs:
    """One for a process. `most` bounds them all, those that wait for local hardware included."""

    def __init__(self, executor: Executor, leases: Leases, *, most: int = CONCURRENCY) -> None:
        self._executor = executor
        self._leases = leases
        self._running: dict[asyncio.Task[None], str] = {}  # and the model, of one for local hardware
        self._speaking: set[asyncio.Task[None]] = set()  # those of them that are speech
        self._on_end: Callable[[], None] = lambda: None
        self._is_open = False
        self.most = most
        self.worker = leases.worker
        self.lease_ms = leases.milliseconds
        self._log = structlog.get_logger()

    @property
    def free(self) -> int:
        """How many more may be begun; none before the start and after the stop."""
        return max(0, self.most - len(self._running)) if self._is_open else 0

    @property
    def local(self) -> Sequence[str]:
        """The models of those that are for local hardware, one for each."""
        return [model for model in self._running.values() if model]

    @property
    def speaking(self) -> int:
        """How many are speech."""
        return len(self._speaking)

    def __len__(self) -> int:
        return len(self._running)

    def start(self, on_end: Callable[[], None] | None = None) -> None:
        """Let runs begin; `on_end` is called when one has ended that others may have waited for."""
        if on_end is not None:
            self._on_end = on_end
        self._is_open = True
        self._leases.start()

    def begin(self, claim: Claim, *, since: float) -> asyncio.Task[None]:
        """Run a claim that was asked for at `since` (monotonic). Cancelling who waits for the task does not cancel it."""
        task = asyncio.create_task(self._executor.run(claim, since=since), name=f"run {claim.job.id}")
        self._running[task] = claim.job.model if claim.job.local else ""
        if claim.job.kind is Kind.SPEECH:
            self._speaking.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self, *, grace: float) -> None:
        """Begin no more, let those that run end for so many seconds, and give the rest back at once. Safe to call twice."""
        self._is_open = False
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=grace)
        while self._running:
            self._leases.release_all()
            await asyncio.wait(tuple(self._running), timeout=1.0)
        await self._leases.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        made_room = bool(self._running.pop(task)) or len(self._running) + 1 >= self.most or task in self._speaking
        self._speaking.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._log.error("job_failed", exc_info=failure)
        if made_room:
            self._on_end()
