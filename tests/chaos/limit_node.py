"""One node of the limits' chaos test: a process of its own that asks for permits as fast as it is told, and notes each it got.

    python -m tests.chaos.limit_node REDIS_URL NAME LIMIT PER_SECOND SECONDS OUTPUT

Prints a line when it has joined, begins when a line arrives, and at the end writes into OUTPUT a line per permit: when, by the
machine's monotonic clock, and whether it was alone (without the store).
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from junto.bootstrap.clock import SystemClock
from junto.bootstrap.coordination import open_coordination
from junto.core.errors import RateLimited
from junto.core.limits import LimitedBy, Limits
from junto.core.secret import Secret

if TYPE_CHECKING:
    from junto.gateway.limits import Limiter


async def offer(
    limiter: Limiter, limited_by: LimitedBy, *, per_second: float, seconds: float
) -> list[tuple[float, bool]]:
    """Ask evenly for `seconds`; when each permit was given."""
    admitted: list[tuple[float, bool]] = []
    asking: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        try:
            permit = limiter.take(limited_by, 0) or await limiter.acquire(limited_by, 0)
        except RateLimited:
            return
        admitted.append((time.monotonic(), limiter.alone))
        permit.settle(0)

    begin = time.monotonic()
    asked = 0
    while (passed := time.monotonic() - begin) < seconds:
        while asked < passed * per_second:
            asked += 1
            task = asyncio.create_task(ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.sleep(0.5 / per_second)
    while asking:
        await asyncio.wait(asking)
    return admitted


async def run(url: str, name: str, limit: int, *, per_second: float, seconds: float) -> list[tuple[float, bool]]:
    """Join the other nodes, wait for the word, and ask."""
    async with AsyncExitStack() as stack:
        opened = await open_coordination(Secret(url), node_id=name, clock=SystemClock(), stack=stack)
        own = LimitedBy(client_id=name, client=Limits(requests_per_minute=1), tenant_id=name)
        await opened.limiter.acquire(own, 0)  # given when the store has settled
        sys.stdout.write("joined\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        limited_by = LimitedBy(client_id="c", client=Limits(requests_per_minute=limit), tenant_id="t")
        return await offer(opened.limiter, limited_by, per_second=per_second, seconds=seconds)


def main() -> None:
    """Read the command line, run, write down what was admitted."""
    url, name, limit, per_second, seconds, output = sys.argv[1:]
    admitted = asyncio.run(run(url, name, int(limit), per_second=float(per_second), seconds=float(seconds)))
    Path(output).write_text("".join(f"{at!r} {int(alone)}\n" for at, alone in admitted), encoding="ascii")


if __name__ == "__main__":
    main()
