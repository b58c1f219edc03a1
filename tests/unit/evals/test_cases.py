"""What may be judged, under what tier, and with whose consent; what a judgement becomes when it is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.core.errors import Conflict, InvalidField, NotFound
from junto.core.sensitivity import Sensitivity
from junto.evals.applying import apply, author_of
from junto.evals.cases import Cases, Named
from junto.evals.judging import Judged
from junto.evals.jury import Asked, Opinion, decide
from junto.evals.standing import Standing
from junto.evals.verdicts import Mark
from junto.ports.judging import Mode
from junto.ports.replays import Terms
from junto.ports.scores import NewScore, NewVerdict, Via, Winner
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind
from tests.unit.evals.bench import case, facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = pytest.mark.anyio

ASKED = Asked(mode=Mode.POINTWISE, judges=("alpha-7b",))
ONE, OTHER = Named(SubjectKind.EXCHANGE, "req_1"), Named(SubjectKind.EXCHANGE, "req_2")


@dataclass(slots=True)
class KnownSubjects:
    """Implements ports.subjects.SubjectStore."""

    facts: Sequence[SubjectFacts] = ()

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        return (await self.find_many([subject])).get(subject)

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        return next((one for one in self.facts if (one.subject.kind, one.subject.id) == (kind, subject_id)), None)

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        return {one.subject: one for one in self.facts if one.subject in subjects}


def cases(*known: SubjectFacts, **standings: Standing) -> Cases:
    def standing(client_id: str, tenant_id: str) -> Standing:
        return standings.get(client_id, Standing(allow_cloud=True))

    return Cases(KnownSubjects(known), standing)


async def test_the_tier_is_the_strictest_of_what_is_read_and_of_what_counts_now() -> None:
    both = (facts(sensitivity="public"), facts("req_2", client_id="cli_2", sensitivity="internal"))
    made = await cases(*both).of("jdg_1", ASKED, ONE, OTHER)
    assert (made.sensitivity, made.allow_cloud) == ("internal", True)
    raised = Standing(allow_cloud=True, floor=Sensitivity.CONFIDENTIAL)
    assert (await cases(*both, cli_1=raised).of("jdg_1", ASKED, ONE)).sensitivity == "confidential"
    strict = await cases(*both, cli_2=Standing(allow_cloud=False)).of("jdg_1", ASKED, ONE, OTHER)
    assert not strict.allow_cloud


async def test_what_a_client_changes_while_its_case_is_judged_holds_for_the_next_question() -> None:
    standings = {"cli_1": Standing(allow_cloud=True)}
    subjects = KnownSubjects([facts(sensitivity="internal")])
    made = await Cases(subjects, lambda client_id, _: standings[client_id]).of("jdg_1", ASKED, ONE)
    assert made.terms is not None
    assert made.terms() == Terms(sensitivity="internal", allow_cloud=True)
    standings["cli_1"] = Standing(allow_cloud=False, floor=Sensitivity.CONFIDENTIAL)
    assert made.terms() == Terms(sensitivity="confidential", allow_cloud=False)
    standings["cli_1"] = Standing(refused=True)
    with pytest.raises(Conflict):
        made.terms()


@pytest.mark.parametrize(
    "known",
    [
        facts(answered=False),
        facts(has_text=False),
        facts(is_plain=False),
        facts(client_id="gone"),
    ],
)
async def test_what_cannot_be_judged_is_a_conflict(known: SubjectFacts) -> None:
    with pytest.raises(Conflict):
        await cases(known, gone=Standing(refused=True)).of("jdg_1", ASKED, ONE)


async def test_what_there_is_not_is_not_found() -> None:
    with pytest.raises(NotFound):
        await cases().of("jdg_1", ASKED, ONE)
    with pytest.raises(NotFound):
        await cases(facts()).of("jdg_1", ASKED, ONE, OTHER)


@pytest.mark.parametrize(
    "other",
    [
        facts(),
        facts("req_2", subject=Subject("acme", SubjectKind.EXCHANGE, "req_2")),
        facts("req_2", messages=(Said("user", "3 + 3?"),)),
    ],
)
async def test_a_pair_is_two_answers_to_the_same(other: SubjectFacts) -> None:
    with pytest.raises(InvalidField):
        await cases(facts(), other).of("jdg_1", ASKED, ONE, Named(SubjectKind.EXCHANGE, other.subject.id))


@dataclass(slots=True)
class WrittenScores:
    """The part of ports.scores.ScoreStore that judges use."""

    scores: list[NewScore] = field(default_factory=list)
    verdicts: list[NewVerdict] = field(default_factory=list)

    async def save(self, score: NewScore) -> Any:
        self.scores.append(score)

    async def save_verdict(self, verdict: NewVerdict) -> Any:
        self.verdicts.append(verdict)


def judged(asked: Asked, *opinions: Opinion) -> Judged:
    return Judged(decision=decide(asked, opinions), opinions=opinions)


async def test_a_mark_becomes_a_score_by_the_judge_and_a_panels_by_all_of_it() -> None:
    scores, one = WrittenScores(), case("alpha-7b")
    said = Opinion(judge="alpha-7b", mark=Mark(score=4, reason="good", dimensions={"tone": 2}))
    assert await apply(scores, one, judged(one.asked, said), "scr_1")  # type: ignore[arg-type]
    panel = case("beta-7b", "alpha-7b", mode=Mode.PANEL)
    second = Opinion(judge="beta-7b", mark=Mark(score=2, reason="bad"))
    assert await apply(scores, panel, judged(panel.asked, second, said), "scr_2")  # type: ignore[arg-type]
    first, last = scores.scores
    assert (first.score, first.via, first.author, first.note) == (4, Via.JUDGE, "alpha-7b", "good")
    assert (first.dimensions, first.subject, first.model) == ({"tone": 2}, one.facts.subject, one.facts.model)
    assert (last.score, last.via, last.author) == (3, Via.JUDGE_PANEL, "alpha-7b, beta-7b")
    assert last.note == "beta-7b: bad\nalpha-7b: good"


async def test_a_choice_becomes_a_verdict_and_a_failure_nothing() -> None:
    scores = WrittenScores()
    pair = case("alpha-7b", mode=Mode.PAIRWISE, other=facts("req_2", model="other", started_ms=5))
    won = judged(pair.asked, Opinion(judge="alpha-7b", winner=Winner.SECOND))
    assert await apply(scores, pair, won, "vrd_1")  # type: ignore[arg-type]
    (verdict,) = scores.verdicts
    assert (verdict.winner, verdict.via, verdict.subject_ms) == (Winner.SECOND, Via.JUDGE, 5)
    assert (verdict.first_model, verdict.second_model) == ("acme-70b", "other")
    failed = judged(pair.asked, Opinion(judge="alpha-7b", code="judge_nonsense", error="no"))
    assert not await apply(scores, pair, failed, "vrd_2")  # type: ignore[arg-type]
    assert len(scores.verdicts) == 1


def test_the_author_of_a_panel_is_the_same_in_any_order_and_bounded() -> None:
    names = tuple(f"{letter}-{'x' * 200}" for letter in "abc")
    panels = [Asked(mode=Mode.PANEL, judges=order) for order in (names, names[::-1], names[:2])]
    authors = [author_of(each) for each in panels]
    assert authors[0] == authors[1] != authors[2]
    assert all(len(author) <= 200 for author in authors)
    assert msgspec.json.decode(msgspec.json.encode(panels[0]), type=Asked) == panels[0]
