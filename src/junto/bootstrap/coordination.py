"""Chooses how the processes of one Junto share what is not in the database: over Redis where there is one, else in memory.

The only place that asks. Signals receive from here on; the queue hands nothing over until somebody starts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.coordination.limiter_memory import MemoryBuckets
from junto.coordination.queue_on_demand import QueueOnDemand
from junto.coordination.signals_memory import MemorySignals
from junto.gateway.limits import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from junto.core.secret import Secret
    from junto.ports.clock import Clock
    from junto.ports.limiter import Buckets
    from junto.ports.queue import JobQueue
    from junto.ports.signals import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """What is shared, as this process holds it."""

    signals: Signals
    queue: JobQueue
    limiter: Limiter
    redis_up: Callable[[], bool] | None  # whether Redis answered every use of it last; None without one


async def open_coordination(
    redis_url: Secret | None, *, node_id: str, clock: Clock, stack: AsyncExitStack
) -> Coordination:
    """Open everything; `node_id` is unique to this process and this life of it.

    A Redis that is away does not keep Junto from starting: it is found when it is there. Raises ValueError for an address
    that cannot be one.
    """
    signals: Signals
    queue: JobQueue
    buckets: Buckets
    redis_up: Callable[[], bool] | None = None
    if redis_url is None:
        signals, queue, buckets = MemorySignals(), QueueOnDemand(_local_queue), MemoryBuckets(clock)
    else:
        # Imported when they are chosen: the libraries behind them take their time, and memory.
        from junto.coordination.limiter_redis import RedisBuckets  # noqa: PLC0415
        from junto.coordination.queue_taskiq import RedisJobQueue  # noqa: PLC0415
        from junto.coordination.redis_connection import Presence  # noqa: PLC0415
        from junto.coordination.signals_redis import RedisSignals  # noqa: PLC0415

        presence = Presence()
        signals = RedisSignals(redis_url, node_id, presence=presence)
        queue = RedisJobQueue(redis_url, presence=presence)
        buckets = RedisBuckets(redis_url, presence=presence)

        def redis_up() -> bool:
            return not presence.away

    limiter = Limiter(buckets, clock=clock, node_id=node_id)
    stack.push_async_callback(signals.close)
    stack.push_async_callback(queue.close)
    stack.push_async_callback(limiter.close)
    await signals.start()
    await limiter.start()
    return Coordination(signals=signals, queue=queue, limiter=limiter, redis_up=redis_up)


def _local_queue() -> JobQueue:
    from junto.coordination.queue_local import LocalJobQueue  # noqa: PLC0415

    return LocalJobQueue()
