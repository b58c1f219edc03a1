"""What one look found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: `note` is worth knowing, `wrong` keeps Junto from working as configured."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `fix` says what to do about it, in one sentence."""

    check: str
    level: Level
    message: str
    fix: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well there."""
    return Finding(check, Level.OK, message)


def note(check: str, message: str, fix: str = "") -> Finding:
    """Worth knowing."""
    return Finding(check, Level.NOTE, message, fix)


def wrong(check: str, message: str, fix: str) -> Finding:
    """Has to be mended."""
    return Finding(check, Level.WRONG, message, fix)
