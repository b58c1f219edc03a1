"""Filters: each says whether one deployment may be tried for one request, and if not, why.

A filter sees one deployment and answers None (keep) or a Reason (drop); it knows nothing of the other candidates.
`FILTERS` is their fixed order: sensitivity first, so that nothing else is ever weighed for a forbidden deployment, then the
cheapest. `HARD` ones are never waived; `SOFT` ones say that a deployment is out of service just now, which routing/plan.py
waives for the last candidate there is.
"""

from __future__ import annotations

from collections.abc import Callable

from junto.core.capability import Capability
from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.breaker import admits
from junto.routing.facts import BreakerState, DeploymentFacts, Reason, Traits

type Filter = Callable[[DeploymentFacts, Traits, str, float], Reason | None]
"""(deployment, traits, the stage's name, now in monotonic seconds) -> why it is dropped, or None."""


def sensitivity(deployment: DeploymentFacts, traits: Traits, _stage: str, _now: float) -> Reason | None:
    """Confidential stays local, internal goes to the cloud only where the client may, public goes anywhere."""
    if deployment.locality is Locality.LOCAL or traits.sensitivity is Sensitivity.PUBLIC:
        return None
    if traits.sensitivity is Sensitivity.INTERNAL:
        if traits.allow_cloud_for_internal:
            return None
        return Reason("sensitivity", "internal content may not go to the cloud for this client")
    return Reason("sensitivity", "confidential content stays on local deployments")


def enabled(deployment: DeploymentFacts, _traits: Traits, _stage: str, _now: float) -> Reason | None:
    """The operator may have switched the deployment off."""
    return None if deployment.enabled else Reason("enabled", "switched off by the operator")


def allowed_models(deployment: DeploymentFacts, traits: Traits, stage: str, _now: float) -> Reason | None:
    """The client's allow-list names the model, the pinned `backend/model`, or the stage that the candidate is in.

    A name that was allowed opens its own members only: its fallbacks are stages of their own and need an entry too.
    """
    allowed = traits.allowed_models
    if allowed is None or deployment.model in allowed or stage in allowed or deployment.key in allowed:
        return None
    return Reason("allowed_models", "not on the client's list of models")


def operation(deployment: DeploymentFacts, traits: Traits, _stage: str, _now: float) -> Reason | None:
    """The deployment does this kind of work at all."""
    if traits.operation in deployment.operations:
        return None
    return Reason("operation", f"does not do {traits.operation.label}")


def capability(deployment: DeploymentFacts, traits: Traits, _stage: str, _now: float) -> Reason | None:
    """The deployment has every ability that is needed; where its abilities are unknown it is assumed able."""
    able = deployment.capabilities
    # Plain integer arithmetic: an IntFlag's own operators build a new member each time, ten times as slow.
    if able is None or int.__or__(traits.needs, able) == able:
        return None
    return Reason("capability", "lacks " + ", ".join(missing(deployment, traits).labels))


def missing(deployment: DeploymentFacts, traits: Traits) -> Capability:
    """The abilities that the request needs and the deployment is known to lack."""
    return Capability.NONE if deployment.capabilities is None else traits.needs & ~deployment.capabilities


def context_length(deployment: DeploymentFacts, traits: Traits, _stage: str, _now: float) -> Reason | None:
    """Prompt and wanted answer fit into the context; an unknown length is assumed to be enough."""
    length = deployment.context_length
    if length is None or traits.prompt_tokens + (traits.max_tokens or 0) <= length:
        return None
    wanted = traits.prompt_tokens + (traits.max_tokens or 0)
    return Reason("context_length", f"needs about {wanted} tokens, holds {length}")


def price_cap(deployment: DeploymentFacts, traits: Traits, _stage: str, _now: float) -> Reason | None:
    """Output tokens cost no more than the cap (both in nano-dollars per million)."""
    cap = traits.max_price
    if cap is None or deployment.price.output <= cap:
        return None
    return Reason(
        "price_cap", f"output costs {deployment.price.output} nano-dollars per million tokens, the cap is {cap}"
    )


def backend_up(deployment: DeploymentFacts, _traits: Traits, _stage: str, _now: float) -> Reason | None:
    """The last heartbeat found the backend alive."""
    return None if deployment.backend_live.up else Reason("backend_up", "the backend does not answer its heartbeat")


def breaker(deployment: DeploymentFacts, _traits: Traits, _stage: str, now: float) -> Reason | None:
    """The deployment's breaker lets traffic, or its one probe, pass."""
    state = deployment.live.breaker
    if state.state is BreakerState.CLOSED or admits(state, now):
        return None
    if state.state is BreakerState.OPEN:
        return Reason("breaker", f"open for another {state.open_until - now:.1f} s")
    return Reason("breaker", "half-open, and its probe is under way")


def keeps(deployment: DeploymentFacts, traits: Traits) -> bool:
    """Whether plainly every filter keeps the deployment, all of them in one look; False means that each has to be asked.

    Where a request may go to one deployment only, as most may, calling nine functions would take as long as all of admission.
    """
    able, length, allowed = deployment.capabilities, deployment.context_length, traits.allowed_models
    return (
        (deployment.locality is Locality.LOCAL or traits.sensitivity is Sensitivity.PUBLIC)
        and deployment.enabled
        and (allowed is None or deployment.model in allowed)
        and traits.operation in deployment.operations
        and (able is None or int.__or__(traits.needs, able) == able)
        and (length is None or traits.prompt_tokens + (traits.max_tokens or 0) <= length)
        and traits.max_price is None
        and deployment.backend_live.up
        and deployment.live.breaker.state is BreakerState.CLOSED
    )


HARD: tuple[Filter, ...] = (sensitivity, enabled, allowed_models, operation, capability, context_length, price_cap)
SOFT: tuple[Filter, ...] = (backend_up, breaker)
FILTERS: tuple[Filter, ...] = HARD + SOFT
