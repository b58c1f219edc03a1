"""Scores, verdicts and score links as evals ask storage for them. Values and Protocols.

One author has one score of a subject and one verdict on a pair: a later one takes the place of the earlier one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.subjects import Kind, Subject

LEAST_SCORE = 1
MOST_SCORE = 5


class Via(StrEnum):
    """Where a score or verdict comes from."""

    ADMIN = "admin"
    CLIENT = "client"
    LINK = "link"
    JUDGE = "judge"
    JUDGE_PANEL = "judge-panel"


class Winner(StrEnum):
    """Which of a pair is better."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"

    @property
    def swapped(self) -> Winner:
        """The same of the pair in the other order."""
        return {Winner.FIRST: Winner.SECOND, Winner.SECOND: Winner.FIRST}.get(self, self)


class NewScore(msgspec.Struct, frozen=True, kw_only=True):
    """A score to be written down: 1 to 5, of the whole and of named `dimensions`. What is said of the subject is SubjectFacts'.

    `author` is whose it is among those of `via`: the administrator's name, a client's id, a link's id, a judge's model.
    """

    id: str
    subject: Subject
    task_type: str
    model: str
    client_id: str
    sensitivity: str
    subject_ms: int
    score: int
    via: Via
    author: str
    dimensions: Mapping[str, int] = {}
    note: str = ""


class Score(NewScore, frozen=True, kw_only=True):
    """A score as it stands; `id` is that of the author's first one."""

    created_ms: int
    updated_ms: int


class SavedScore(msgspec.Struct, frozen=True):
    """What became of a score; `replaced` one of the same author's."""

    score: Score
    replaced: bool


class NewVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Which of two answers to the same is better. Both are of one tenant. Which is called first makes no difference."""

    id: str
    first: Subject
    second: Subject
    first_model: str
    second_model: str
    task_type: str
    sensitivity: str
    subject_ms: int  # when the earlier of both began
    winner: Winner
    via: Via
    author: str
    note: str = ""


class Verdict(NewVerdict, frozen=True, kw_only=True):
    """A verdict as it stands, the pair in the order in which it is stored."""

    created_ms: int


class SavedVerdict(msgspec.Struct, frozen=True):
    """What became of a verdict; `replaced` one of the same author's."""

    verdict: Verdict
    replaced: bool


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How often a model's answers of one kind got each score, 1 to 5, by one way of scoring."""

    model: str
    kind: Kind
    via: Via
    counts: tuple[int, int, int, int, int]


class VerdictTally(msgspec.Struct, frozen=True, kw_only=True):
    """How often a model's answers of one kind won and lost against a rival's, by one way of judging.

    Each verdict is in two of them, as seen from either side.
    """

    model: str
    kind: Kind
    rival: str
    rival_kind: Kind
    via: Via
    wins: int
    losses: int
    ties: int


class TallyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which scores and verdicts count: of subjects that began from `since_ms` on and before `until_ms`, of all tenants.

    `task_type` None is all of them.
    """

    task_type: str | None
    since_ms: int
    until_ms: int | None = None


class ScoreStore(Protocol):
    """Keeps scores and verdicts. All raise core.errors.Overloaded while the database is away."""

    async def save(self, score: NewScore) -> SavedScore:
        """Write it down, in the place of the same author's."""

    async def save_verdict(self, verdict: NewVerdict) -> SavedVerdict:
        """Write it down, in the place of the same author's on the same pair in either order."""

    async def save_review(self, scores: Sequence[NewScore], verdict: NewVerdict) -> tuple[Sequence[Score], Verdict]:
        """Both or nothing, in the place of the same author's; all of one tenant."""

    async def of(self, subject: Subject) -> Sequence[Score]:
        """All scores of a subject, oldest first."""

    async def verdicts_on(self, subject: Subject) -> Sequence[Verdict]:
        """All verdicts on pairs that the subject is one of, oldest first."""

    async def tallies(self, query: TallyQuery) -> Sequence[Tally]:
        """Scores counted, in the order of model, kind and via."""

    async def verdict_tallies(self, query: TallyQuery) -> Sequence[VerdictTally]:
        """Verdicts counted, in the order of model, kind, rival and via."""


class Pair(msgspec.Struct, frozen=True):
    """A shadow and the answer that its caller got."""

    source: Subject
    shadow: Subject
    created_ms: int


class ReviewQueue(Protocol):
    """What nobody has looked at yet."""

    async def waiting(self, *, task_type: str | None, limit: int, before: Pair | None = None) -> Sequence[Pair]:
        """Complete shadows that no administrator has scored, newest first; `before` is the last one of the page before."""


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """A score link to be written down: the digest of its token, what it is for, and how long it lives from now."""

    id: str
    subject: Subject
    digest: str
    ttl_ms: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A score link as it stands by the database's clock."""

    id: str
    subject: Subject
    expires_ms: int
    is_used: bool
    is_expired: bool


class LinkStore(Protocol):
    """Keeps score links."""

    async def add(self, link: NewLink, *, most: int) -> Link | None:
        """Write a link down; None, and nothing written, where its subject has that many."""

    async def find(self, digest: str) -> Link | None:
        """The link of that token, of whatever tenant."""

    async def spend(self, link: Link, score: NewScore) -> SavedScore | None:
        """Use the link up and write its score down, both or nothing; None where it was used or expired meanwhile."""
