"""Judgements and runs of many as evals ask storage for them. Values and Protocols.

A judgement is one verdict on one subject or pair, whoever gave it. A run is many that were asked for at once; a worker's *claim* of a
run holds until its lease ends, and what is written with an older fence changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.ports.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.ports.scores import Pair

type Plan = Callable[[Sequence[Pair], frozenset[Subject]], Sequence[NewJudgement]]
"""From shadows with their sources, and those of all these that were judged before, to what is to be judged."""


class Mode(StrEnum):
    """How it is judged: one judge about one answer, one about two, several about either."""

    POINTWISE = "pointwise"
    PAIRWISE = "pairwise"
    PANEL = "panel"


class Status(StrEnum):
    """The states of a judgement, and of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NewJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement to be made. `run_id` is "" for one that somebody waits for; `other` is the second of a pair."""

    id: str
    mode: Mode
    subject: Subject
    other: Subject | None = None
    task_type: str = ""
    sensitivity: str = ""
    run_id: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a judgement came to. `status` is complete or failed; a failed one has neither score nor winner.

    `detail` is JSON: what each juror said, and what it cost. `calls`, `tokens` and `nano` are of all calls, failed ones too.
    `sensitivity` is the tier that it was judged under, "" where it never came to that.
    """

    status: Status
    error_code: str = ""
    error_message: str = ""
    score: int | None = None
    winner: str = ""
    applied: bool = False
    sensitivity: str = ""
    detail: bytes = b""
    calls: int = 0
    tokens: int = 0
    nano: int = 0


class Judgement(NewJudgement, frozen=True, kw_only=True):
    """A judgement as it stands."""

    status: Status
    error_code: str
    error_message: str
    score: int | None
    winner: str
    applied: bool
    detail: bytes
    calls: int
    tokens: int
    nano: int
    created_ms: int
    finished_ms: int | None


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be written down; `request` is JSON: how it is judged, and by whom."""

    id: str
    request: bytes


class Run(NewRun, frozen=True, kw_only=True):
    """A run as it stands. `done` counts the judgements that are at their end, `failed` those of them that failed."""

    status: Status
    total: int
    done: int
    failed: int
    nano: int
    fence: int
    created_ms: int
    finished_ms: int | None


class RunClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A run that this worker has until its lease ends."""

    run: Run
    worker: str


class Unjudged(msgspec.Struct, frozen=True, kw_only=True):
    """Which complete shadows to look for: of a task type, not older than so many milliseconds, at most so many.

    Those that have a judgement of that mode, or wait for one, are passed over unless `again`; with `applied` one counts only
    when it became a score or a verdict.
    """

    task_type: str
    mode: Mode
    young_ms: int
    limit: int
    again: bool = False
    applied: bool = False


class JudgementStore(Protocol):
    """Keeps judgements, for the operator. All raise core.errors.Overloaded while the database is away."""

    async def begin(self, judgement: NewJudgement) -> Judgement:
        """Write down one that is being made now, by this process."""

    async def end(self, judgement: Judgement, decision: Decision) -> Judgement | None:
        """What it came to; None, and nothing changed, where it is at its end already."""

    async def find(self, judgement_id: str) -> Judgement | None:
        """The judgement with that id, of whatever tenant."""

    async def of(self, subject: Subject, *, limit: int) -> Sequence[Judgement]:
        """Judgements of that subject, alone or in a pair, newest first."""

    async def abandon(self, *, older_ms: int) -> int:
        """Fail those that somebody waited for and that were begun that long ago: their process is gone."""


class RunStore(Protocol):
    """Keeps runs and their judgements, for the operator."""

    async def create(self, run: NewRun, judgements: Sequence[NewJudgement]) -> Run:
        """Write a run down with all that is to be judged; a run of nothing is complete."""

    async def create_of(self, run: NewRun, unjudged: Unjudged, plan: Plan) -> Run:
        """The same of what `plan` makes of the shadows that are found; two at once never find the same ones."""

    async def run(self, run_id: str) -> Run | None:
        """The run with that id."""

    async def runs(self, *, before: str | None, limit: int) -> Sequence[Run]:
        """Runs, newest first; `before` is an id."""

    async def judgements(self, run_id: str, *, after: str | None, limit: int) -> Sequence[Judgement]:
        """A run's judgements in their order; `after` is an id."""

    async def cancel(self, run_id: str) -> Run | None:
        """Cancel it, and what of it is not at its end; one that is at its end stays as it is. None: there is no such run."""

    async def claim(self, worker: str, *, lease_ms: int) -> RunClaim | None:
        """Take the oldest run that nobody has, or whose lease ran out."""

    async def renew(self, claim: RunClaim, *, lease_ms: int) -> bool:
        """Prolong the lease; False where the claim no longer holds."""

    async def next(self, claim: RunClaim) -> Judgement | None:
        """The next judgement of the run that is not at its end, which is running now; None where there is none, or with a stale fence."""

    async def finish(self, claim: RunClaim, judgement: Judgement, decision: Decision) -> bool:
        """The judgement and the run's figures at once, and the run's end with the last of them; False with a stale fence."""

    async def release(self, claim: RunClaim, *, delay_ms: int) -> None:
        """Give the run back, not to be taken again before that; what was running waits again. Nothing with a stale fence."""
