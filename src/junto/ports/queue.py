"""The doorbell of the workers: it carries ids of jobs and nothing else. The database is the truth, this is a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class JobQueue(Protocol):
    """Hints that a job may be claimed. A hint may be lost or come twice; claiming decides."""

    async def publish(self, tenant_id: str, job_id: str) -> bool:
        """Ring for a job; False when it was not taken (no broker, or the queue is full), which loses nothing. Never raises.

        Needs no `start`: a process without workers rings too.
        """

    async def depth(self) -> int | None:
        """How many hints wait; None when the broker does not answer."""

    async def start(self, handle: Callable[[str, str], Awaitable[None]], *, concurrency: int) -> None:
        """Receive: call `handle(tenant_id, job_id)` for each hint, at most `concurrency` at once.

        What `handle` raises is logged and ends nothing. A broker that is away is tried again for ever. Raises RuntimeError
        when it receives already.
        """

    async def stop(self, *, grace: float) -> None:
        """Take no more hints, wait at most `grace` seconds for what runs, then cancel it. Safe to call twice.

        Publishing goes on to work, and `start` may be called again.
        """

    async def close(self) -> None:
        """Stop at once and let go of the broker; safe to call twice."""
