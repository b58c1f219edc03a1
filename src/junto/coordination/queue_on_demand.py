"""The queue within one process, made when the first job is rung for.

taskiq takes a quarter of a second and a dozen megabytes to import, which a Junto that has no jobs need not pay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.ports.queue import JobQueue

type Handle = Callable[[str, str], Awaitable[None]]


class QueueOnDemand:
    """Implements ports.queue.JobQueue with what `make` gives; it is called in a thread, so that importing stops nobody."""

    def __init__(self, make: Callable[[], JobQueue]) -> None:
        self._make = make
        self._queue: JobQueue | None = None
        self._making = asyncio.Lock()
        self._start: tuple[Handle, int] | None = None

    async def publish(self, tenant_id: str, job_id: str) -> bool:
        return await (await self._made()).publish(tenant_id, job_id)

    async def depth(self) -> int | None:
        return 0 if self._queue is None else await self._queue.depth()

    async def start(self, handle: Handle, *, concurrency: int) -> None:
        if self._start is not None:
            raise RuntimeError("the queue receives already")
        self._start = (handle, concurrency)
        if self._queue is not None:
            await self._queue.start(handle, concurrency=concurrency)

    async def stop(self, *, grace: float) -> None:
        self._start = None
        if self._queue is not None:
            await self._queue.stop(grace=grace)

    async def close(self) -> None:
        if self._queue is not None:
            await self._queue.close()

    async def _made(self) -> JobQueue:
        if self._queue is not None:
            return self._queue
        async with self._making:
            if self._queue is None:
                queue = await asyncio.to_thread(self._make)
                if self._start is not None:
                    handle, concurrency = self._start
                    await queue.start(handle, concurrency=concurrency)
                self._queue = queue
        return self._queue
