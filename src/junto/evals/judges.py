"""Judges as the administrator asks them: one judgement that is waited for, or a run of many. Decides nothing about verdicts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.errors import JuntoError, NotFound
from junto.evals.applying import apply
from junto.evals.cases import Named
from junto.evals.jury import Asked, check
from junto.ports.judging import Decision, Judgement, Mode, NewJudgement, NewRun, Run, Status, Unjudged
from junto.ports.observer import JudgementEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.evals.cases import Cases
    from junto.evals.judging import Judged, Judging
    from junto.evals.jury import Case
    from junto.ports.jobs import MakeId
    from junto.ports.judging import JudgementStore, RunStore
    from junto.ports.observer import JudgeObserver
    from junto.ports.scores import Pair, ScoreStore
    from junto.ports.subjects import Subject

MOST_SUBJECTS: Final = 500  # of one run
_DAY_MS: Final = 24 * 3600 * 1000
_INTERRUPTED: Final = Decision(
    status=Status.FAILED, error_code="interrupted", error_message="Whoever asked did not wait for the judgement."
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Shadows of a task type with their sources: those of so many days, at most so many subjects; `again` the judged ones too."""

    task_type: str
    days: int = 30
    limit: int = 100
    again: bool = False


class Judges:
    """What the doors use. `wake` is called when there is a new run; `drop` with the id of one that is cancelled."""

    def __init__(
        self,
        judging: Judging,
        cases: Cases,
        *,
        judgements: JudgementStore,
        runs: RunStore,
        scores: ScoreStore,
        observer: JudgeObserver,
        make_id: MakeId,
        wake: Callable[[], None] = lambda: None,
        drop: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._judging = judging
        self._cases = cases
        self._judgements = judgements
        self._runs = runs
        self._scores = scores
        self._observer = observer
        self._make_id = make_id
        self._wake = wake
        self._drop = drop

    async def judge(self, asked: Asked, named: Named, other: Named | None, *, deadline_s: float) -> Judgement:
        """Judge one now and wait for it. What may not be asked is raised, and leaves nothing behind; a verdict that failed is told of."""
        check(asked, is_pair=other is not None)
        case = await self._cases.of(self._make_id("jdg"), asked, named, other)
        self._judging.check(case)
        judgement = await self._judgements.begin(new_judgement(case))
        decision = _INTERRUPTED
        try:
            judged = await self._judging.judge(case, deadline_s=deadline_s)
            decision = judged.decision
            decision = await self.applied(case, judged)
        except JuntoError as error:  # something changed since it was checked, or the score could not be saved
            decision = failed(error, decision)
        finally:
            # Whoever asked may be gone: what it cost is written down all the same.
            ended = await asyncio.shield(self._judgements.end(judgement, decision))
        return ended or judgement

    async def applied(self, case: Case, judged: Judged) -> Decision:
        """The decision, put into effect if that was asked for; and counted."""
        decision = msgspec.structs.replace(judged.decision, sensitivity=case.sensitivity)
        if case.asked.apply and await apply(self._scores, case, judged, self._make_id("scr")):
            decision = msgspec.structs.replace(decision, applied=True)
        self._count(case.asked, judged)
        return decision

    async def get(self, judgement_id: str) -> Judgement:
        """One judgement; raises NotFound."""
        found = await self._judgements.find(judgement_id)
        if found is None:
            raise NotFound("There is no such judgement.")
        return found

    async def of(self, named: Named, *, limit: int) -> Sequence[Judgement]:
        """Judgements of a subject, newest first; raises NotFound."""
        return await self._judgements.of(await self._cases.subject(named), limit=limit)

    async def start(self, asked: Asked, wanted: Wanted) -> Run:
        """Write a run of many down; it is taken up in the background."""
        check(asked, is_pair=asked.mode is Mode.PAIRWISE)
        for name in asked.judges:
            self._judging.known(name)
        run_id = self._make_id("jrn")

        def plan(pairs: Sequence[Pair], before: frozenset[Subject]) -> Sequence[NewJudgement]:
            return self._planned(run_id, asked, wanted, pairs, before)

        unjudged = Unjudged(
            task_type=wanted.task_type,
            mode=asked.mode,
            young_ms=wanted.days * _DAY_MS,
            limit=wanted.limit,
            again=wanted.again,
            applied=asked.apply,
        )
        run = await self._runs.create_of(NewRun(id=run_id, request=msgspec.json.encode(asked)), unjudged, plan)
        self._wake()
        return run

    async def run(self, run_id: str) -> Run:
        """One run; raises NotFound."""
        return _there(await self._runs.run(run_id))

    async def runs(self, *, before: str | None, limit: int) -> Sequence[Run]:
        """Runs, newest first."""
        return await self._runs.runs(before=before, limit=limit)

    async def judgements(self, run_id: str, *, after: str | None, limit: int) -> Sequence[Judgement]:
        """A run's judgements, in their order."""
        return await self._runs.judgements(run_id, after=after, limit=limit)

    async def cancel(self, run_id: str) -> Run:
        """Cancel a run, and what of it is under way here at once; raises NotFound."""
        run = _there(await self._runs.cancel(run_id))
        self._drop(run_id)
        return run

    def _planned(
        self, run_id: str, asked: Asked, wanted: Wanted, pairs: Sequence[Pair], before: frozenset[Subject]
    ) -> list[NewJudgement]:
        """Pairs as such, or each shadow and each source by itself, once, as far as there is room."""

        def new(subject: Subject, other: Subject | None = None) -> NewJudgement:
            return NewJudgement(
                id=self._make_id("jdg"),
                run_id=run_id,
                mode=asked.mode,
                subject=subject,
                other=other,
                task_type=wanted.task_type,
            )

        if asked.mode is Mode.PAIRWISE:
            planned = [new(pair.source, pair.shadow) for pair in pairs]
        else:
            subjects = dict.fromkeys(subject for pair in pairs for subject in (pair.source, pair.shadow))
            planned = [new(subject) for subject in subjects if subject not in before]
        return planned[: wanted.limit]

    def _count(self, asked: Asked, judged: Judged) -> None:
        decision = judged.decision
        self._observer.judgement_ended(
            JudgementEnded(
                mode=asked.mode.value,
                outcome=decision.error_code or "ok",
                cost_nano=decision.nano,
                tokens=decision.tokens,
                judges=tuple((one.judge, "ok" if one.is_heard else one.code) for one in judged.opinions),
            )
        )


def new_judgement(case: Case) -> NewJudgement:
    """What is written down when a case is begun."""
    return NewJudgement(
        id=case.id,
        mode=case.asked.mode,
        subject=case.facts.subject,
        other=None if case.other is None else case.other.subject,
        task_type=case.facts.task_type,
        sensitivity=case.sensitivity,
    )


def failed(error: JuntoError, spent: Decision = _INTERRUPTED) -> Decision:
    """The judgement that came to nothing, and why; with what was spent on it all the same."""
    detail = {"reasons": list(error.reasons)} if error.reasons else {}
    return Decision(
        status=Status.FAILED,
        error_code=error.code,
        error_message=error.message,
        detail=msgspec.json.encode(detail),
        calls=spent.calls,
        tokens=spent.tokens,
        nano=spent.nano,
    )


def _there(run: Run | None) -> Run:
    if run is None:
        raise NotFound("There is no such run.")
    return run
