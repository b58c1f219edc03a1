"""Ballots: what a reviewer is asked to write, how that is read, and how many ballots become one ranking. Pure.

A ballot is read leniently where its meaning is certain (a fence around it, "Response B" for "B", one place left open), and not
at all where it is not: nonsense is no ballot.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.council.deliberation import Ballot, State

_LONGEST: Final = 20_000  # characters of a ballot that are looked at
_LONGEST_WHY: Final = 2_000
_FEWEST: Final = 2  # one opinion needs no order
_ARRAY = re.compile(r'"ranking"\s*:\s*(\[[^\[\]]{0,4000}\])')
_WHY = re.compile(r'"why"\s*:\s*("(?:[^"\\]|\\.){0,4000}")')
_STEP = re.compile(r"[>,;\n]")  # without the blanks around it: reading those could take forever
_ENTRY = re.compile(
    r"(?:[-*]\s+|\d{1,2}[.):]\s*)?[\"'*`\[(]*(?:response\s+|answer\s+)?([a-z])[\"'*`\])]*[.]?", re.IGNORECASE
)
_LEAD = re.compile(r"^\s*(?:final\s+)?ranking\s*:\s*", re.IGNORECASE)


class Reading(msgspec.Struct, frozen=True):
    """A ballot that was understood: all labels, best first, and the reviewer's reason."""

    order: tuple[str, ...]
    why: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A member's place: `score` is 1 where everybody put it first, 0 where last, None where nobody ranked it.

    `ballots` counts those that ranked it; its own is none of them.
    """

    member: str
    score: float | None
    ballots: int


def ballot_schema(labels: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a ballot about these labels. The order comes first, so that an answer that is cut off has it."""
    return {
        "type": "object",
        "properties": {
            "ranking": {
                "type": "array",
                "items": {"type": "string", "enum": list(labels)},
                "minItems": len(labels),
                "maxItems": len(labels),
            },
            "why": {"type": "string"},
        },
        "required": ["ranking", "why"],
        "additionalProperties": False,
    }


def read_ballot(text: str, labels: Sequence[str]) -> Reading | None:
    """The ballot in an answer, or None when its meaning is not certain. A label that it left out is last."""
    text = text[:_LONGEST]
    array = _ARRAY.search(text)
    if array is not None:
        entries = _decoded(array[1])
        found = _labels(entries if isinstance(entries, list) else [], labels)
        why = _WHY.search(text)
        said = _decoded(why[1]) if why is not None else ""
        return _complete(found, labels, open_places=1, why=said if isinstance(said, str) else "")
    return _complete(_in_prose(text, labels), labels, open_places=0)


def ranking(members: Sequence[str], ballots: Sequence[Ballot]) -> tuple[Standing, ...]:
    """The members by the mean of their places, best first; ties, and those whom nobody ranked (last), as they stand.

    What a reviewer says of itself is left out first: each ballot is an order of the others. Places are counted as shares of the
    ballot's length (1 for the first, 0 for the last), so that a missing ballot favours nobody.
    """
    shares: Mapping[str, list[Fraction]] = {member: [] for member in members}
    for ballot in ballots:
        others = [member for member in ballot.order if member != ballot.reviewer and member in shares]
        last = len(others) - 1
        for place, member in enumerate(others):
            shares[member].append(Fraction(last - place, last) if last else Fraction(1, 2))
    means = {member: sum(given, Fraction()) / len(given) if given else None for member, given in shares.items()}
    in_order = sorted(members, key=lambda member: _sort_key(means[member]))
    return tuple(
        Standing(
            member=member,
            score=None if (mean := means[member]) is None else round(float(mean), 4),
            ballots=len(shares[member]),
        )
        for member in in_order
    )


def standings(state: State) -> tuple[Standing, ...]:
    """The members who were heard, in the order that the ballots give them; () without a ballot."""
    return ranking([voice.member for voice in state.voices], state.ballots) if state.ballots else ()


def _sort_key(mean: Fraction | None) -> tuple[bool, Fraction]:
    return (mean is None, -(mean or Fraction()))


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _labels(entries: Sequence[object], labels: Sequence[str]) -> list[str]:
    """The known labels among them, each once, in order."""
    found: dict[str, None] = {}
    for entry in entries:
        match = _ENTRY.fullmatch(entry.strip()) if isinstance(entry, str) else None
        if match is not None and match[1].upper() in labels:
            found.setdefault(match[1].upper())
    return list(found)


def _in_prose(text: str, labels: Sequence[str]) -> list[str]:
    """An order that was written as text: `B > A > C`, or a list with nothing but labels in it."""
    entries = [entry for entry in map(str.strip, _STEP.split(_LEAD.sub("", text.strip()))) if entry]
    found = _labels(entries, labels)
    return found if len(found) == len(entries) else []


def _complete(found: Sequence[str], labels: Sequence[str], *, open_places: int, why: str = "") -> Reading | None:
    rest = [label for label in labels if label not in found]
    if len(found) < _FEWEST - open_places or len(rest) > open_places:
        return None
    return Reading((*found, *rest), why[:_LONGEST_WHY].strip())
