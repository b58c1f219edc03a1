"""An engine that hums: real sound, made at once, that waits or breaks where a test says so."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING

from junto.core.errors import UpstreamFailed
from junto.ports.speech import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

RATE = 24_000
_PITCH = 440
_SECONDS_A_CHARACTER = 0.05


def tone(seconds: float) -> bytes:
    """So much of one note, as PCM."""
    count = int(RATE * seconds)
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(2 * math.pi * _PITCH * n / RATE)) for n in range(count)))


class Tones:
    """Implements ports.speech.Engine. `held`: sentences with that word wait until `release`; `crashes`: so many of those fail.

    `begun` and `ended` have the sentences that were begun, and how many texts were let go of.
    """

    def __init__(self, name: str = "hum", *voices: str, held: str = "", crashes: int = 0, crash_on: str = "") -> None:
        self.name = name
        self.voices = [
            Voice(name=voice, engine=name, language="en-US", sample_rate=RATE) for voice in voices or ("low", "high")
        ]
        self.held = held
        self.crashes = crashes
        self.crash_on = crash_on
        self.begun: list[str] = []
        self.ended = 0
        self.starts = 0
        self.stops = 0
        self.reached = asyncio.Event()
        self.release = asyncio.Event()

    @property
    def free(self) -> int:
        return 1

    async def start(self) -> None:
        self.starts += 1

    async def stop(self) -> None:
        self.stops += 1

    async def synthesise(self, sentences: Sequence[str], voice: str, *, speed: float) -> AsyncGenerator[bytes]:
        assert voice in {one.name for one in self.voices}
        try:
            for sentence in sentences:
                self.begun.append(sentence)
                if self.held and self.held in sentence:
                    self.reached.set()
                    await self.release.wait()
                if self.crashes and self.crash_on in sentence:
                    self.crashes -= 1
                    raise UpstreamFailed("The speech engine stopped in the middle of the text.")
                await asyncio.sleep(0)
                yield tone(_SECONDS_A_CHARACTER * len(sentence) / speed)
        finally:
            self.ended += 1
