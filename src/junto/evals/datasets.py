"""The rows of data sets, in the shapes that TRL's trainers read: from scores and verdicts to what is worth learning. Pure.

Supervised fine-tuning: `{"messages": [...]}`, of which the last is the answer. Preferences:
`{"prompt": [...], "chosen": [...], "rejected": [...]}`, each a list of messages.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.ports.scores import Winner
from junto.ports.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from junto.ports.datasets import ScoreRow, VerdictRow
    from junto.ports.subjects import SubjectFacts

LEAST_DIFFERENCE: Final = (
    1.0  # between the mean scores of two answers to the same, for one of them to be the better one
)
_TURNS: Final = frozenset({"system", "user", "assistant"})  # what every chat template knows


class Scored(msgspec.Struct, frozen=True):
    """A subject with the mean of its scores."""

    subject: Subject
    mean: float


class Preference(msgspec.Struct, frozen=True):
    """Of two answers to the same, which is better."""

    chosen: Subject
    rejected: Subject


def scored(rows: Iterable[ScoreRow]) -> list[Scored]:
    """Subjects in the order of their rows, all rows of one following one another."""
    found = []
    for subject, group in groupby(rows, key=lambda row: row.subject):
        scores = [row.score for row in group]
        found.append(Scored(subject, sum(scores) / len(scores)))
    return found


def preferred(rows: Iterable[VerdictRow]) -> list[Preference]:
    """What most verdicts on each pair say; pairs of which they say nothing, or as much one way as the other, are out."""
    found = []
    for (first, second), group in groupby(rows, key=lambda row: (row.first, row.second)):
        balance = sum({Winner.FIRST: 1, Winner.SECOND: -1}.get(row.winner, 0) for row in group)
        if balance:
            found.append(Preference(first, second) if balance > 0 else Preference(second, first))
    return found


def by_scores(one: Scored, other: Scored) -> Preference | None:
    """The better of two by their means; None where these are too near to each other."""
    if abs(one.mean - other.mean) < LEAST_DIFFERENCE:
        return None
    better, worse = (one, other) if one.mean > other.mean else (other, one)
    return Preference(better.subject, worse.subject)


def whole_groups[Row: (ScoreRow, VerdictRow)](rows: Sequence[Row], *, is_last: bool) -> Sequence[Row]:
    """The rows of a page without those of its last group, which may go on in the next page; all of them where none follows.

    A page of a single group is given whole: more rows than a page about one thing are cut there.
    """
    if is_last or not rows:
        return rows
    last = _group(rows[-1])
    end = next((at for at in range(len(rows) - 1, -1, -1) if _group(rows[at]) != last), -1)
    return rows[: end + 1] if end >= 0 else rows


def sft_row(facts: SubjectFacts) -> dict[str, Any] | None:
    """A conversation with its answer; None for one that text alone does not tell, or that has no text."""
    if not is_usable(facts):
        return None
    return {"messages": [*_prompt(facts), _answer(facts)]}


def preference_row(chosen: SubjectFacts, rejected: SubjectFacts) -> dict[str, Any] | None:
    """A conversation with both answers; None where they answer different things, or say the same."""
    if not (is_usable(chosen) and is_usable(rejected)) or chosen.answer.strip() == rejected.answer.strip():
        return None
    asked = _asked_of_both(chosen, rejected)
    if asked is None:
        return None
    return {"prompt": _prompt(asked), "chosen": [_answer(chosen)], "rejected": [_answer(rejected)]}


def _asked_of_both(one: SubjectFacts, other: SubjectFacts) -> SubjectFacts | None:
    """The one of both that tells what they were asked; None where that is not the same.

    A shadow was asked what its source was, and tells all of it: of a job only what was submitted is kept, without the template.
    """
    if one.source is not None and one.source in {other.subject, other.source}:
        return one
    if other.source is not None and other.source == one.subject:
        return other
    return one if _prompt(one) == _prompt(other) else None


def is_usable(facts: SubjectFacts) -> bool:
    """Whether its texts are there and are all there is: no pictures, no tools, a question before an answer."""
    return (
        facts.answered
        and facts.has_text
        and facts.is_plain
        and bool(facts.answer.strip())
        and any(said.role == "user" for said in facts.messages)
        and all(said.role in _TURNS for said in facts.messages)
    )


def _prompt(facts: SubjectFacts) -> list[dict[str, str]]:
    return [{"role": said.role, "content": said.text} for said in facts.messages]


def _answer(facts: SubjectFacts) -> dict[str, str]:
    return {"role": "assistant", "content": facts.answer}


def _group(row: ScoreRow | VerdictRow) -> Any:
    return row.subject if hasattr(row, "subject") else (row.first, row.second)
