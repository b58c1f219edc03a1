"""Puts a judgement into effect where that was asked for: a score of the subject, or a verdict on the pair, by the judge."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from junto.evals.jury import reasons_of
from junto.evals.verdicts import panel_of
from junto.ports.judging import Mode
from junto.ports.scores import NewScore, NewVerdict, Via, Winner

if TYPE_CHECKING:
    from junto.evals.judging import Judged
    from junto.evals.jury import Asked, Case
    from junto.ports.scores import ScoreStore

_LONGEST_NOTE: Final = 2_000
_LONGEST_AUTHOR: Final = 200


async def apply(scores: ScoreStore, case: Case, judged: Judged, id: str) -> bool:
    """Write it down in the place of what the same judge said before; False where there is nothing to write."""
    facts, other, decision = case.facts, case.other, judged.decision
    via = Via.JUDGE_PANEL if case.asked.mode is Mode.PANEL else Via.JUDGE
    note = reasons_of(judged.opinions)[:_LONGEST_NOTE]
    if other is not None and decision.winner:
        await scores.save_verdict(
            NewVerdict(
                id=id,
                first=facts.subject,
                second=other.subject,
                first_model=facts.model,
                second_model=other.model,
                task_type=facts.task_type,
                sensitivity=case.sensitivity,
                subject_ms=min(facts.started_ms, other.started_ms),
                winner=Winner(decision.winner),
                via=via,
                author=author_of(case.asked),
                note=note,
            )
        )
        return True
    if decision.score is None:
        return False
    marks = [one.mark for one in judged.opinions if one.mark is not None]
    await scores.save(
        NewScore(
            id=id,
            subject=facts.subject,
            task_type=facts.task_type,
            model=facts.model,
            client_id=facts.client_id,
            sensitivity=facts.sensitivity,
            subject_ms=facts.started_ms,
            score=decision.score,
            via=via,
            author=author_of(case.asked),
            dimensions=panel_of(marks).dimensions,
            note=note,
        )
    )
    return True


def author_of(asked: Asked) -> str:
    """Whose the score is: the judge's name; of a panel all names, so that the same panel has one score of a subject."""
    names = ", ".join(sorted(asked.judges))
    if len(names) <= _LONGEST_AUTHOR:
        return names
    return f"{names[: _LONGEST_AUTHOR - 13]} {hashlib.sha256(names.encode()).hexdigest()[:12]}"
