"""Work of many callers done together: what comes while one group is worked at makes up the next.

So a transaction, and the wait for the disk at its end, is shared by all who ask at the same time, and one who asks alone waits for
nobody. Knows no database. Invariant: an item is in one group only, and is never tried twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from junto.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

type Outcome[R] = R | Exception


class Groups[K: Hashable, T, R]:
    """`work` gets a key and items of that key, `most` at a time, and gives what came of each, in their order.

    What it raises is everybody's. `apart` says of an item what no other of its group may have: None, or a value.
    """

    def __init__(
        self,
        work: Callable[[K, Sequence[T]], Awaitable[Sequence[Outcome[R]]]],
        *,
        most: int,
        apart: Callable[[T], Hashable | None] = lambda _: None,
    ) -> None:
        self._work = work
        self._most = most
        self._apart = apart
        self._waiting: dict[K, deque[tuple[T, asyncio.Future[R]]]] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def join(self, key: K, item: T) -> R:
        """Wait for what comes of the item. One whose wait is cancelled before its group began is left out."""
        asked: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append((item, asked))
        else:
            self._waiting[key] = deque([(item, asked)])
            task = asyncio.create_task(self._run(key), name="junto-group")
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return await asked

    async def _run(self, key: K) -> None:
        waiting = self._waiting[key]
        group: list[tuple[T, asyncio.Future[R]]] = []
        try:
            while group := self._next(waiting):
                try:
                    outcomes = await self._work(key, [item for item, _ in group])
                except Exception as error:  # noqa: BLE001  it is theirs who asked
                    _fail(group, error)
                    if isinstance(error, Overloaded):  # the database is away: the others need not find out one by one
                        _fail(waiting, error)
                        waiting.clear()
                    continue
                for (_, asked), outcome in zip(group, outcomes, strict=True):
                    _settle(asked, outcome)
        finally:  # in one step with finding nothing more, so that nobody is left behind
            del self._waiting[key]
            for _, asked in (*group, *waiting):
                asked.cancel()

    def _next(self, waiting: deque[tuple[T, asyncio.Future[R]]]) -> list[tuple[T, asyncio.Future[R]]]:
        group: list[tuple[T, asyncio.Future[R]]] = []
        taken: set[Hashable] = set()
        while waiting and len(group) < self._most:
            item, asked = waiting[0]
            if not asked.done():
                if (mark := self._apart(item)) is not None:
                    if mark in taken:
                        break
                    taken.add(mark)
                group.append((item, asked))
            waiting.popleft()
        return group


def _settle[R](asked: asyncio.Future[R], outcome: Outcome[R]) -> None:
    if asked.done():
        return
    if isinstance(outcome, Exception):
        asked.set_exception(outcome)
    else:
        asked.set_result(outcome)


def _fail[T, R](
    group: Sequence[tuple[T, asyncio.Future[R]]] | deque[tuple[T, asyncio.Future[R]]], error: Exception
) -> None:
    for _, asked in group:
        _settle(asked, error)
