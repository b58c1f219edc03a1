"""Verdicts: how a judge's answer is read, and how several become one. Pure.

An answer is read leniently where its meaning is certain (a fence around it, "4/5" for 4, a reason that is cut off), and not at
all where it is not: then the verdict has failed with a reason, and there is no number.
"""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.evals.reading import Unread, object_in, scalar_in, text_of
from junto.ports.scores import LEAST_SCORE, MOST_SCORE, Winner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIDDLE: Final = 3
_LONGEST_REASON: Final = 2_000
_GRADE: Final = re.compile(r"([1-5])(?:\.0{1,6})?(?:\s{0,3}(?:/|out of)\s{0,3}5)?")
_BARE_GRADE: Final = re.compile(r"(?:score\s{0,3}[:=]\s{0,3})?([1-5])(?:\s{0,3}/\s{0,3}5)?\.?", re.IGNORECASE)
_BARE_CHOICE: Final = re.compile(r"(?:winner\s{0,3}[:=]\s{0,3})?([ab]|tie)\.?", re.IGNORECASE)
_LABEL: Final = re.compile(r"(?:(?:response|answer)\s{1,3})?([ab])|tie|draw", re.IGNORECASE)
_CUT_GRADE: Final = re.compile(r'\s*\{\s*"score"\s*:\s*(-?[\d.]+|"[^"\\]{0,20}")\s*,')
_CUT_CHOICE: Final = re.compile(r'\s*\{\s*"winner"\s*:\s*("[^"\\]{0,20}")\s*,')
_CUT_REASON: Final = re.compile(r'"reason"\s*:\s*("(?:[^"\\]|\\.){0,4000})')
_CUT_DIMENSIONS: Final = re.compile(r'"dimensions"\s*:\s*(\{[^{}]{0,4000}\})')


