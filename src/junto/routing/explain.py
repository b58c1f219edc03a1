"""A plan in words: every candidate that was kept or dropped, and why. Shown by `junto route explain` and the portal.

Runs the very same `plan` as the gateway and renders what it weighed; decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.facts import BreakerState, DeploymentFacts, Plan, Policy, Reason, Stage, Strategy, Traits
from junto.routing.plan import plan
from junto.routing.scorers import detail


class KeptCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate at its place (1 is tried first). `is_attempted` is False beyond the most attempts of the policy."""

    position: int
    deployment: str
    model: str
    backend: str
    stage: str
    locality: Locality
    is_attempted: bool
    reasons: tuple[Reason, ...]


class DroppedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that may not be tried, and the filter that dropped it."""

    deployment: str
    model: str
    backend: str
    locality: Locality
    filter: str
    detail: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its reasons, ready for JSON."""

    sensitivity: str
    stages: tuple[str, ...]
    candidates: tuple[KeptCandidate, ...]
    dropped: tuple[DroppedCandidate, ...]
    last_resort: bool


def explain(traits: Traits, stages: Sequence[Stage], policy: Policy, *, now: float, seed: int) -> Explanation:
    """What `plan` would decide for these facts, in words."""
    decided = plan(traits, stages, policy, now=now, seed=seed)
    strategies = {stage.name: stage.strategy for stage in stages}
    names = decided.stage_names or tuple(stage.name for stage in stages)
    return Explanation(
        sensitivity=traits.sensitivity.label,
        stages=tuple(stage.name for stage in stages),
        candidates=tuple(
            KeptCandidate(
                position=index + 1,
                deployment=deployment.key,
                model=deployment.model,
                backend=deployment.backend,
                stage=names[index],
                locality=deployment.locality,
                is_attempted=index < policy.max_attempts,
                reasons=_reasons(decided, deployment, strategies[names[index]], traits, policy),
            )
            for index, deployment in enumerate(decided.candidates)
        ),
        dropped=tuple(
            DroppedCandidate(
                deployment=each.deployment.key,
                model=each.deployment.model,
                backend=each.deployment.backend,
                locality=each.deployment.locality,
                filter=each.reason.rule,
                detail=each.reason.detail,
            )
            for each in decided.dropped
        ),
        last_resort=decided.last_resort,
    )


def _reasons(
    decided: Plan, deployment: DeploymentFacts, strategy: Strategy, traits: Traits, policy: Policy
) -> tuple[Reason, ...]:
    reasons = [Reason(strategy, detail(strategy, deployment, traits, policy))]
    if traits.sensitivity is Sensitivity.INTERNAL:
        local = deployment.locality is Locality.LOCAL
        reasons.insert(0, Reason("locality", "local goes first" if local else "cloud goes after local"))
    if decided.last_resort:
        reasons.append(Reason("last_resort", _out_of_service(deployment)))
    return tuple(reasons)


def _out_of_service(deployment: DeploymentFacts) -> str:
    if not deployment.backend_live.up:
        return "every candidate is out of service, this one least: its backend does not answer its heartbeat"
    is_open = deployment.live.breaker.state is BreakerState.OPEN
    state = "its breaker is open" if is_open else "its breaker's probe is under way"
    return f"every candidate is out of service, this one least: {state}"
