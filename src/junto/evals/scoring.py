"""Scores of answers: who may give and see them, and what is written down of one.

Owns whose an answer is: the administrator's to score are all, a client's its own; another's is missing. Knows no table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.errors import Conflict, NotFound
from junto.identity.principal import ApiScope
from junto.ports.scores import NewScore, Via
from junto.ports.subjects import Subject, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.identity.principal import Principal
    from junto.ports.scores import SavedScore, Score, ScoreStore
    from junto.ports.subjects import SubjectFacts, SubjectStore

type MakeId = Callable[[str], str]

_LONGEST_SHOWN = 64
_SEEN_BY_CLIENTS: Final = frozenset({Via.CLIENT, Via.LINK})


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A score as somebody gave it: 1 to 5, checked by whoever received it."""

    score: int
    note: str = ""
    dimensions: Mapping[str, int] = {}


class Scoring:
    """One for a process."""

    def __init__(self, subjects: SubjectStore, scores: ScoreStore, *, make_id: MakeId) -> None:
        self._subjects = subjects
        self._scores = scores
        self._make_id = make_id

    async def get(self, principal: Principal, kind: SubjectKind, subject_id: str) -> SubjectFacts:
        """What is known of one of the caller's answers, without its text. Raises NotFound, the same for another's and for none.

        Those of a service are in whatever tenant it acted for.
        """
        if principal.is_admin or _is_service(principal):
            facts = await self._subjects.find_anywhere(kind, subject_id, texts=False)
        else:
            facts = await self._subjects.find(Subject(principal.tenant, kind, subject_id), texts=False)
        if facts is None or not (principal.is_admin or _owns(principal, facts)):
            raise NotFound(f"There is no {kind.value} {subject_id[:_LONGEST_SHOWN]!r}.")
        return facts

    async def score(self, principal: Principal, kind: SubjectKind, subject_id: str, given: Given) -> SavedScore:
        """Score an answer, in the place of the caller's earlier score of it. Raises NotFound, and Conflict where there is none to score."""
        facts = scorable(await self.get(principal, kind, subject_id))
        via, author = (
            (Via.ADMIN, principal.client)
            if principal.is_admin
            else (Via.CLIENT, principal.client_id or principal.client)
        )
        return await self._scores.save(new_score(facts, given, id=self._make_id("scr"), via=via, author=author))

    async def scores(self, principal: Principal, kind: SubjectKind, subject_id: str) -> Sequence[Score]:
        """The scores of one of the caller's answers: for the administrator all, for a client its own and those by its links."""
        facts = await self.get(principal, kind, subject_id)
        found = await self._scores.of(facts.subject)
        return found if principal.is_admin else [each for each in found if each.via in _SEEN_BY_CLIENTS]


def scorable(facts: SubjectFacts) -> SubjectFacts:
    """The same, where it can be scored; raises Conflict."""
    if facts.job_id:
        raise Conflict(f"This exchange was made for the job {facts.job_id}: score that one.")
    if not facts.answered:
        raise Conflict(f"The {facts.subject.kind.value} has no answer that could be scored.")
    return facts


def new_score(facts: SubjectFacts, given: Given, *, id: str, via: Via, author: str) -> NewScore:
    """The score of that answer by that author."""
    return NewScore(
        id=id,
        subject=facts.subject,
        task_type=facts.task_type,
        model=facts.model,
        client_id=facts.client_id,
        sensitivity=facts.sensitivity,
        subject_ms=facts.started_ms,
        score=given.score,
        via=via,
        author=author,
        dimensions=given.dimensions,
        note=given.note,
    )


def _owns(principal: Principal, facts: SubjectFacts) -> bool:
    """A shadow is nobody's but the operator's, whosever its source was."""
    return facts.subject.kind is not SubjectKind.SHADOW and facts.client_id == principal.client_id


def _is_service(principal: Principal) -> bool:
    """Whether its answers may be other tenants' as well. A client's id is its own in all tenants; whoever has none has no such answers."""
    return bool(principal.client_id) and ApiScope.SERVICE in principal.scopes
