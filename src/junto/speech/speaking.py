"""One text on its way from words to encoded sound: sentences, engine, encoder; and what that took.

Owns the order of the steps and their counts. Writes nothing down.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.speech.encoding import encoded, encoder, seconds
from junto.speech.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from junto.ports.clock import Clock
    from junto.speech.encoding import AudioFormat
    from junto.speech.voices import Named


class Speech:
    """One text of one speaker. Read `sound` to its end, or close it: that stops the engine."""

    def __init__(self, text: str, speaker: Named, audio_format: AudioFormat, *, speed: float, clock: Clock) -> None:
        self.characters = len(text)
        self.speaker = speaker
        self._clock = clock
        self._pcm_bytes = 0
        self._spent = 0.0
        self._encoder = encoder(audio_format, speaker.voice.sample_rate)
        self.sound = encoded(self._pcm(text, speed), self._encoder)

    @property
    def audio_ms(self) -> int:
        """How long what was made so far sounds."""
        return round(1000 * seconds(self._pcm_bytes, self.speaker.voice.sample_rate))

    @property
    def spent_ms(self) -> int:
        """How long the engine took for it, waits of the listener left out."""
        return round(1000 * self._spent)

    def front(self) -> bytes:
        """What a whole file begins with, once all is known; b"" to leave it as it is."""
        return self._encoder.front()

    async def _pcm(self, text: str, speed: float) -> AsyncGenerator[bytes]:
        engine, voice = self.speaker.engine, self.speaker.voice
        sentences = await asyncio.to_thread(
            split, text
        )  # some milliseconds, of each of many texts that may come together
        await engine.start()
        made = engine.synthesise(sentences, voice.name, speed=speed)
        try:
            while True:
                began = self._clock.monotonic()
                try:
                    pcm = await anext(made, None)
                finally:
                    self._spent += self._clock.monotonic() - began
                if pcm is None:
                    return
                self._pcm_bytes += len(pcm)
                yield pcm
        finally:
            await made.aclose()
