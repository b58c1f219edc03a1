"""What is left of a text before it is spoken: words, punctuation, and paragraphs.

Pure. Markup is not touched: what is markup to one reader is text to another, and nobody asked for it to be taken away.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from junto.core.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Iterator

# Cc controls, Cf (bidi marks and overrides, zero-width characters, byte order marks, soft hyphens), Cs halves of pairs, Co private, Cn none.
_SILENT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]+")
_AROUND_LINES = re.compile(r" ?\n ?")
_PARAGRAPHS = re.compile(r"\n{3,}")
_MOST_MARKS = 30  # on one letter: what Unicode calls safe for streams, and more than any language has
_FIRST_MARK = "\u0300"


def clean(text: str, *, param: str = "text") -> str:
    """The text as it can be spoken: composed (NFC), without what has no sound, one blank between words, paragraphs kept.

    Raises InvalidField, naming `param`, where nothing is left.
    """
    text = _LINE_ENDS.sub("\n", text)
    if not text.isprintable():
        text = "".join(character for character in text if character in "\n\t" or not _is_silent(character))
    if not text.isascii():
        text = "".join(_few_marks(text))
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", text))
    text = _PARAGRAPHS.sub("\n\n", _AROUND_LINES.sub("\n", text)).strip()
    if not text:
        raise InvalidField(f"{param} has nothing that could be spoken.", param=param)
    return text


def _few_marks(text: str) -> Iterator[str]:
    """The text without marks that are heaped on one letter.

    Composing it sorts them, in time that grows with their square, and all threads wait meanwhile.
    """
    marks = 0
    for character in text:
        is_mark = character >= _FIRST_MARK and (
            unicodedata.category(character)[0] == "M" or unicodedata.combining(character) != 0
        )
        marks = marks + 1 if is_mark else 0
        if marks <= _MOST_MARKS:
            yield character


def has_words(text: str) -> bool:
    """Whether there is a letter or a digit in it: the rest may be silent in one voice and a word in another."""
    return any(character.isalnum() for character in text)


def _is_silent(character: str) -> bool:
    return unicodedata.category(character) in _SILENT
