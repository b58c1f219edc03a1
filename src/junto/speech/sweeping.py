"""Every hour: rows of audio files that were kept long enough, and files that have no row. Any number of hosts may sweep one folder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.ports.clock import Clock
    from junto.ports.outputs import OutputStore
    from junto.speech.files import OutputFiles

_EVERY_SECONDS: Final = 3600.0
_YOUNG_SECONDS: Final = 3600.0  # a file that was written to so lately may be about to get its row
_DAY_MS: Final = 24 * 3600 * 1000
_AT_ONCE: Final = 500


class OutputSweeper:
    """One for a process. `days` None keeps files as long as their jobs."""

    def __init__(
        self,
        outputs: OutputStore,
        files: OutputFiles,
        clock: Clock,
        *,
        days: Callable[[], int | None],
        every: float = _EVERY_SECONDS,
        young: float = _YOUNG_SECONDS,
    ) -> None:
        self._outputs = outputs
        self._files = files
        self._clock = clock
        self._days = days
        self._every = every
        self._young = young
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Sweep in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-outputs")

    async def stop(self) -> None:
        """Sweep no more; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sweep(self) -> int:
        """Sweep once; how many files went. Raises Overloaded."""
        days = self._days()
        if days is not None:
            while await self._outputs.delete_old(older_ms=days * _DAY_MS, limit=_AT_ONCE) >= _AT_ONCE:
                pass
        before = self._clock.wall_ms() / 1000 - self._young
        return await self._files.sweep(self._outputs.known, before=before)

    async def _run(self) -> None:
        while True:
            try:
                if deleted := await self.sweep():
                    self._log.info("outputs_swept", deleted=deleted)
            except Overloaded:
                pass  # the database is away: the next sweep finds the same
            except Exception:  # noqa: BLE001  whatever it is, it must be tried again
                self._log.exception("outputs_not_swept")
            await asyncio.sleep(self._every)
