"""What an upstream saw: one record for each request, filled in while the request lives.

Written by the server's own thread, read by the test's: every wait here works from another thread or loop.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

POLL = 0.002


@dataclass(slots=True, eq=False)
class Received:
    """One request as it arrived, and how it ended.

    `headers` have lower-case names. `peer_port` tells one caller's connection from another. `pieces_sent` counts
    the content-bearing pieces that were handed to the socket. Times are `time.monotonic()` seconds.
    """

    server: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer_port: int
    arrived_at: float = field(default_factory=time.monotonic)
    pieces_sent: int = 0
    finished: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    abandoned_at: float | None = None

    @property
    def json(self) -> Any:
        """The body parsed, or None where there is none."""
        return json.loads(self.body) if self.body else None

    def mark_finished(self) -> None:
        """Note that the server is done: the answer was sent whole, or broken off on purpose."""
        self.finished.set()

    def mark_abandoned(self) -> None:
        """Note that the caller closed its socket before the answer was complete."""
        if not self.finished.is_set() and not self.abandoned.is_set():
            self.abandoned_at = time.monotonic()
            self.abandoned.set()

    def wait_abandoned(self, within: float = 5.0) -> bool:
        """Block until the caller has gone, at most `within` seconds; for synchronous tests."""
        return self.abandoned.wait(within)

    async def abandoned_within(self, seconds: float = 5.0) -> bool:
        """Wait without blocking the loop until the caller has gone, at most `seconds`."""
        return await until(self.abandoned.is_set, seconds)

    async def finished_within(self, seconds: float = 5.0) -> bool:
        """Wait without blocking the loop until the server is done with the answer, at most `seconds`."""
        return await until(self.finished.is_set, seconds)


async def until(condition: Any, seconds: float) -> bool:
    """Poll `condition()` until it holds or `seconds` have passed; returns what it was at last."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - set by another thread
        await asyncio.sleep(POLL)
    return bool(condition())
