"""The gate: whether what is known of a candidate is enough to propose it, condition by condition, each in words.

A pure decision on counts; where they come from is storage's, what follows is proposals.py's. Quality and failures are tested so that
looking after every score does no harm (statistics/sequential.py); a false promotion must beat one of the two, so each has the level.
"""

from __future__ import annotations

from math import ceil, inf, log
from typing import TYPE_CHECKING, Final

import msgspec

from junto.evals.statistics.intervals import Interval, posterior
from junto.evals.statistics.sequential import evidence_above, evidence_of_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.routing.evidence import EvidenceGate

DIFFERENCES: Final = (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
_SPAN: Final = 8.0
_PLACES: Final = tuple((difference + 4.0) / _SPAN for difference in DIFFERENCES)
_SCORES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_SCORE_SPAN: Final = 4.0
_OUTCOMES: Final = (0.0, 1.0)  # failed, answered
_NANO: Final = 1_000_000_000
_TIMES: Final = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)  # as much as was seen
_FIRST: Final = 0.8  # of the level, for the first time that a candidate is tried; each later time has a fifth of it


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one model did for a task; `failures` are of the `attempts`, `cost_nano` of the `answers`, `scores` counts of 1 to 5."""

    attempts: int = 0
    failures: int = 0
    answers: int = 0
    cost_nano: int = 0
    scores: tuple[int, ...] = (0, 0, 0, 0, 0)

    @property
    def cost(self) -> float | None:
        """Dollars an answer; None where there is none yet."""
        return self.cost_nano / self.answers / _NANO if self.answers else None

    @property
    def outcomes(self) -> tuple[int, int]:
        """Attempts that failed, and those that did not."""
        return self.failures, self.attempts - self.failures


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a candidate beside an incumbent.

    `differences` counts candidate's score less incumbent's, -4 to 4, on the same request by the same rater; each request once.
    `verdicts` are the candidate's wins, ties and losses. `by_via` are scores of answers that callers got, candidate's and
    incumbent's, by way of scoring: they are only comparable where chance decided who answered, as in a canary.
    """

    candidate: Arm
    incumbent: Arm
    differences: tuple[int, ...] = (0,) * 9
    verdicts: tuple[int, int, int] = (0, 0, 0)
    by_via: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    @property
    def pairs(self) -> int:
        """Requests of which both answers were scored."""
        return sum(self.differences)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the gate, whether it is met, and why or what is missing."""

    name: str
    met: bool
    reason: str


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says; it is cleared when every condition is met."""

    conditions: tuple[Condition, ...]

    @property
    def cleared(self) -> bool:
        """Whether the candidate may be proposed."""
        return all(condition.met for condition in self.conditions)


def level_of(gate: EvidenceGate, *, candidates: int, tried: int) -> float:
    """The chance of a false promotion that one candidate gets, which has been decided about `tried` times before.

    Over all candidates of a route and all times there will be, these add up to less than 1 - confidence.
    """
    return (1.0 - gate.confidence) / max(candidates, 1) * _FIRST * (1.0 - _FIRST) ** tried


def difference_of(seen: Evidence, confidence: float = 0.95) -> Interval:
    """Candidate's mean score less incumbent's on the same requests, with its interval."""
    believed, n = posterior(seen.differences, DIFFERENCES), seen.pairs
    if not n:
        return Interval(None, DIFFERENCES[0], DIFFERENCES[-1], 0)
    mean = sum(count * value for count, value in zip(seen.differences, DIFFERENCES, strict=True)) / n
    tail = (1.0 - confidence) / 2.0
    return Interval(mean, min(mean, believed.quantile(tail)), max(mean, believed.quantile(1.0 - tail)), n)


def examine(gate: EvidenceGate, seen: Evidence, *, level: float, refusal: str | None = None) -> Examined:
    """Every condition; `refusal` says why the candidate may not serve the route at all, if that is so."""
    tier = Condition(name="tier", met=refusal is None, reason=refusal or "It may see what this task's requests hold.")
    return Examined(
        conditions=(
            tier,
            _enough(gate, seen),
            _quality(gate, seen, level),
            _saving(gate, seen),
            _failures(gate, seen, level),
        )
    )


def worsened(gate: EvidenceGate, seen: Evidence) -> str | None:
    """Why a canary must stop: the candidate is known to be worse, or to fail more often, than the gate allows. None: go on."""
    margin, excess = gate.quality_margin, gate.max_failure_excess
    scored = [via for via, (ours, theirs) in seen.by_via.items() if sum(ours) and sum(theirs)]
    needed = log((2 + len(scored)) / (1.0 - gate.confidence))  # as many claims are tested at once
    failing = evidence_of_gap(seen.incumbent.outcomes, seen.candidate.outcomes, _OUTCOMES, -excess)
    if _outcomes_of_both(seen) and failing >= needed:
        ours, theirs = _rate(seen.candidate), _rate(seen.incumbent)
        return f"It fails more often: {ours:.1%} of its attempts, the incumbent {theirs:.1%}; {excess:.1%} more are allowed."
    found = evidence_above(tuple(reversed(seen.differences)), _PLACES, (4.0 + margin) / _SPAN)
    if seen.pairs and found >= needed:
        return f"Its answers are worse: {_mean(seen):+.2f} on the same requests, and at most {-margin:+.2f} is allowed."
    for via in sorted(scored):
        ours_, theirs_ = seen.by_via[via]
        if evidence_of_gap(theirs_, ours_, _SCORES, -margin / _SCORE_SPAN) >= needed:
            return (
                f"Callers got worse answers: scored {_score(ours_):.2f} via {via}, the incumbent's {_score(theirs_):.2f}; "
                f"at most {-margin:+.2f} is allowed."
            )
    return None


