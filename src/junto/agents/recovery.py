"""What was accepted and not answered is taken up again; what was answered and not delivered is brought again.

Runs on every node, at the start and every few seconds. The first sweep of a process that is alone with its database finds what the
one before it left; where there are others, what is young may be theirs, so it is left to them for a minute.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import JuntoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from junto.agents.handler import Handler
    from junto.ports.agents import ConversationStore, InboxEntry

SWEEP_SECONDS: Final = 15.0
YOUNG_SECONDS: Final = 60.0  # longer than it takes to bring a reply to a channel, tries included
_AT_ONCE: Final = 100  # entries of one look
_MOST_RUNNING: Final = 200


class Recovery:
    """One for a process. `is_alone`: no other process works on this database."""

    def __init__(
        self,
        store: ConversationStore,
        handler: Handler,
        *,
        is_alone: bool,
        every: float = SWEEP_SECONDS,
        young: float = YOUNG_SECONDS,
    ) -> None:
        self._store = store
        self._handler = handler
        self._young_ms = 0 if is_alone else int(young * 1000)
        self._later_ms = int(young * 1000)
        self._every = every
        self._sweeps = 0
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Sweep in the background, at once and then now and then."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-agents-recovery")

    async def stop(self) -> None:
        """Sweep no more; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sweep(self) -> None:
        """Take up and bring what there is now; raises Overloaded when the database is away."""
        older_ms = self._young_ms if self._sweeps == 0 else self._later_ms
        self._sweeps += 1
        taken = 0
        async for entry in self._all(lambda after: self._unanswered(older_ms, after)):
            if self._handler.busy >= _MOST_RUNNING:
                break
            taken += self._handler.take_up(entry)
        if taken:
            self._log.info("agent_messages_taken_up", count=taken)
        if self._handler.channels:
            async for entry in self._all(lambda after: self._undelivered(older_ms, after)):
                if entry.message.channel in self._handler.channels:
                    self._handler.bring_later(entry)

    async def _unanswered(self, older_ms: int, after: str | None) -> Sequence[InboxEntry]:
        return await self._store.unanswered(older_than_ms=older_ms, limit=_AT_ONCE, after=after)

    async def _undelivered(self, older_ms: int, after: str | None) -> Sequence[InboxEntry]:
        return await self._store.undelivered(older_than_ms=older_ms, limit=_AT_ONCE, after=after)

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except JuntoError:
                pass  # the database is away
            except Exception:  # noqa: BLE001  the next sweep is the cure of this one
                self._log.exception("agent_sweep_failed")
            await asyncio.sleep(self._every)

    @staticmethod
    async def _all(page: Callable[[str | None], Awaitable[Sequence[InboxEntry]]]) -> AsyncIterator[InboxEntry]:
        """Every entry, page by page: one that cannot be dealt with keeps none behind it waiting."""
        after: str | None = None
        while True:
            found = await page(after)
            for entry in found:
                yield entry
            if len(found) < _AT_ONCE:
                return
            after = found[-1].id
