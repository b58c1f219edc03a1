"""The child process: hibari, a sentence for each line of standard input, until that ends.

Run as `python -m junto.providers.speech.hibari_child`. A line is a JSON object of text, voice, path, speed; the answer is frames on
standard output. The pipe is the leash: when the parent is gone, however it went, the reading thread ends the process in the middle of its
work. No connection to anywhere can be made from here, and no other process started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from junto.providers.speech import frames
from junto.providers.speech.silence import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
)
_NICE = 5  # answers of models go first where there are too few processors
_LONG_NUMBERS = re.compile(r"\d[\d,.]{8,}\d")  # hibari has names of numbers up to trillions, and no more
_PLAIN = re.compile(r"[^\w\s.,;:!?'’-]")  # noqa: RUF001
_WAITING = 4  # lines; the parent sends one and waits for its answer


def main() -> None:
    """Speak until the leash is cut."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the frames
    sys.addaudithook(_refuse)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    lines: queue.Queue[bytes] = queue.Queue(_WAITING)
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    voices: dict[str, Any] = {}
    while True:
        _answer(json.loads(lines.get()), voices, answers)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    del arguments
    if event in _FORBIDDEN:
        raise PermissionError(f"{event} is not for an engine of speech")


def _read(lines: queue.Queue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _answer(asked: dict[str, Any], voices: dict[str, Any], answers: BinaryIO) -> None:
    voice = asked["voice"]
    if voice not in voices:
        voices[voice] = _load(voice, asked["path"])
    pcm = _first_sound(voices[voice], asked["text"], asked["speed"])
    for start in range(0, len(pcm or b""), frames.LONGEST):
        piece = (pcm or b"")[start : start + frames.LONGEST]
        answers.write(frames.head(frames.Kind.SOUND, len(piece)) + piece)
    answers.write(frames.head(frames.Kind.REFUSED if pcm is None else frames.Kind.END))
    answers.flush()


def _first_sound(voice: Any, text: str, speed: float) -> bytes | None:
    """The sound of the first spelling that hibari does not stumble over; None where there is no such."""
    for spelling in _spellings(text):
        with contextlib.suppress(Exception):
            return _speak(voice, spelling, speed)
    return None


def _spellings(text: str) -> Iterator[str]:
    """The text, then plainer ways to write it."""
    yield text
    yield _LONG_NUMBERS.sub(lambda number: " ".join(number[0]), text)
    yield _PLAIN.sub(" ", re.sub(r"\d+", lambda number: " ".join(number[0]), text))


def _load(voice: str, path: str) -> Any:
    import hibari  # type: ignore[import-untyped]  # noqa: PLC0415  the parent must not load it

    return hibari.Hibari(voice=voice, model=path)


def _speak(voice: Any, text: str, speed: float) -> bytes:
    import numpy as np  # noqa: PLC0415  it comes with hibari

    sound = voice(text, speed=speed)
    pcm = (np.clip(sound, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return trimmed(pcm, voice.sample_rate, text)


if __name__ == "__main__":
    main()
