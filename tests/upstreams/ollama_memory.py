"""What an emulated Ollama keeps in memory, and the queue in front of it.

It lives on the server's loop. Reads from a test's thread are of values that are replaced, never changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.upstreams.ollama_models import OllamaModel

FOREVER = timedelta(days=365 * 100)


class Busy(Exception):
    """The queue is full: Ollama's ErrMaxQueue, HTTP 503."""


class Memory:
    """Which models are loaded until when, and who may generate now.

    `parallel` is OLLAMA_NUM_PARALLEL, `max_queue` OLLAMA_MAX_QUEUE, `max_loaded` OLLAMA_MAX_LOADED_MODELS. Loading a
    model takes `cold_load` seconds. `loads` and `unloads` list tags in the order in which it happened.
    """

    def __init__(self, *, parallel: int, max_queue: int, max_loaded: int, cold_load: float) -> None:
        self.cold_load = cold_load
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.most_active = 0
        self._max_queue = max_queue
        self._max_loaded = max_loaded
        self._slots = asyncio.Semaphore(parallel)
        self._pending = 0
        self._active = 0
        self._loading = asyncio.Lock()
        self._expiry: dict[str, float] = {}
        self._models: dict[str, OllamaModel] = {}

    async def enter(self) -> None:
        """Take a slot, waiting in the queue; Busy where the queue is full."""
        if self._slots.locked() and self._pending >= self._max_queue:
            raise Busy
        self._pending += 1
        try:
            await self._slots.acquire()
        finally:
            self._pending -= 1
        self._active += 1
        self.most_active = max(self.most_active, self._active)

    def leave(self) -> None:
        """Give the slot back."""
        self._active -= 1
        self._slots.release()

    async def load(self, model: OllamaModel, keep_alive: float) -> int:
        """Have a model in memory and set when it expires; returns nanoseconds spent loading, 0 where it was there."""
        if model.is_remote:
            return 0
        async with self._loading:
            self._expire()
            cold = model.tag not in self._expiry
            if cold:
                while len(self._expiry) >= self._max_loaded:
                    self.unload(min(self._expiry, key=lambda tag: self._expiry[tag]))
                self.loads.append(model.tag)
                await asyncio.sleep(self.cold_load)
            self._models[model.tag] = model
            self._expiry[model.tag] = time.monotonic() + (FOREVER.total_seconds() if keep_alive < 0 else keep_alive)
        return max(1, int(self.cold_load * 1e9)) if cold else 0

    def unload(self, tag: str) -> None:
        """Drop a model from memory, if it is there."""
        if self._expiry.pop(tag, None) is not None:
            self.unloads.append(tag)

    def resident(self) -> Sequence[tuple[OllamaModel, datetime]]:
        """List what is loaded, with the time at which it expires."""
        self._expire()
        now, clock = datetime.now(UTC), time.monotonic()
        return [(self._models[tag], now + timedelta(seconds=expiry - clock)) for tag, expiry in self._expiry.items()]

    def _expire(self) -> None:
        now = time.monotonic()
        for tag in [tag for tag, expiry in self._expiry.items() if expiry < now]:
            self.unload(tag)
