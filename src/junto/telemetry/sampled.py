"""A figure that has to be asked for, kept for whoever reads without waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.ports.clock import Clock


class Sampled[T]:
    """The last answer to `ask`; None before the first one and while there is none. `every` and `within` are seconds."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], *, clock: Clock, every: float = 1.0, within: float = 1.0
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._every = every
        self._within = within
        self._due = 0.0
        self._fails = False
        self.value: T | None = None

    async def refresh(self) -> None:
        """Ask again, unless that was done just now. Never raises: a figure that is missing must not take the others with it."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + self._every
        try:
            async with asyncio.timeout(self._within):
                self.value = await self._ask()
            self._fails = False
        except Exception as error:  # noqa: BLE001
            self.value = None
            if not self._fails:
                structlog.get_logger().warning("figure_missing", reason=type(error).__name__)
            self._fails = True
