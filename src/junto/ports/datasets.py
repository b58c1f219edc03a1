"""Scores and verdicts as data sets are made of them: read row by row in a fixed order, page after page.

Values and the Protocol of the reader. All scores of one subject follow one another, and so do all verdicts on one pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.ports.scores import Via, Winner
from junto.ports.subjects import Subject, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


class EvidenceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which scores and verdicts: those on subjects of these tiers that began from `since_ms` on; None does not restrict."""

    tiers: tuple[str, ...]
    since_ms: int
    task_type: str | None = None
    via: Via | None = None
    tenant_id: str | None = None
    kind: SubjectKind | None = None  # of what is scored; says nothing of verdicts


class ScoreRow(msgspec.Struct, frozen=True):
    """One score of a subject."""

    subject: Subject
    subject_ms: int
    id: str
    score: int


class VerdictRow(msgspec.Struct, frozen=True):
    """One verdict on a pair, always in the same order."""

    first: Subject
    second: Subject
    subject_ms: int
    id: str
    winner: Winner


class DatasetStore(Protocol):
    """Reads evidence of all tenants, for the operator. No read outlives its call; all raise core.errors.Overloaded without a database."""

    async def next_scored_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        """The first task type that has such scores after that one in the order of their names; None at the end."""

    async def next_decided_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        """The same of verdicts."""

    async def scores(
        self, query: EvidenceQuery, task_type: str, *, after: ScoreRow | None, limit: int
    ) -> Sequence[ScoreRow]:
        """Scores of subjects of one task, by the time at which these began; `after` is the last row of the page before."""

    async def verdicts(
        self, query: EvidenceQuery, task_type: str, *, after: VerdictRow | None, limit: int
    ) -> Sequence[VerdictRow]:
        """Verdicts on pairs of one task, by the time at which these began; `after` is the last row of the page before."""

    async def means(self, subjects: Collection[Subject], via: Via | None) -> Mapping[Subject, float]:
        """The mean score of each of those subjects that has one; for some hundreds at a time."""

    async def decided(
        self, pairs: Collection[tuple[Subject, Subject]], via: Via | None
    ) -> Collection[frozenset[Subject]]:
        """Those of the pairs, in either order, on which there is a verdict; for some hundreds at a time."""