_LETTERS: Final = {"a": Winner.FIRST, "b": Winner.SECOND, "tie": Winner.TIE}


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge gives one answer: 1 to 5, and the same for named dimensions."""

    score: int
    reason: str = ""
    dimensions: dict[str, int] = {}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge says of two answers."""

    winner: Winner
    reason: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Several marks as one. `median` is exact, `score` whole: a half goes towards the middle of the scale."""

    score: int
    median: float
    dimensions: dict[str, int]


def read_mark(text: str, dimensions: Sequence[str] = (), *, cut_off: bool = False) -> Mark | Unread:
    """The mark in an answer. `cut_off`: it ended at its limit of length; then what stands whole at its beginning counts.

    A dimension that the judge left out is left out; one that is no mark makes the whole no mark.
    """
    bare = scalar_in(text, _BARE_GRADE)
    if bare is not None and not cut_off and not dimensions:
        return Mark(score=int(bare))
    found = object_in(text, spared=r"\d|\bscore")
    if isinstance(found, Unread):
        cut = _cut_mark(text) if cut_off else None
        if cut is None:
            return Unread("The answer was cut off before it was whole.") if cut_off else found
        found = cut
    if "score" not in found:
        return Unread("The answer has no score.")
    score = _grade(found["score"])
    if score is None:
        return Unread(f"The score is no whole number from {LEAST_SCORE} to {MOST_SCORE}.")
    marked = _dimensions(found.get("dimensions"), dimensions)
    if isinstance(marked, Unread):
        return marked
    return Mark(score=score, reason=_reason(found), dimensions=marked)


def read_choice(text: str, *, cut_off: bool = False) -> Choice | Unread:
    """Which of A (the first) and B (the second) an answer says is better. `cut_off` as of a mark."""
    bare = scalar_in(text, _BARE_CHOICE)
    if bare is not None and not cut_off:
        return Choice(winner=_LETTERS[bare.casefold()])
    found = object_in(text, spared=r"\b[AB]\b|\b[Tt]ie\b|\bwinner")
    if isinstance(found, Unread):
        cut = _CUT_CHOICE.match(text_of(text)) if cut_off else None
        if cut is None:
            return Unread("The answer was cut off before it was whole.") if cut_off else found
        found = {"winner": msgspec.json.decode(cut[1]), "reason": _cut_reason(text)}
    if "winner" not in found:
        return Unread("The answer names no winner.")
    said = found["winner"]
    match = _LABEL.fullmatch(said.strip()) if isinstance(said, str) else None
    if match is None:
        return Unread("The winner is none of A, B and tie.")
    return Choice(winner=_LETTERS[(match[1] or "tie").casefold()], reason=_reason(found))


def agreed(straight: Choice, swapped: Choice) -> Winner:
    """What two looks come to, the second of which had the answers the other way round: one that follows the place is a tie."""
    return straight.winner if straight.winner is swapped.winner.swapped else Winner.TIE


def quorum_of(jurors: int, asked: int | None = None) -> int:
    """How many jurors must be heard: what was asked for, otherwise more than half of all that were named; never less than one."""
    return max(1, jurors // 2 + 1 if asked is None else asked)


def panel_of(marks: Sequence[Mark]) -> Panel:
    """The median of at least one mark, of each dimension by itself too, among those who gave it."""
    names = dict.fromkeys(name for mark in marks for name in mark.dimensions)
    exact = float(median(mark.score for mark in marks))
    return Panel(
        score=_whole(exact),
        median=exact,
        dimensions={
            name: _whole(float(median(mark.dimensions[name] for mark in marks if name in mark.dimensions)))
            for name in names
        },
    )


def majority_of(winners: Sequence[Winner]) -> Winner:
    """Who won with more than half of all jurors that were heard; otherwise it is a tie."""
    for winner in (Winner.FIRST, Winner.SECOND):
        if 2 * sum(each is winner for each in winners) > len(winners):
            return winner
    return Winner.TIE


def _whole(value: float) -> int:
    """The nearest whole mark; a half goes towards the middle, so that doubt neither praises nor damns."""
    low = int(value)
    if value == low:
        return low
    return low if low >= _MIDDLE else low + 1


def _grade(value: object) -> int | None:
    match value:
        case bool():
            return None
        case int() | float():
            return int(value) if LEAST_SCORE <= value <= MOST_SCORE and value == int(value) else None
        case str():
            found = _GRADE.fullmatch(value.strip().casefold())
            return None if found is None else int(found[1])
        case _:
            return None


def _dimensions(value: object, wanted: Sequence[str]) -> dict[str, int] | Unread:
    if not wanted or value is None:
        return {}
    if not isinstance(value, dict):
        return Unread("The dimensions are no object.")
    marked: dict[str, int] = {}
    for name in wanted:
        if name not in value:
            continue
        grade = _grade(value[name])
        if grade is None:
            return Unread(f"The mark for {name!r} is no whole number from {LEAST_SCORE} to {MOST_SCORE}.")
        marked[name] = grade
    return marked


def _cut_mark(text: str) -> dict[str, Any] | None:
    """What stands whole at the beginning of an answer that is cut off: the score comes first."""
    text = text_of(text)
    cut = _CUT_GRADE.match(text)
    if cut is None:
        return None
    found: dict[str, Any] = {"score": _decoded(cut[1])}
    found["reason"] = _cut_reason(text)
    dimensions = _CUT_DIMENSIONS.match(text[cut.end() :].lstrip())
    if dimensions is not None:
        found["dimensions"] = _decoded(dimensions[1])
    return found


def _cut_reason(text: str) -> str:
    """As much of the reason as there is."""
    found = _CUT_REASON.search(text)
    said = _decoded(found[1] + '"') if found is not None else ""
    return f"{said.strip()} [cut off]" if isinstance(said, str) and said.strip() else ""


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _reason(found: Mapping[str, Any]) -> str:
    said = found.get("reason")
    return said[:_LONGEST_REASON].strip() if isinstance(said, str) else ""
