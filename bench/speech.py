"""How soon and how fast the installed engines of speech speak: `python -m bench.speech`, or under `taskset -c 0` for one core."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from junto.providers.speech import hibari, piper
from junto.speech.encoding import MP3_KILOBITS, AudioFormat, encoded, encoder
from junto.speech.sentences import split

if TYPE_CHECKING:
    from junto.providers.speech.engine import SpeakingEngine

_PARAGRAPH = (
    "The quick brown fox jumps over the lazy dog. It was a bright cold day in April, and the clocks were striking thirteen. "
    "Nobody at all, as far as anybody could tell, had expected the wind to turn before the evening, let alone to bring snow."
)
_ROUNDS = 4


async def measure(engine: SpeakingEngine) -> None:
    """Speak a paragraph a few times as MP3, the first time from nothing."""
    voice = engine.voices[0]
    for round_ in range(_ROUNDS):
        begun, first, made = time.perf_counter(), 0.0, 0
        pcm = engine.synthesise(split(_PARAGRAPH), voice.name, speed=1.0)
        async for piece in encoded(pcm, encoder(AudioFormat.MP3, voice.sample_rate)):
            first = first or time.perf_counter() - begun
            made += len(piece)
        took, sound = time.perf_counter() - begun, made * 8 / (MP3_KILOBITS * 1000)
        state = "warm" if round_ else "cold"
        print(
            f"{engine.name} {state}: first byte {first:.3f} s, {sound:.1f} s of sound in {took:.3f} s, {sound / took:.0f} x real time"
        )
    await engine.stop()


async def main() -> None:
    """Measure what is installed."""
    for engine in (hibari.find(), piper.find()):
        if engine is not None:
            await measure(engine)


if __name__ == "__main__":
    asyncio.run(main())
