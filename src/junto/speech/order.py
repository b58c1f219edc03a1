"""What is to be said: a text in one piece or in chapters, by whom, how fast, in which format. Pure.

Owns the bounds of an order and the names of its files. Which voices there are is voices.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.errors import BodyTooLarge, InvalidField
from junto.speech.encoding import AudioFormat
from junto.speech.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CHAPTERS: Final = 500
SLOWEST, FASTEST = 0.25, 4.0
FILE_FORMATS: Final = (AudioFormat.MP3, AudioFormat.WAV)
_DIGITS = 3  # of a chapter's number in its file's name


class Chapter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file's text."""

    text: str
    title: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job says. Without `in_chapters` there is one text, and one file."""

    voice: str
    format: AudioFormat
    chapters: tuple[Chapter, ...]
    speed: float = 1.0
    in_chapters: bool = False

    @property
    def characters(self) -> int:
        """Of all of its texts."""
        return sum(len(chapter.text) for chapter in self.chapters)

    @property
    def numbers(self) -> range:
        """The numbers of its files: chapters count from 1, a text in one piece is 0."""
        first = int(self.in_chapters)
        return range(first, first + len(self.chapters))

    def name(self, job_id: str, number: int) -> str:
        """The public name of one of its files."""
        return f"{job_id}-{number:0{_DIGITS}d}.{self.format}" if self.in_chapters else f"{job_id}.{self.format}"

    def urls(self, job_id: str) -> list[str]:
        """Where its files will be."""
        return [url_of(self.name(job_id, number)) for number in self.numbers]

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.json.encode(self)


def decode_order(stored: bytes) -> Order:
    """The order as it was stored; raises msgspec.MsgspecError where it is none."""
    return msgspec.json.decode(stored, type=Order)


def url_of(name: str) -> str:
    """Where the file of that public name is."""
    return f"/output/{name}"


def one_text(text: str, *, most: int, param: str = "text") -> tuple[Chapter, ...]:
    """A text in one piece, ready to be said. Raises BodyTooLarge over `most` characters, InvalidField where nothing is to be heard."""
    return (Chapter(text=_sayable(text, most, param)),)


def in_chapters(chapters: Sequence[tuple[str, str]], *, most: int) -> tuple[Chapter, ...]:
    """Chapters (title, text), each within the same bound."""
    if not chapters:
        raise InvalidField("There must be at least one chapter.", param="chapters")
    if len(chapters) > MOST_CHAPTERS:
        raise BodyTooLarge(f"A job has {MOST_CHAPTERS} chapters at most.", param="chapters")
    return tuple(
        Chapter(title=title, text=_sayable(text, most, f"chapters.{index}.text"))
        for index, (title, text) in enumerate(chapters)
    )


def check_speed(speed: float) -> float:
    """Raises InvalidField for a speed that no engine goes at."""
    if not SLOWEST <= speed <= FASTEST:
        raise InvalidField(f"speed is from {SLOWEST} to {FASTEST:g}.", param="speed")
    return speed


def parse_format(name: str, allowed: Sequence[AudioFormat], *, param: str) -> AudioFormat:
    """The format of that name; raises InvalidField for what is none of these."""
    if name not in allowed:
        raise InvalidField(f"{param} is one of: {', '.join(allowed)}.", param=param)
    return AudioFormat(name)


def _sayable(text: str, most: int, param: str) -> str:
    if len(text) > most:
        raise BodyTooLarge(
            f"{param} has {len(text)} characters; {most} are the most (speech.max_chars). Long texts go as `chapters` of POST /tts.",
            param=param,
        )
    return clean(text, param=param)
