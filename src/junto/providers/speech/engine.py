"""What is the same for every engine: texts take turns sentence by sentence, and an engine nobody needs is put to rest.

One sentence is spoken at a time, in the order in which it was asked for, so that a book does not keep a greeting waiting. A sentence
that nobody waits for any more is spoken to its end, since that is sooner than a new process; no further one is begun.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from junto.core.errors import InvalidField, NotFound, UpstreamFailed
from junto.ports.speech import PIECE_BYTES, Voice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

IDLE_SECONDS = 300.0


class Speaker(Protocol):
    """What speaks: one sentence at a time is asked of it."""

    async def say(self, sentence: str, voice: Voice, speed: float) -> bytes:
        """PCM of one sentence; None of it where it has no sound. Raises UpstreamFailed when it crashed, InvalidField."""

    async def rest(self) -> None:
        """End its processes; they come back when they are needed."""


class SpeakingEngine:
    """An engine (ports.speech.Engine) around a speaker."""

    def __init__(
        self, name: str, voices: Sequence[Voice], speaker: Speaker, *, at_once: int, idle: float = IDLE_SECONDS
    ) -> None:
        self.name = name
        self.voices = tuple(voices)
        self._by_name = {voice.name: voice for voice in self.voices}
        self._speaker = speaker
        self._at_once = at_once
        self._idle = idle
        self._texts = 0
        self._turn = asyncio.Lock()
        self._work: set[asyncio.Task[object]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def free(self) -> int:
        return max(0, self._at_once - self._texts)

    async def start(self) -> None:
        self._stopped = False

    async def stop(self) -> None:
        self._stopped = True
        self._keep()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._speaker.rest()

    async def synthesise(self, sentences: Sequence[str], voice: str, *, speed: float) -> AsyncGenerator[bytes]:
        known = self._by_name.get(voice)
        if known is None:
            raise NotFound(f"The engine {self.name} has no voice {voice}.", param="voice")
        self._texts += 1
        self._keep()
        spoken = False
        try:
            for sentence in sentences:
                if not any(character.isalnum() for character in sentence):
                    continue  # a line of stars: some voices stumble over it, none has words for it
                pcm = await self._say(sentence, known, speed)
                spoken = spoken or bool(pcm)
                for start in range(0, len(pcm), PIECE_BYTES):
                    yield pcm[start : start + PIECE_BYTES]
        finally:
            self._texts -= 1
            self._rest_later()
        if not spoken:
            raise InvalidField(f"The voice {voice} has no sound for any of this text.")

    async def _say(self, sentence: str, voice: Voice, speed: float) -> bytes:
        await self._turn.acquire()
        if self._stopped:
            self._turn.release()
            raise UpstreamFailed("The speech engine was stopped.")
        task = asyncio.create_task(self._speaker.say(sentence, voice, speed), name=f"speech {self.name}")
        self._work.add(task)
        task.add_done_callback(self._said)
        await asyncio.wait({task})  # who stops waiting leaves it to its end
        if task.cancelled():
            raise UpstreamFailed("The speech engine was stopped.")
        return task.result()

    def _said(self, task: asyncio.Task[bytes]) -> None:
        self._work.discard(task)
        self._turn.release()
        if not task.cancelled():
            task.exception()  # whoever asked may be gone, and then nobody else looks at it
        self._rest_later()

    def _keep(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _rest_later(self) -> None:
        self._keep()
        if not self._texts and not self._stopped:
            self._alarm = asyncio.get_running_loop().call_later(self._idle, self._rest)

    def _rest(self) -> None:
        task = asyncio.create_task(self._rest_in_turn(), name=f"speech {self.name} rests")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _rest_in_turn(self) -> None:
        async with self._turn:
            if not self._texts:
                with contextlib.suppress(OSError):
                    await self._speaker.rest()