def quality_evidence(gate: EvidenceGate, differences: Sequence[float]) -> float:
    """The logarithm of the evidence against the claim that the candidate is worse than the gate allows."""
    return evidence_above(differences, _PLACES, (4.0 - gate.quality_margin) / _SPAN)


def failure_evidence(gate: EvidenceGate, ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The same against the claim that it fails more often than the gate allows; failures and successes of both."""
    return evidence_of_gap(ours, theirs, _OUTCOMES, gate.max_failure_excess)


def _enough(gate: EvidenceGate, seen: Evidence) -> Condition:
    n, needed = seen.pairs, gate.min_scores
    missing = f"{needed - n} are missing." if n < needed else "that is enough."
    requests = "1 request has" if n == 1 else f"{n} requests have"
    reason = f"{requests} scores of both answers by the same rater, {needed} are needed: {missing}"
    return Condition(name="scores", met=n >= needed, reason=reason)


def _quality(gate: EvidenceGate, seen: Evidence, level: float) -> Condition:
    wanted = _wanted(gate.quality_margin)
    if not seen.pairs:
        return Condition(name="quality", met=False, reason=f"Nothing is known yet; it must be {wanted}.")
    interval = difference_of(seen, gate.confidence)
    met, certainty = _certainty(
        lambda times: quality_evidence(gate, [times * count for count in seen.differences]), level, seen.pairs
    )
    reason = (
        f"It scores {interval.mean:+.2f} on the same requests ({gate.confidence:.0%} interval {interval.low:+.2f} to "
        f"{interval.high:+.2f}) and must be {wanted}: {certainty}"
    )
    return Condition(name="quality", met=met, reason=reason)


def _saving(gate: EvidenceGate, seen: Evidence) -> Condition:
    ours, theirs = seen.candidate.cost, seen.incumbent.cost
    if ours is None or theirs is None or min(seen.candidate.answers, seen.incumbent.answers) < gate.min_scores:
        reason = (
            f"The cost of {gate.min_scores} answers of each is needed: the candidate has {seen.candidate.answers}, the "
            f"incumbent {seen.incumbent.answers}."
        )
        return Condition(name="saving", met=False, reason=reason)
    saving = saving_of(seen)
    met = saving is not None and saving >= gate.min_saving
    found = "which costs nothing" if saving is None else f"which saves {saving:.1%}"
    reason = f"An answer costs ${ours:.6f} instead of ${theirs:.6f}, {found}; {gate.min_saving:.1%} must be saved."
    if saving is None:
        reason = f"An answer costs ${ours:.6f}, and the incumbent's costs nothing: there is nothing to save."
    elif not theirs:
        reason = "Neither costs anything, and nothing has to be saved."
        if not met:
            reason = (
                f"Neither costs anything, so nothing is saved; {gate.min_saving:.1%} must be. A gate that asks for no saving "
                "has `min_saving` 0."
            )
    return Condition(name="saving", met=met, reason=reason)


def saving_of(seen: Evidence) -> float | None:
    """The share of the incumbent's cost per answer that the candidate saves; None where no share says it."""
    ours, theirs = seen.candidate.cost, seen.incumbent.cost
    if ours is None or theirs is None or (not theirs and ours):
        return None
    return 1.0 - ours / theirs if theirs else 0.0


def _failures(gate: EvidenceGate, seen: Evidence, level: float) -> Condition:
    excess, ours, theirs = gate.max_failure_excess, seen.candidate, seen.incumbent
    if not _outcomes_of_both(seen):
        return Condition(name="failures", met=False, reason="No attempts of both are counted yet.")
    met, certainty = _certainty(
        lambda times: failure_evidence(gate, [times * count for count in ours.outcomes], theirs.outcomes),
        level,
        ours.attempts,
    )
    reason = (
        f"{ours.failures} of its {ours.attempts} attempts failed ({_rate(ours):.1%}), of the incumbent's {theirs.attempts} "
        f"{_rate(theirs):.1%}; at most {excess:.1%} more are allowed: {certainty}"
    )
    return Condition(name="failures", met=met, reason=reason)


def _certainty(evidence_at: Callable[[float], float], level: float, n: int) -> tuple[bool, str]:
    """Whether the evidence is enough, in words; and how many more it would take of what was seen, where some would do."""
    needed = log(1.0 / level)
    if evidence_at(1.0) >= needed:
        return True, "that is certain enough."
    times = next((times for times in _TIMES if evidence_at(times) >= needed), None)
    hint = f"about {ceil((times - 1.0) * n)} more like these would do" if times else "more of these would not do"
    return False, f"that is not certain enough; {hint}."


def _wanted(margin: float) -> str:
    return f"at most {margin:.2f} worse" if margin >= 0 else f"at least {-margin:.2f} better"


def _outcomes_of_both(seen: Evidence) -> bool:
    return bool(seen.candidate.attempts and seen.incumbent.attempts)


def _rate(arm: Arm) -> float:
    return arm.failures / arm.attempts if arm.attempts else inf


def _mean(seen: Evidence) -> float:
    return sum(count * value for count, value in zip(seen.differences, DIFFERENCES, strict=True)) / seen.pairs


def _score(counts: Sequence[int]) -> float:
    return sum(count * (number + 1) for number, count in enumerate(counts)) / sum(counts)
