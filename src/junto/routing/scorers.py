"""Scorers: the order in which the deployments of one stage are tried, by its strategy.

Each strategy is a pure function from facts to an order, and one to the words that say why (rendered only when somebody
asks). Never drops a candidate: that is routing/filters.py.

Whatever the strategy, internal content prefers local deployments: within a stage the local ones come first, each part
ordered by the strategy. Between stages nothing moves: a group of cloud models with a local fallback group is what the
operator wrote, and a client that may use the cloud for internal content gets it in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from typing import assert_never

from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.facts import DeploymentFacts, Policy, Strategy, Traits
from junto.routing.round_robin import turn

ASSUMED_OUTPUT_TOKENS = 512  # where the request does not say how long its answer may become
ASSUMED_RATE = 30.0  # tokens per second, where nothing has been measured
ASSUMED_LOAD_SECONDS = 10.0  # of a cold model, where no load has been seen
UNLIMITED_SLOTS = 1_000_000


def ordered(
    strategy: Strategy, candidates: Sequence[DeploymentFacts], traits: Traits, policy: Policy, *, seed: int
) -> Sequence[DeploymentFacts]:
    """The candidates of one stage in the order to be tried; `seed` is the stage's counter of requests."""
    if traits.sensitivity is Sensitivity.INTERNAL:
        local = [each for each in candidates if each.locality is Locality.LOCAL]
        if local and len(local) < len(candidates):
            cloud = [each for each in candidates if each.locality is not Locality.LOCAL]
            return [*_by(strategy, local, traits, policy, seed), *_by(strategy, cloud, traits, policy, seed)]
    return _by(strategy, candidates, traits, policy, seed)


def detail(strategy: Strategy, deployment: DeploymentFacts, traits: Traits, policy: Policy) -> str:
    """What the strategy weighed for that deployment, in words."""
    match strategy:
        case Strategy.SMART:
            return _smart_detail(deployment, traits, policy)
        case Strategy.PRIORITY:
            return f"priority {deployment.priority}"
        case Strategy.ROUND_ROBIN:
            return f"weight {deployment.weight}"
        case Strategy.LATENCY:
            seconds = _expected_seconds(deployment, traits)
            return "not measured yet" if seconds is None else f"about {seconds:.2f} s for the whole answer"
        case Strategy.COST:
            return f"about {expected_cost(deployment, traits) / 1e9:.6f} USD"
        case _:
            assert_never(strategy)


def _by(
    strategy: Strategy, candidates: Sequence[DeploymentFacts], traits: Traits, policy: Policy, seed: int
) -> Sequence[DeploymentFacts]:
    if len(candidates) <= 1:
        return candidates
    match strategy:
        case Strategy.SMART:
            return sorted(candidates, key=lambda each: smart_key(each, traits, policy))
        case Strategy.PRIORITY:
            return sorted(candidates, key=lambda each: each.priority)
        case Strategy.ROUND_ROBIN:
            places = turn([each.weight for each in candidates], seed)
            return [candidates[place] for place in places]
        case Strategy.LATENCY:
            return _two_choices(sorted(candidates, key=lambda each: latency_key(each, traits)), seed)
        case Strategy.COST:
            return sorted(candidates, key=lambda each: cost_key(each, traits))
        case _:
            assert_never(strategy)


# smart: resident first, then priority, then free slots, then expected wait


def smart_key(deployment: DeploymentFacts, traits: Traits, policy: Policy) -> tuple[bool, int, int, float, int]:
    """Lower is better: (not in memory, priority, -free slots, expected wait in seconds, attempts under way).

    Where residency is unknown (cloud, most servers) a deployment counts as not in memory, so that a loaded local model goes
    before it and an idle local one of a better priority does too. With a session, deployments of the same rank that have
    a free slot are told apart by the session, so that a conversation comes back to where its prefix is cached.
    """
    free = free_slots(deployment)
    if traits.session and free > 0:
        nearness = _affinity(traits.session, deployment)
        return (policy.prefer_loaded and not _resident(deployment), deployment.priority, -UNLIMITED_SLOTS, nearness, 0)
    return (
        policy.prefer_loaded and not _resident(deployment),
        deployment.priority,
        -free,
        expected_wait(deployment, traits),
        deployment.live.in_flight,
    )


