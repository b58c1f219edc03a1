"""The job queue between processes: taskiq's list broker over Redis. The twin of queue_local.py.

The list is bounded, and losing Redis ends nothing: taskiq_redis' own loop knows Python's ConnectionError but not Redis',
and would end with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis
from taskiq_redis import ListQueueBroker

from junto.coordination.receiving import PATIENCE, TaskiqQueue
from junto.coordination.redis_connection import AWAY, Pauses, Presence, connection_options

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from taskiq import BrokerMessage

    from junto.core.secret import Secret

_LIST: Final = "junto:jobs"
_PURPOSE: Final = "queue"
_CAPACITY = 10_000
_CONNECTIONS = 8
_LISTEN_SECONDS = 2.0  # of one blocking read; a hung Redis is noticed within that and a bit
_PUSH_IF_ROOM: Final = """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
"""


class ListFullError(Exception):
    """The list of hints is as long as it may be."""


class BoundedListBroker(ListQueueBroker):
    """taskiq's list broker, with a bound, and with a reader that outlives Redis."""

    def __init__(self, url: Secret, *, name: str, capacity: int, presence: Presence) -> None:
        super().__init__(
            url.reveal(),
            queue_name=name,
            max_connection_pool_size=_CONNECTIONS,
            timeout=PATIENCE,
            **connection_options(url, socket_timeout=_LISTEN_SECONDS + PATIENCE),
        )
        self._capacity = capacity
        self._presence = presence
        self._redis = Redis(connection_pool=self.connection_pool)
        self._push = self._redis.register_script(_PUSH_IF_ROOM)

    async def kick(self, message: BrokerMessage) -> None:
        """Put a message into the list; raises ListFullError, and whatever Redis raises."""
        if not await self._push(keys=[self.queue_name], args=[message.message, self._capacity]):
            raise ListFullError

    async def depth(self) -> int | None:
        """How many messages wait; None when Redis does not answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                return int(await self._redis.llen(self.queue_name))
        except AWAY:
            return None

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Messages as they come, for ever."""
        pauses = Pauses()
        while True:
            try:
                found = await self._redis.brpop([self.queue_name], timeout=_LISTEN_SECONDS)
            except AWAY as error:
                self._presence.lost(_PURPOSE, error)
                await asyncio.sleep(pauses.next())
                continue
            pauses.reset()
            self._presence.found(_PURPOSE)
            if found is not None and isinstance(found[1], bytes):
                yield found[1]


class RedisJobQueue(TaskiqQueue):
    """Implements ports.queue.JobQueue over one Redis; at most `capacity` hints wait."""

    def __init__(
        self, url: Secret, *, name: str = _LIST, capacity: int = _CAPACITY, presence: Presence | None = None
    ) -> None:
        self._list = BoundedListBroker(url, name=name, capacity=capacity, presence=presence or Presence())
        super().__init__(self._list)

    async def depth(self) -> int | None:
        return await self._list.depth()

    async def close(self) -> None:
        await self.stop(grace=0)
        await self._list.shutdown()
