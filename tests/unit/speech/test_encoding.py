"""Sound as files and streams."""

from __future__ import annotations

import io
import math
import struct
import wave
from typing import TYPE_CHECKING

import pytest
import soundfile  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from junto.ports.speech import PIECE_BYTES
from junto.speech.encoding import AudioFormat, Encoder, encoded, encoder, formats, seconds, wav_header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

RATE = 24_000


def tone(length: float, rate: int = RATE) -> bytes:
    """A tone of 220 Hz as PCM."""
    return b"".join(
        struct.pack("<h", int(8000 * math.sin(math.tau * 220 * at / rate))) for at in range(int(length * rate))
    )


def whole(into: Encoder, pcm: bytes, piece: int) -> bytes:
    parts = [
        into.begin(),
        *(into.encode(pcm[start : start + piece]) for start in range(0, len(pcm), piece)),
        into.finish(),
    ]
    return b"".join(parts)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
def test_an_mp3_sounds_as_long_as_what_it_was_made_from(rate: int) -> None:
    made = whole(encoder(AudioFormat.MP3, rate), tone(2.0, rate), 10_001)
    heard, read_rate = soundfile.read(io.BytesIO(made))
    assert read_rate == rate
    assert len(heard) / read_rate == pytest.approx(2.0, abs=0.15)  # whole frames
    assert max(abs(heard)) > 0.15


def test_an_mp3_of_nothing_is_no_failure() -> None:
    assert isinstance(whole(encoder(AudioFormat.MP3, RATE), b"", 1), bytes)


def test_a_streamed_wav_is_read_to_its_end_and_a_file_gets_its_true_length() -> None:
    pcm = tone(0.5)
    into = encoder(AudioFormat.WAV, RATE)
    streamed = whole(into, pcm, 999)
    heard, rate = soundfile.read(io.BytesIO(streamed), dtype="int16")
    assert (rate, heard.tobytes()) == (RATE, pcm)
    front = into.front()
    with wave.open(io.BytesIO(front + streamed[len(front) :])) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert file.getnframes() == len(pcm) // 2
        assert file.readframes(file.getnframes()) == pcm


@given(st.one_of(st.none(), st.integers(0, 1 << 40)), st.integers(8_000, 192_000))
def test_a_header_of_wav_has_always_its_size(data_bytes: int | None, rate: int) -> None:
    assert len(wav_header(rate, data_bytes)) == 44


def test_pcm_is_left_as_it_is() -> None:
    assert whole(encoder(AudioFormat.PCM, RATE), b"abcd", 2) == b"abcd"
    assert seconds(48_000, RATE) == 1.0


def test_every_format_has_a_media_type_and_all_are_installed_here() -> None:
    assert formats() == tuple(AudioFormat)
    assert [each.media_type for each in AudioFormat] == ["audio/mpeg", "audio/wav", "audio/pcm"]


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_a_stream_is_encoded_as_one_piece_would_be(audio_format: AudioFormat) -> None:
    pcm = tone(3.0)

    async def made() -> AsyncGenerator[bytes]:
        yield pcm[:1001]
        yield pcm[1001:]

    streamed = b"".join([piece async for piece in encoded(made(), encoder(audio_format, RATE))])
    into = encoder(audio_format, RATE)
    expected = into.begin() + into.encode(pcm[:1001])
    for start in range(1001, len(pcm), PIECE_BYTES):
        expected += into.encode(pcm[start : start + PIECE_BYTES])
    assert streamed == expected + into.finish()


async def test_closing_the_encoded_stream_closes_what_it_is_made_from() -> None:
    closed = []

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield tone(0.1)
        finally:
            closed.append(True)

    stream = encoded(endless(), encoder(AudioFormat.MP3, RATE))
    assert await anext(stream)
    await stream.aclose()
    assert closed == [True]
