"""Reads fields out of plain data that a person wrote, and notes every problem with its path instead of stopping at the first.

Knows kinds of values, and not what they are for: that is template.py's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from junto.core.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.core.document import Path

_SHOWN: Final = 40
_MOST_UNKNOWN: Final = 20  # keys of one mapping that are told one by one
_LINE_ENDS: Final = "\n\r\t"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, at a path into the data."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping at a path; what is wrong in it goes to `problems`, which all parts of a document share."""

    data: Mapping[str, Any]
    path: Path
    problems: list[Problem] = field(default_factory=list)

    def only(self, known: Iterable[str]) -> None:
        """Note every key that is not one of these."""
        names = sorted(known)
        unknown = [key for key in self.data if key not in names]
        for key in unknown[:_MOST_UNKNOWN]:
            shown = str(key)[:_SHOWN]
            self.complain(f"there is no such key.{did_you_mean(shown, names)}", shown)
        if len(unknown) > _MOST_UNKNOWN:
            self.complain(f"there are {len(unknown) - _MOST_UNKNOWN} more keys that are not known")

    def complain(self, message: str, *keys: str | int) -> None:
        """Note a problem here, or further in."""
        self.problems.append(Problem((*self.path, *keys), message))

    def text(self, key: str, *, longest: int, default: str = "", needed: bool = False, one_line: bool = False) -> str:
        """Words, without blanks around them."""
        value = self.data.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            if needed:
                self.complain("is needed, and missing", key)
            return default
        if not isinstance(value, str):
            self.complain("must be text; put it in quotes", key)
            return default
        wrong = _wrong_text(value.strip(), longest, one_line=one_line)
        if wrong:
            self.complain(wrong, key)
        return value.strip() if not wrong else default

    def whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain("must be a whole number", key)
        elif not low <= value <= high:
            self.complain(f"must be from {low} to {high}{_shown(value)}", key)
        else:
            return value
        return None

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.complain("must be a number", key)
        elif not low <= value <= high:
            self.complain(f"must be from {low:g} to {high:g}{_shown(value)}", key)
        else:
            return float(value)
        return None

    def flag(self, key: str) -> bool:
        """True or false; false unless it says so."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            self.complain("must be true or false", key)
        return value is True

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """One of a few words."""
        value = self.data.get(key)
        words = list(choices)
        if value is None:
            return default
        if value not in words:
            self.complain(f"must be {' or '.join(words)}{_shown(value)}.{did_you_mean(str(value), words)}", key)
            return default
        return str(value)

    def mapping(self, key: str) -> Fields | None:
        """The fields of an inner mapping; None where there is none."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.complain("must be a mapping of keys", key)
            return None
        return Fields(value, (*self.path, key), self.problems)

    def listing(self, key: str, most: int) -> list[Any]:
        """A list, empty where there is none; of one that is too long nothing is read."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.complain("must be a list", key)
            return []
        if len(value) > most:
            self.complain(f"must have at most {most} entries, not {len(value)}", key)
            return []
        return list(value)

    def entry(self, key: str, index: int, value: Any) -> Fields | None:
        """The fields of a list's entry that has to be a mapping."""
        if isinstance(value, dict):
            return Fields(value, (*self.path, key, index), self.problems)
        self.complain("must be a mapping of keys", key, index)
        return None


def _wrong_text(text: str, longest: int, *, one_line: bool) -> str:
    if len(text) > longest:
        return f"must have at most {longest} characters, not {len(text)}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is no Unicode text: half of a surrogate pair is missing"
    allowed = "" if one_line else _LINE_ENDS
    if any((ord(letter) < ord(" ") or letter == "\x7f") and letter not in allowed for letter in text):
        return "must be one line without control characters" if one_line else "has a control character in it"
    return ""


def _shown(value: Any) -> str:
    return f", not {str(value)[:_SHOWN]}" if isinstance(value, str | int | float) else ""
