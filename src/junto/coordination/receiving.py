"""A job queue driven by taskiq's own receiver. The twins differ in their broker only; see queue_local.py and queue_taskiq.py.

taskiq pulls messages, bounds how many run at once and hands them over. What it would do with exceptions and cancellation
(log them as failures of the task, and go on) is kept from it: handlers run in tasks of this module, which taskiq only waits
for. No signal handler is installed and no process started: that is taskiq's command line, which is not used.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskiq import AsyncBroker

type Handle = Callable[[str, str], Awaitable[None]]

PATIENCE: Final = 0.5  # seconds until a hint that is not taken is given up
_TASK: Final = "job"
_RESTART_SECONDS = 0.2  # between two receivers, should one break


def _plain(ring: Callable[[object, object], Awaitable[None]]) -> Callable[[object, object], Awaitable[None]]:
    """A function of its own: taskiq renames what it registers, which a method does not allow."""

    async def rung(tenant_id: object, job_id: object) -> None:
        await ring(tenant_id, job_id)

    return rung


class TaskiqQueue:
    """Implements ports.queue.JobQueue over a taskiq broker, all but `depth` and `close`."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._handle: Handle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._finish = asyncio.Event()
        self._receiving: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()
        self._bell = broker.register_task(_plain(self._ring), task_name=_TASK)

    async def publish(self, tenant_id: str, job_id: str) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._bell.kicker().kiq(tenant_id, job_id)
        except (SendTaskError, TimeoutError):
            return False
        return True

    async def start(self, handle: Handle, *, concurrency: int) -> None:
        if self._receiving is not None:
            raise RuntimeError("the queue receives already")
        self._handle = handle
        self._finish = asyncio.Event()
        self._receiving = asyncio.create_task(self._receive(self._finish, concurrency), name="junto-queue")

    async def stop(self, *, grace: float) -> None:
        receiving, self._receiving = self._receiving, None
        self._finish.set()
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        if receiving is None:
            return
        self._handle = None  # a hint that was just taken is dropped from now on
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)
        await receiving

    async def _receive(self, finish: asyncio.Event, concurrency: int) -> None:
        while not finish.is_set():
            receiver = Receiver(
                self._broker,
                validate_params=False,  # what comes is checked in `_ring`
                max_async_tasks=concurrency,
                max_prefetch=0,
                run_startup=False,
            )
            try:
                await receiver.listen(finish)
            except Exception:  # noqa: BLE001  whatever broke the receiver, jobs must go on
                self._log.exception("queue.receiver_failed")
                with suppress(TimeoutError):
                    await asyncio.wait_for(finish.wait(), _RESTART_SECONDS)

    async def _ring(self, tenant_id: object, job_id: object) -> None:
        """What taskiq calls for each message."""
        handle = self._handle
        if handle is None or not isinstance(tenant_id, str) or not isinstance(job_id, str):
            return
        task = asyncio.create_task(self._run(handle, tenant_id, job_id), name=f"job {job_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _run(self, handle: Handle, tenant_id: str, job_id: str) -> None:
        try:
            await handle(tenant_id, job_id)
        except Exception:  # noqa: BLE001  the next job is not to blame
            self._log.exception("queue.handler_failed", job_id=job_id)
