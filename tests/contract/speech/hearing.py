"""An ear for tests: whether a file sounds like somebody speaking, told from its energy and its pitch.

Decodes by soundfile, which brings its own MP3 decoder; ffprobe has a second opinion on the length where it is installed.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

_FRAME = 0.03  # seconds
_SILENT = 0.01  # RMS, of 1: -40 dB
_PITCHES = (60.0, 400.0)  # Hz, of people
_VOICED = 0.5  # correlation of a frame with itself a period later


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """`loud` is the share of frames that are not silent, `voiced` that of loud ones with a pitch; `pitch` and `melody` are its median and spread in Hz.

    `rhythm` is how much loudness changes between frames, of its mean.
    """

    seconds: float
    rms: float
    loud: float
    voiced: float
    pitch: float
    melody: float
    rhythm: float

    @property
    def is_speech(self) -> bool:
        """Neither silence, nor noise, nor a tone: pauses, vowels and consonants, a melody."""
        energy = self.rms > 0.02 and 0.4 < self.loud < 0.98
        return energy and 0.2 < self.voiced < 0.97 and 70 < self.pitch < 320 and self.melody > 5 and self.rhythm > 0.4


def hear(data: bytes) -> Heard:
    """Listen to an MP3 or WAV file of one channel."""
    sound, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    length = int(_FRAME * rate)
    frames = np.reshape(sound[: len(sound) // length * length], (-1, length))
    levels = np.sqrt(np.mean(frames**2, axis=1))
    loud = frames[levels > _SILENT]
    pitches = np.array([pitch for frame in loud if (pitch := _pitch(frame, rate)) is not None])
    return Heard(
        seconds=len(sound) / rate,
        rms=float(np.sqrt(np.mean(sound**2))),
        loud=len(loud) / max(1, len(frames)),
        voiced=len(pitches) / max(1, len(loud)),
        pitch=float(np.median(pitches)) if len(pitches) else 0.0,
        melody=float(np.std(pitches)) if len(pitches) else 0.0,
        rhythm=float(np.std(levels) / max(float(np.mean(levels)), 1e-9)),
    )


def _pitch(frame: np.ndarray[Any, np.dtype[np.float64]], rate: int) -> float | None:
    centred = frame - np.mean(frame)
    correlation = np.correlate(centred, centred, "full")[len(frame) - 1 :]
    shortest, longest = int(rate / _PITCHES[1]), min(int(rate / _PITCHES[0]), len(frame) - 1)
    at = shortest + int(np.argmax(correlation[shortest:longest]))
    return rate / at if correlation[at] > _VOICED * correlation[0] else None


def probed_seconds(path: Path) -> float | None:
    """How long ffprobe takes a file to be; None where there is no ffprobe."""
    program = shutil.which("ffprobe")
    if program is None:
        return None
    asked = [program, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout)
