"""From what somebody wants judged to cases: the texts are there, the consent to the cloud is as of now. Calls no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import Conflict, InvalidField, NotFound
from junto.core.sensitivity import parse_sensitivity, strictest
from junto.evals.jury import Case
from junto.ports.replays import Terms
from junto.ports.subjects import Subject, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.evals.jury import Asked
    from junto.evals.standing import StandingOf
    from junto.ports.judging import Judgement
    from junto.ports.subjects import SubjectFacts, SubjectStore


class Named(msgspec.Struct, frozen=True):
    """A subject as the administrator names it: its tenant is found."""

    kind: SubjectKind
    id: str


class Cases:
    """Makes cases."""

    def __init__(self, subjects: SubjectStore, standing: StandingOf) -> None:
        self._subjects = subjects
        self._standing = standing

    async def of(self, id: str, asked: Asked, named: Named, other: Named | None = None) -> Case:
        """The case of what is named. Raises NotFound, and Conflict where there is nothing that could be judged."""
        facts = await self._subjects.find_anywhere(named.kind, named.id)
        return self._case(id, asked, facts, None if other is None else await self._other(other))

    async def of_judgement(self, asked: Asked, judgement: Judgement) -> Case:
        """The case of a judgement of a run, with the same errors."""
        wanted = [judgement.subject] if judgement.other is None else [judgement.subject, judgement.other]
        found = await self._subjects.find_many(wanted)
        other = None if judgement.other is None else _there(found.get(judgement.other))
        return self._case(judgement.id, asked, found.get(judgement.subject), other)

    async def subject(self, named: Named) -> Subject:
        """Whose it is; raises NotFound."""
        return _there(await self._subjects.find_anywhere(named.kind, named.id, texts=False)).subject

    async def _other(self, named: Named) -> SubjectFacts:
        return _there(await self._subjects.find_anywhere(named.kind, named.id))

    def _case(self, id: str, asked: Asked, facts: SubjectFacts | None, other: SubjectFacts | None) -> Case:
        facts = _there(facts)
        both = (facts,) if other is None else (facts, other)
        for each in both:
            _check(each)
        if other is not None:
            _check_pair(facts, other)
        terms = self._terms(both)
        return Case(
            id=id,
            asked=asked,
            facts=facts,
            other=other,
            sensitivity=terms.sensitivity,
            allow_cloud=terms.allow_cloud,
            terms=lambda: self._terms(both),
        )

    def _terms(self, both: Sequence[SubjectFacts]) -> Terms:
        """Under what they may be read by now; raises Conflict."""
        standings = [self._standing(each.client_id, each.subject.tenant_id) for each in both]
        if any(each.refused for each in standings):
            raise Conflict("The client whose this is, or its tenant, is disabled: it is not judged.")
        tiers = [each.tier(facts.sensitivity) for each, facts in zip(standings, both, strict=True)]
        return Terms(
            sensitivity=strictest(*map(parse_sensitivity, tiers)).label,
            allow_cloud=all(each.allow_cloud for each in standings),
        )


def _there(facts: SubjectFacts | None) -> SubjectFacts:
    if facts is None:
        raise NotFound("There is no such job, exchange or shadow.")
    return facts


def _check(facts: SubjectFacts) -> None:
    what = f"The {facts.subject.kind.value} {facts.subject.id}"
    if not facts.answered:
        raise Conflict(f"{what} has no answer that could be judged.")
    if not facts.has_text:
        raise Conflict(f"{what} cannot be judged: its texts are not kept, or cannot be read.")
    if not facts.is_plain:
        raise Conflict(f"{what} cannot be judged: it has pictures or tool calls, and judges read words.")


def _check_pair(first: SubjectFacts, second: SubjectFacts) -> None:
    if first.subject == second.subject:
        raise InvalidField("The two of a pair are the same.", param="pair")
    if first.subject.tenant_id != second.subject.tenant_id:
        raise InvalidField("The two of a pair are of different tenants.", param="pair")
    belongs = second.source == first.subject or first.source == second.subject
    if not belongs and first.messages != second.messages:
        raise InvalidField("The two of a pair answer different questions.", param="pair")
