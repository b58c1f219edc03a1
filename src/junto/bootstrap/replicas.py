"""A process's copies of database state (keys, routes, prompts), kept fresh on every node.

Whoever changes something raises its counter in the same transaction (storage/repositories/versions.py) and calls `changed`
after the commit. Each node looks at the counters when it is signalled, and every half second in any case: a signal is a hint
that may be lost. A database that is away keeps the last copies. Knows nothing of what is copied.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from junto.ports.signals import Signals

TOPIC: Final = "versions"
_POLL_SECONDS = 0.5
_LEAST_SECONDS = 0.05  # between two looks, however many ask
_PATIENCE_SECONDS = 5.0  # for one look, with what it loads


@dataclass(slots=True)
class _Copy:
    name: str
    load: Callable[[], Awaitable[None]]
    version: int | None = None  # of the copy; None: never loaded
    failing: bool = False


class Replicas:
    """Looks at the counters in the background and loads again what has changed."""

    def __init__(
        self,
        read_versions: Callable[[], Awaitable[Mapping[str, int]]],
        signals: Signals,
        *,
        poll_seconds: float = _POLL_SECONDS,
        least_seconds: float = _LEAST_SECONDS,
    ) -> None:
        self._read_versions = read_versions
        self._signals = signals
        self._poll_seconds = poll_seconds
        self._least_seconds = least_seconds
        self._copies: dict[str, _Copy] = {}
        self._wake = asyncio.Event()
        self._asked: asyncio.Future[frozenset[str]] | None = None  # settled by the next look that begins from now on
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._away = False
        self._log = structlog.get_logger()

    def register(self, name: str, load: Callable[[], Awaitable[None]]) -> None:
        """Keep a copy fresh: `load` reads it from the database and swaps it in whole, or raises and leaves the old one."""
        if name in self._copies:
            raise ValueError(f"{name} is registered already")
        self._copies[name] = _Copy(name, load)
        self._wake.set()

    async def start(self) -> None:
        """Load everything once, as far as the database answers, then keep it fresh in the background."""
        if self._task is not None:
            return
        self._unsubscribe = self._signals.subscribe(TOPIC, self._hinted)
        await self._look()
        self._task = asyncio.create_task(self._run(), name="junto-replicas")

    async def stop(self) -> None:
        """Stop looking; who waits for a look is told that there was none. Safe to call twice."""
        task, self._task = self._task, None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._tell(self._asked, frozenset())
        self._asked = None

    async def changed(self, name: str) -> None:
        """After a commit that raised the counter: tell the other nodes, and come back with this node's own copy fresh."""
        await self._signals.publish(TOPIC, name.encode())
        await self.refreshed(name)

    async def refreshed(self, name: str) -> bool:
        """Wait for one look that begins now or later; False when the database or this copy could not be read.

        However many wait, they share one look, and looks are at least 50 ms apart.
        """
        if self._task is None:
            return name in await self._look()
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
        self._wake.set()
        return name in await asyncio.shield(self._asked)  # one who leaves must not take the answer from the others

    def _hinted(self, payload: bytes) -> None:
        if payload.decode("utf-8", "replace") in self._copies:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll_seconds)
            self._wake.clear()
            asked, self._asked = self._asked, None
            try:
                self._tell(asked, await self._look())
            finally:
                self._tell(asked, frozenset())
            await asyncio.sleep(self._least_seconds)

    async def _look(self) -> frozenset[str]:
        """One look at the counters, and a load of each copy that is not of the number that is there now; who is fresh then."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                versions = await self._read_versions()
                # Invariant: the number is read before the copy, so a change in between is found by the next look.
                old = [copy for copy in self._copies.values() if copy.version != versions.get(copy.name, 0)]
                await asyncio.gather(*(self._load(copy, versions.get(copy.name, 0)) for copy in old))
        except Exception as error:  # noqa: BLE001  whatever is wrong with the database, the last copies serve on
            if not self._away:
                self._log.warning("replicas.database_away", error=_said(error))
            self._away = True
            return frozenset()
        if self._away:
            self._log.info("replicas.database_back")
        self._away = False
        return frozenset(copy.name for copy in self._copies.values() if copy.version == versions.get(copy.name, 0))

    async def _load(self, copy: _Copy, version: int) -> None:
        try:
            await copy.load()
        except Exception as error:  # noqa: BLE001  one that cannot be read must not keep the others old
            if not copy.failing:
                self._log.warning("replicas.not_loaded", name=copy.name, error=_said(error))
            copy.failing = True
        else:
            copy.version, copy.failing = version, False

    @staticmethod
    def _tell(asked: asyncio.Future[frozenset[str]] | None, fresh: frozenset[str]) -> None:
        if asked is not None and not asked.done():
            asked.set_result(fresh)


def _said(error: Exception) -> str:
    """What went wrong, by what the error was raised from if it was."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
