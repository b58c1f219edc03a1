"""From facts to a plan: which deployments may be tried, in which order, and why not the others.

Pure and on the hot path: builds words only for what it drops. A plan holds every candidate that passed; how many of them are
tried is routing/fallback.py's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from junto.routing.facts import BreakerState, DeploymentFacts, Dropped, Plan, Policy, Reason, Stage, Traits
from junto.routing.filters import FILTERS, HARD, SOFT, Filter, keeps
from junto.routing.scorers import ordered


def plan(traits: Traits, stages: Sequence[Stage], policy: Policy, *, now: float, seed: int) -> Plan:
    """The plan for one request. `now` is monotonic seconds, `seed` a counter of the requests for that name.

    Stages stay in order, each ordered by its own strategy; a deployment is listed once, in the first stage that lets it
    pass. If all that pass the hard filters are out of service, the least bad one is kept as the last resort.
    """
    if len(stages) == 1 and len(stages[0].candidates) == 1:
        stage = stages[0]
        only = stage.candidates[0]
        if keeps(only, traits):
            return Plan(candidates=stage.candidates)
        for check in FILTERS:
            if check(only, traits, stage.name, now) is not None:
                break
        else:
            return Plan(candidates=stage.candidates)
    return _weighed(traits, stages, policy, now, seed)


def _weighed(traits: Traits, stages: Sequence[Stage], policy: Policy, now: float, seed: int) -> Plan:
    candidates: list[DeploymentFacts] = []
    names: list[str] = []
    kept: set[str] = set()
    dropped: dict[str, Dropped] = {}
    resting: list[tuple[DeploymentFacts, str]] = []  # passed the hard filters, out of service now
    for stage in stages:
        passed: list[DeploymentFacts] = []
        for deployment in stage.candidates:
            key = deployment.key
            if key in kept:
                continue
            reason = _first_reason(HARD, deployment, traits, stage.name, now)
            if reason is None:
                reason = _first_reason(SOFT, deployment, traits, stage.name, now)
                if reason is None:
                    kept.add(key)
                    dropped.pop(key, None)
                    passed.append(deployment)
                    continue
                resting.append((deployment, stage.name))
            dropped.setdefault(key, Dropped(deployment, reason))
        candidates.extend(ordered(stage.strategy, passed, traits, policy, seed=seed))
        names.extend([stage.name] * len(passed))
    if not candidates and resting:
        return _last_resort(resting, dropped, now)
    return Plan(candidates=tuple(candidates), dropped=tuple(dropped.values()), stage_names=tuple(names))


def _first_reason(
    filters: tuple[Filter, ...], deployment: DeploymentFacts, traits: Traits, stage: str, now: float
) -> Reason | None:
    for check in filters:
        reason = check(deployment, traits, stage, now)
        if reason is not None:
            return reason
    return None


def _last_resort(resting: list[tuple[DeploymentFacts, str]], dropped: dict[str, Dropped], now: float) -> Plan:
    deployment, name = min(resting, key=lambda each: _badness(each[0], now))
    dropped.pop(deployment.key, None)
    return Plan(candidates=(deployment,), dropped=tuple(dropped.values()), stage_names=(name,), last_resort=True)


def _badness(deployment: DeploymentFacts, now: float) -> tuple[bool, float]:
    """Lower is better: (backend silent, seconds until its breaker lets an attempt pass)."""
    state = deployment.live.breaker
    wait = max(state.open_until - now, 0.0) if state.state is BreakerState.OPEN else 0.0
    return (not deployment.backend_live.up, wait)
