"""Sound as files and streams of it: MP3 (by LAME), WAV and plain PCM, from mono 16-bit little-endian PCM.

Owns formats, headers and the thread that encoding happens in. Must not write files nor know of engines.
"""

from __future__ import annotations

import asyncio
import struct
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from junto.core.errors import Unsupported
from junto.ports.speech import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_SAMPLE_BYTES = 2
_UNKNOWN = 0xFFFFFFFF
_WAV = struct.Struct("<4sI4s4sIHHIIHH4sI")
WAV_HEADER_BYTES = _WAV.size
MP3_KILOBITS = 64  # a second, one channel: twice what speech needs to sound clean
_MP3_QUALITY = 5  # LAME's own "good, fast": 380 times real time where its best is 170


class AudioFormat(StrEnum):
    """What a caller may ask for, by the name that is also the ending of a file's name."""

    MP3 = "mp3"
    WAV = "wav"
    PCM = "pcm"

    @property
    def media_type(self) -> str:
        """The Content-Type of a whole file. PCM says its rate itself: `encoded` does not."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {AudioFormat.MP3: "audio/mpeg", AudioFormat.WAV: "audio/wav", AudioFormat.PCM: "audio/pcm"}


class Encoder(Protocol):
    """One stream of sound. Its methods compute, so they are called in a thread, one at a time."""

    def begin(self) -> bytes:
        """What stands in front."""

    def encode(self, pcm: bytes) -> bytes:
        """As much as is ready now, which may be nothing."""

    def finish(self) -> bytes:
        """The rest; nothing can be encoded after it."""

    def front(self) -> bytes:
        """What a file's first bytes become when all is known, in place of those of `begin` and as many; empty: leave them."""


def formats() -> tuple[AudioFormat, ...]:
    """What can be made with what is installed: MP3 needs lameenc, of the extra `speech`."""
    return tuple(each for each in AudioFormat if each is not AudioFormat.MP3 or find_spec("lameenc") is not None)


def encoder(audio_format: AudioFormat, sample_rate: int) -> Encoder:
    """A new encoder for one stream of mono PCM at `sample_rate` Hz. Raises Unsupported where MP3 is not installed."""
    match audio_format:
        case AudioFormat.MP3:
            if find_spec("lameenc") is None:
                raise Unsupported(
                    "MP3 is not installed here: ask for wav, or install junto[speech].", param="response_format"
                )
            return _Mp3(sample_rate)
        case AudioFormat.WAV:
            return _Wav(sample_rate)
        case AudioFormat.PCM:
            return _Pcm()


async def encoded(pcm: AsyncGenerator[bytes], encoder: Encoder) -> AsyncGenerator[bytes]:
    """The encoded stream, as it is made; closing it closes `pcm`, and so the engine's work.

    Encodes in a thread, a piece of at most PIECE_BYTES at a time: LAME keeps the interpreter's lock while it works, so a long piece in one
    go would stop the event loop although it is elsewhere.
    """
    try:
        if front := encoder.begin():
            yield front
        async for chunk in pcm:
            for start in range(0, len(chunk), PIECE_BYTES):
                if made := await asyncio.to_thread(encoder.encode, chunk[start : start + PIECE_BYTES]):
                    yield made
        if rest := await asyncio.to_thread(encoder.finish):
            yield rest
    finally:
        await pcm.aclose()


def seconds(pcm_bytes: int, sample_rate: int) -> float:
    """How long so much PCM sounds."""
    return pcm_bytes / (_SAMPLE_BYTES * sample_rate)


def wav_header(sample_rate: int, data_bytes: int | None) -> bytes:
    """The 44 bytes in front of PCM; None where its length is not known yet, which players read as: until the end."""
    size = _UNKNOWN if data_bytes is None else min(data_bytes, _UNKNOWN)
    whole = min(size + WAV_HEADER_BYTES - 8, _UNKNOWN)
    rate = sample_rate * _SAMPLE_BYTES
    return _WAV.pack(b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, sample_rate, rate, _SAMPLE_BYTES, 16, b"data", size)


class _Mp3:
    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._lame: Any = None
        self._odd = b""

    def begin(self) -> bytes:
        return b""

    def encode(self, pcm: bytes) -> bytes:
        pcm = self._odd + pcm
        whole = len(pcm) - len(pcm) % _SAMPLE_BYTES
        self._odd = pcm[whole:]
        return bytes(self._opened().encode(pcm[:whole])) if whole else b""

    def finish(self) -> bytes:
        return b"" if self._lame is None else bytes(self._lame.flush())  # LAME will not end what it has not begun

    def front(self) -> bytes:
        return b""  # frames of one size: their number is the length

    def _opened(self) -> Any:
        if self._lame is None:
            import lameenc  # type: ignore[import-not-found]  # noqa: PLC0415  only where MP3 is made, and in the thread

            self._lame = lameenc.Encoder()
            self._lame.silence()
            self._lame.set_channels(1)
            self._lame.set_in_sample_rate(self._sample_rate)
            self._lame.set_bit_rate(MP3_KILOBITS)
            self._lame.set_quality(_MP3_QUALITY)
        return self._lame


class _Wav:
    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._bytes = 0

    def begin(self) -> bytes:
        return wav_header(self._sample_rate, None)

    def encode(self, pcm: bytes) -> bytes:
        self._bytes += len(pcm)
        return pcm

    def finish(self) -> bytes:
        return b""

    def front(self) -> bytes:
        return wav_header(self._sample_rate, self._bytes)


class _Pcm:
    def begin(self) -> bytes:
        return b""

    def encode(self, pcm: bytes) -> bytes:
        return pcm

    def finish(self) -> bytes:
        return b""

    def front(self) -> bytes:
        return b""
