"""The job queue within one process: a bounded queue as a taskiq broker. The twin of queue_taskiq.py.

taskiq's own in-memory broker is not used: it starts a task for each message, without a bound.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskiq import AsyncBroker

from junto.coordination.receiving import TaskiqQueue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from taskiq import AckableMessage, BrokerMessage

_CAPACITY = 10_000


class LocalBroker(AsyncBroker):
    """Messages that wait in this process; one too many raises asyncio.QueueFull."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(capacity)

    @property
    def depth(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    async def kick(self, message: BrokerMessage) -> None:
        self._waiting.put_nowait(message.message)

    async def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        while True:
            yield await self._waiting.get()


class LocalJobQueue(TaskiqQueue):
    """Implements ports.queue.JobQueue for the one process there is; at most `capacity` hints wait."""

    def __init__(self, *, capacity: int = _CAPACITY) -> None:
        self._local = LocalBroker(capacity)
        super().__init__(self._local)

    async def depth(self) -> int | None:
        return self._local.depth

    async def close(self) -> None:
        await self.stop(grace=0)
