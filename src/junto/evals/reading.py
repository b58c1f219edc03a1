"""What a model that was to answer with one JSON object has answered: that object, or why there is none that is certain. Pure.

An object is certain when it is the only one outside of quotations, each of its names stands in it once, and what is written
around it says nothing of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

_LONGEST: Final = 20_000  # characters of an answer that are looked at
_MOST_AROUND: Final = 200  # characters beside the object
_THINKING: Final = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
# Blanks are looked at once, from where they begin: a model that answers with nothing else must not stop the loop.
_FENCE: Final = re.compile(r"```[a-z]{0,10}\s*|(?<!\s)\s*+```", re.IGNORECASE)


class Unread(msgspec.Struct, frozen=True):
    """There is no verdict in an answer, and why. The reason quotes nothing of it."""

    reason: str


class _TwiceError(ValueError):
    """A name stands twice in one object."""


def text_of(text: str) -> str:
    """The answer without what the model thought aloud before it and without fences."""
    text = text[:_LONGEST]
    thought = _THINKING.match(text)
    if thought is not None:
        text = text[thought.end() :]
    return _FENCE.sub("", text).strip()


def scalar_in(text: str, pattern: re.Pattern[str]) -> str | None:
    """The first group of the pattern, where the whole answer is that, with or without quotation marks."""
    found = pattern.fullmatch(text_of(text).strip("\"'*` \n"))
    return None if found is None else found[1]


def object_in(text: str, *, spared: str) -> dict[str, Any] | Unread:
    """The one object. `spared` is a pattern that what stands around it must not have: words that would be a verdict of their own."""
    text = text_of(text)
    if not text:
        return Unread("The answer is empty.")
    start = text.find("{")
    if start < 0:
        return Unread("The answer is no JSON object.")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except _TwiceError:
        return Unread("The answer says the same thing twice.")
    except (ValueError, RecursionError):
        return Unread("The answer is no JSON object that is whole.")
    around = f"{text[:start]} {text[end:]}"
    if "{" in around or "}" in around:
        return Unread("The answer has more than one object.")
    if len(around) > _MOST_AROUND or re.search(spared, around):
        return Unread("The answer says more than its object.")
    return value if isinstance(value, dict) else Unread("The answer is no JSON object.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