def free_slots(deployment: DeploymentFacts) -> int:
    """Slots of the backend that nobody uses or waits for; `UNLIMITED_SLOTS` where there is no limit."""
    backend = deployment.backend_live
    if backend.slots is None:
        return UNLIMITED_SLOTS
    return max(backend.slots - backend.in_use - backend.queued, 0)


def expected_wait(deployment: DeploymentFacts, traits: Traits) -> float:
    """Seconds until an attempt would begin to be worked on: the queue ahead of it, and a load if the model is not in memory."""
    backend = deployment.backend_live
    wait = 0.0
    if backend.slots is not None and free_slots(deployment) == 0:
        ahead = backend.in_use + backend.queued - backend.slots + 1
        wait = ahead * _service_seconds(deployment, traits) / max(backend.slots, 1)
    if backend.resident is not None and deployment.upstream_model not in backend.resident:
        wait += deployment.live.load or ASSUMED_LOAD_SECONDS
    return wait


def _resident(deployment: DeploymentFacts) -> bool:
    resident = deployment.backend_live.resident
    return resident is not None and deployment.upstream_model in resident


def _affinity(session: str, deployment: DeploymentFacts) -> float:
    digest = blake2b(f"{session}\0{deployment.key}".encode(), digest_size=6).digest()
    return float(int.from_bytes(digest))


def _smart_detail(deployment: DeploymentFacts, traits: Traits, policy: Policy) -> str:
    resident = deployment.backend_live.resident
    memory = (
        "unknown whether in memory" if resident is None else "in memory" if _resident(deployment) else "not in memory"
    )
    free = free_slots(deployment)
    return ", ".join(
        (
            memory if policy.prefer_loaded else f"{memory} (not weighed)",
            f"priority {deployment.priority}",
            "unlimited slots" if free == UNLIMITED_SLOTS else f"{free} free slots",
            f"expected wait {expected_wait(deployment, traits):.1f} s",
        )
    )


# latency: smoothed time to first token and rate, the better of two random choices


def latency_key(deployment: DeploymentFacts, traits: Traits) -> tuple[float, int]:
    """Lower is better: (seconds for the whole answer, attempts under way).

    A deployment that was never measured goes first while it is idle, so that it gets measured, and last while its first
    attempts are under way, so that not everybody waits for an unknown.
    """
    seconds = _expected_seconds(deployment, traits)
    if seconds is None:
        return (inf if deployment.live.in_flight else 0.0, deployment.live.in_flight)
    return (seconds, deployment.live.in_flight)


def _two_choices(ranked: list[DeploymentFacts], seed: int) -> list[DeploymentFacts]:
    """The better of two that the seed draws goes first; the rest keeps its rank. Not everybody runs to the fastest."""
    count = len(ranked)
    draw = _scattered(seed)
    one = draw % count
    other = (one + 1 + (draw >> 32) % (count - 1)) % count
    ranked.insert(0, ranked.pop(min(one, other)))
    return ranked


def _scattered(seed: int) -> int:
    """64 bits that look random for consecutive seeds (the finisher of splitmix64)."""
    bits = (seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return bits ^ (bits >> 31)


def _expected_seconds(deployment: DeploymentFacts, traits: Traits) -> float | None:
    live = deployment.live
    if not live.ttft and not live.rate:
        return None
    return _service_seconds(deployment, traits)


def _service_seconds(deployment: DeploymentFacts, traits: Traits) -> float:
    return deployment.live.ttft + _output_tokens(traits) / (deployment.live.rate or ASSUMED_RATE)


def _output_tokens(traits: Traits) -> int:
    return ASSUMED_OUTPUT_TOKENS if traits.max_tokens is None else traits.max_tokens


# cost: the cheapest that is able


def cost_key(deployment: DeploymentFacts, traits: Traits) -> tuple[int, int, int]:
    """Lower is better: (expected nano-dollars, priority, -free slots)."""
    return (expected_cost(deployment, traits), deployment.priority, -free_slots(deployment))


def expected_cost(deployment: DeploymentFacts, traits: Traits) -> int:
    """Nano-dollars that the request would cost there if its answer became as long as it may. An estimate, never a charge."""
    price = deployment.price
    if price.is_free:
        return 0
    tokens = (traits.prompt_tokens * price.input + _output_tokens(traits) * price.output) // 1_000_000
    if not price.gpu_second:
        return tokens
    return tokens + round(price.gpu_second * _service_seconds(deployment, traits))
