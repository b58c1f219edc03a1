"""What the tests of scoring share: answers of several owners, and stores that lie in memory."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from junto.ports.scores import Link, SavedScore, SavedVerdict, Score, Verdict
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from junto.ports.scores import NewLink, NewScore, NewVerdict, Pair, Tally, TallyQuery, VerdictTally


def facts_of(
    kind: SubjectKind = SubjectKind.JOB, id: str = "job_1", tenant: str = "default", **changes: Any
) -> SubjectFacts:
    """An answer of the client `cli_a`."""
    plain = SubjectFacts(
        subject=Subject(tenant, kind, id),
        task_type="mail",
        model="production-model",
        client_id="cli_a",
        sensitivity="internal",
        started_ms=1000,
        answered=True,
        has_text=True,
        messages=(Said("user", "Which?"),),
        answer="This one.",
    )
    return msgspec.structs.replace(plain, **changes)


class Subjects:
    """Implements SubjectStore."""

    def __init__(self, *known: SubjectFacts) -> None:
        self.known = {facts.subject: facts for facts in known}

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        return self.known.get(subject)

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        found = (each for each in self.known.values() if (each.subject.kind, each.subject.id) == (kind, subject_id))
        return next(found, None)

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        return {each: self.known[each] for each in subjects if each in self.known}


class Scores:
    """Implements ScoreStore; tallies are what a test says they are."""

    def __init__(self, tallies: Sequence[Tally] = (), verdicts: Sequence[VerdictTally] = ()) -> None:
        self.saved: dict[tuple[Any, ...], Score] = {}
        self.verdicts: list[Verdict] = []
        self._tallies = tallies
        self._verdict_tallies = verdicts
        self.asked: list[TallyQuery] = []

    async def save(self, score: NewScore) -> SavedScore:
        key = (score.subject, score.via, score.author)
        before = self.saved.get(key)
        self.saved[key] = Score(**msgspec.structs.asdict(score), created_ms=1, updated_ms=2)
        return SavedScore(self.saved[key], before is not None)

    async def save_verdict(self, verdict: NewVerdict) -> SavedVerdict:
        self.verdicts.append(Verdict(**msgspec.structs.asdict(verdict), created_ms=1))
        return SavedVerdict(self.verdicts[-1], replaced=False)

    async def save_review(self, scores: Sequence[NewScore], verdict: NewVerdict) -> tuple[Sequence[Score], Verdict]:
        saved = [(await self.save(score)).score for score in scores]
        return saved, (await self.save_verdict(verdict)).verdict

    async def of(self, subject: Subject) -> Sequence[Score]:
        return [score for score in self.saved.values() if score.subject == subject]

    async def verdicts_on(self, subject: Subject) -> Sequence[Verdict]:
        return [each for each in self.verdicts if subject in {each.first, each.second}]

    async def tallies(self, query: TallyQuery) -> Sequence[Tally]:
        self.asked.append(query)
        return self._tallies

    async def verdict_tallies(self, query: TallyQuery) -> Sequence[VerdictTally]:
        self.asked.append(query)
        return self._verdict_tallies


class Queue:
    """Implements ReviewQueue: these pairs, newest first."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.pairs = list(pairs)

    async def waiting(self, *, task_type: str | None, limit: int, before: Pair | None = None) -> Sequence[Pair]:
        start = 0 if before is None else self.pairs.index(before) + 1
        return self.pairs[start : start + limit]


class Links:
    """Implements LinkStore. `overtaken` is called just before a link is spent."""

    def __init__(self, scores: Scores, overtaken: Callable[[Link], Link] = lambda link: link) -> None:
        self.links: dict[str, Link] = {}
        self._scores = scores
        self._overtaken = overtaken

    async def add(self, link: NewLink, *, most: int) -> Link | None:
        if sum(one.subject == link.subject for one in self.links.values()) >= most:
            return None
        self.links[link.digest] = Link(
            id=link.id, subject=link.subject, expires_ms=link.ttl_ms, is_used=False, is_expired=False
        )
        return self.links[link.digest]

    async def find(self, digest: str) -> Link | None:
        return self.links.get(digest)

    async def spend(self, link: Link, score: NewScore) -> SavedScore | None:
        (digest,) = (digest for digest, each in self.links.items() if each.id == link.id)
        now = self.links[digest] = self._overtaken(self.links[digest])
        if now.is_used or now.is_expired:
            return None
        self.links[digest] = msgspec.structs.replace(now, is_used=True)
        return await self._scores.save(score)


def ids() -> Callable[[str], str]:
    """Ids in the order in which they are made."""
    numbers = count(1)
    return lambda kind: f"{kind}_{next(numbers)}"
