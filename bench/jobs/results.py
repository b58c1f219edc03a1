"""What the jobs' part of a run found, as values that go into the results file. Pure."""

from collections.abc import Callable
from statistics import median

import msgspec

from bench.spec import Outcome


class JobsRound(msgspec.Struct, frozen=True, kw_only=True):
    """One round on a fresh Junto. `direct` is the mock's own stream, asked by one caller."""

    direct: Outcome
    at_once: Outcome
    at_once_many: Outcome
    queued: Outcome
    queued_many: Outcome
    waiting: Outcome
    waiting_most: int
    waiting_mb: float
    idle_mb: float
    accepted: Outcome
    accepted_cpu_s: float

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What was asked of Junto."""
        return (self.at_once, self.at_once_many, self.queued, self.queued_many, self.waiting, self.accepted)


class JobsRow(msgspec.Struct, kw_only=True):
    """Junto on one database: filled in as the run goes on."""

    name: str
    missing: str | None = None
    rounds: list[JobsRound] = []

    def middle(self, value: Callable[[JobsRound], float]) -> float | None:
        """Return the median over the rounds."""
        return median(map(value, self.rounds)) if self.rounds else None

    @property
    def submitted(self) -> float | None:
        """Jobs accepted in a second: many callers, and a backlog."""
        return self.middle(lambda one: one.accepted.rate)

    @property
    def submitted_cpu_ms(self) -> float | None:
        """CPU milliseconds of a job that is accepted."""
        return self.middle(lambda one: 1000 * one.accepted_cpu_s / max(1, one.accepted.requests))

    def added(self, outcome: Callable[[JobsRound], Outcome], field: str = "p50") -> float | None:
        """Return what Junto adds to the upstream's own time, in milliseconds."""
        return self.middle(lambda one: getattr(outcome(one), field) - getattr(one.direct, field))

    @property
    def errors(self) -> int:
        """Wrong answers in every round together."""
        return sum(outcome.errors for one in self.rounds for outcome in one.outcomes)

    @property
    def reasons(self) -> list[str]:
        """What was wrong with answers, each said once."""
        return sorted({reason for one in self.rounds for outcome in one.outcomes for reason in outcome.reasons})
