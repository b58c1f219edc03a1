"""What is the same for every engine: turns, rests, and what is done when nobody listens any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.core.errors import InvalidField, NotFound, UpstreamFailed
from junto.ports.speech import PIECE_BYTES, Voice
from junto.providers.speech.engine import IDLE_SECONDS, SpeakingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

ANNA = Voice(name="anna", engine="fake", language="en-US", sample_rate=24_000)


class FakeSpeaker:
    """Says each sentence as its own letters, when it is let."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.rests = 0
        self.rested = asyncio.Event()

    async def say(self, sentence: str, voice: Voice, speed: float) -> bytes:
        self.said.append(sentence)
        self.begun.set()
        await self.go.wait()
        if sentence.startswith("crash"):
            raise UpstreamFailed("crashed")
        return b"" if sentence.startswith("mute") else sentence.encode()

    async def rest(self) -> None:
        self.rests += 1
        self.rested.set()


def made(speaker: FakeSpeaker, idle: float = IDLE_SECONDS) -> SpeakingEngine:
    return SpeakingEngine("fake", [ANNA], speaker, at_once=2, idle=idle)


async def all_of(stream: AsyncGenerator[bytes]) -> list[bytes]:
    return [piece async for piece in stream]


async def test_sentences_are_said_in_their_order_and_lines_of_signs_are_left_out() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    assert await all_of(engine.synthesise(["one", "* * *", "two"], "anna", speed=1.0)) == [b"one", b"two"]
    assert speaker.said == ["one", "two"]
    await engine.stop()


async def test_long_sound_comes_in_pieces() -> None:
    engine = made(FakeSpeaker())
    pieces = await all_of(engine.synthesise(["x" * (2 * PIECE_BYTES + 1)], "anna", speed=1.0))
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, PIECE_BYTES, 1]
    await engine.stop()


async def test_two_texts_take_turns() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    book = engine.synthesise(["b1", "b2", "b3", "b4"], "anna", speed=1.0)
    greeting = engine.synthesise(["g1", "g2"], "anna", speed=1.0)
    assert engine.free == 2
    assert sorted(map(len, await asyncio.gather(all_of(book), all_of(greeting)))) == [2, 4]
    assert speaker.said[:4] == ["b1", "g1", "b2", "g2"]
    assert engine.free == 2
    await engine.stop()


async def test_no_sentence_is_begun_before_the_one_in_front_was_taken_nor_after_the_stream_was_closed() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    stream = engine.synthesise([f"s{number}" for number in range(100)], "anna", speed=1.0)
    assert await anext(stream) == b"s0"
    for _ in range(20):
        await asyncio.sleep(0)
    assert (speaker.said, engine.free) == (["s0"], 1)
    await stream.aclose()
    assert (speaker.said, engine.free) == (["s0"], 2)
    await engine.stop()


async def test_who_goes_away_in_the_middle_of_a_sentence_keeps_nobody_waiting_but_for_its_end() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    speaker.go.clear()
    leaver = asyncio.create_task(all_of(engine.synthesise(["left", "never"], "anna", speed=1.0)))
    await speaker.begun.wait()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    stayer = asyncio.create_task(all_of(engine.synthesise(["stays"], "anna", speed=1.0)))
    await asyncio.sleep(0)
    assert speaker.said == ["left"]
    speaker.go.set()
    assert await stayer == [b"stays"]
    assert speaker.said == ["left", "stays"]
    await engine.stop()


async def test_who_goes_away_while_waiting_is_forgotten() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    speaker.go.clear()
    first = asyncio.create_task(all_of(engine.synthesise(["first"], "anna", speed=1.0)))
    await speaker.begun.wait()
    second = asyncio.create_task(all_of(engine.synthesise(["second"], "anna", speed=1.0)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    speaker.go.set()
    assert await first == [b"first"]
    assert speaker.said == ["first"]
    await engine.stop()


async def test_a_crash_fails_the_text_under_way_and_no_other() -> None:
    engine = made(FakeSpeaker())
    with pytest.raises(UpstreamFailed):
        await all_of(engine.synthesise(["fine", "crash", "never"], "anna", speed=1.0))
    assert await all_of(engine.synthesise(["fine"], "anna", speed=1.0)) == [b"fine"]
    assert engine.free == 2
    await engine.stop()


@pytest.mark.parametrize("sentences", [[], ["..."], ["mute", "mute, too"]])
async def test_a_text_without_any_sound_is_refused(sentences: list[str]) -> None:
    engine = made(FakeSpeaker())
    with pytest.raises(InvalidField):
        await all_of(engine.synthesise(sentences, "anna", speed=1.0))
    await engine.stop()


async def test_a_voice_of_another_engine_is_refused_before_anything_is_said() -> None:
    speaker = FakeSpeaker()
    with pytest.raises(NotFound):
        await all_of(made(speaker).synthesise(["one"], "berta", speed=1.0))
    assert speaker.said == []


async def test_an_engine_that_nobody_needs_is_put_to_rest_and_speaks_again() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker, idle=0.01)
    await all_of(engine.synthesise(["one"], "anna", speed=1.0))
    await speaker.rested.wait()
    assert speaker.rests == 1
    assert await all_of(engine.synthesise(["two"], "anna", speed=1.0)) == [b"two"]
    await engine.stop()


async def test_an_engine_does_not_rest_while_a_text_is_under_way() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker, idle=0.0)
    stream = engine.synthesise(["one", "two"], "anna", speed=1.0)
    await anext(stream)
    for _ in range(20):
        await asyncio.sleep(0)
    assert speaker.rests == 0
    await stream.aclose()
    await speaker.rested.wait()
    await engine.stop()


async def test_stopping_ends_what_is_under_way_and_starting_begins_anew() -> None:
    speaker = FakeSpeaker()
    engine = made(speaker)
    speaker.go.clear()
    text = asyncio.create_task(all_of(engine.synthesise(["one"], "anna", speed=1.0)))
    await speaker.begun.wait()
    await engine.stop()
    await engine.stop()
    with pytest.raises(UpstreamFailed):
        await text
    with pytest.raises(UpstreamFailed):
        await all_of(engine.synthesise(["late"], "anna", speed=1.0))
    speaker.go.set()
    await engine.start()
    assert await all_of(engine.synthesise(["again"], "anna", speed=1.0)) == [b"again"]
    await engine.stop()
