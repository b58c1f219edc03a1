"""What a caller is told when no deployment answered: one error of core/errors.py, in Junto's own words.

Names deployments, filters and kinds of failure; never an upstream's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from junto.core.capability import Capability
from junto.core.errors import (
    AllBackendsDown,
    DeadlinePassed,
    FailureKind,
    Forbidden,
    InvalidRequest,
    JuntoError,
    Misconfigured,
    NotServable,
    Overloaded,
    RateLimited,
    Unsupported,
    UpstreamFailure,
    UpstreamRejected,
)
from junto.routing.facts import BreakerState, DeploymentFacts, Dropped, Plan, Traits
from junto.routing.fallback import PASSED_OVER, is_decisive
from junto.routing.filters import missing

DEFAULT_RETRY_AFTER_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 600.0

type Failed = tuple[DeploymentFacts, UpstreamFailure]
"""One failed attempt and where it was made."""

_TO_MEND = frozenset({FailureKind.CREDENTIALS, FailureKind.MODEL_MISSING})
_RESTING = frozenset({"backend_up", "breaker"})
_FULL = frozenset({FailureKind.BUSY, FailureKind.QUEUE_FULL})

_WORDS = {
    400: "The model's server refused the request as invalid.",
    413: "The model's server refused the request as too large.",
    415: "The model's server does not take this kind of content.",
    422: "The model's server could not process a field of the request.",
    451: "The model's server refused the request for legal reasons.",
}

_PASSED_OVER = (  # the furthest filter that a candidate reached says best what is in the way
    "backend_up",
    "breaker",
    "price_cap",
    "context_length",
    "capability",
    "operation",
    "allowed_models",
    "enabled",
)


def error_for(failures: Sequence[Failed], *, now: float, expired: bool = False, exhausted: bool = False) -> JuntoError:
    """The error after the attempts of a plan failed, oldest first; `expired` says that the deadline ended them.

    `now` is monotonic seconds, for the Retry-After that follows from breakers. `exhausted`: there is nobody left who might answer
    by and by (see `exhausts`).
    """
    reasons = [f"{deployment.key}: {failure.kind}" for deployment, failure in failures]
    if failures and is_decisive(failures[-1][1]):
        return _rejected(failures[-1][1].status, reasons)
    if expired:
        return DeadlinePassed("The deadline passed before a model began to answer.", reasons=reasons)
    kinds = {failure.kind for _, failure in failures} - PASSED_OVER
    refusal = None if kinds else _refusal(failures)
    if refusal is not None:
        return refusal
    if kinds == {FailureKind.CONTEXT_LENGTH}:
        return UpstreamRejected("The request is too long for every candidate.", status=400, reasons=reasons)
    if exhausted and kinds and kinds <= _TO_MEND:
        return Misconfigured(_to_mend(failures), reasons=reasons)
    wait = _retry_after(failures, now)
    if kinds == {FailureKind.THROTTLED}:
        return RateLimited("Every candidate is at its provider's rate limit.", reasons=reasons, retry_after=wait)
    if kinds and kinds <= _FULL:
        return Overloaded("Every candidate is busy.", reasons=reasons, retry_after=wait)
    return AllBackendsDown("All providers unavailable", reasons=reasons, retry_after=wait)


def exhausts(plan: Plan, position: int) -> bool:
    """Whether the candidate at that position was the last one, and none that was passed over is only resting.

    One that rests because it refuses Junto's key will go on refusing it.
    """
    if position + 1 < len(plan.candidates):
        return False
    return all(each.reason.rule not in _RESTING or each.deployment.backend_live.locked_out for each in plan.dropped)


def error_for_empty(plan: Plan, traits: Traits, requested: str, *, now: float) -> JuntoError:
    """The error for a plan without candidates: nothing was contacted. `requested` is the name that was asked for."""
    dropped = plan.dropped
    reasons = [f"{each.deployment.key}: {each.reason.rule}: {each.reason.detail}" for each in dropped]
    if any(each.reason.rule == "sensitivity" for each in dropped):
        tier = traits.sensitivity.label
        return NotServable(f"No deployment of {requested!r} may see {tier} content.", reasons=reasons)
    rules = {each.reason.rule for each in dropped}
    furthest = next((rule for rule in _PASSED_OVER if rule in rules), "")
    match furthest:
        case "allowed_models":
            return Forbidden(f"This key may not use the model {requested!r}.", param="model", reasons=reasons)
        case "price_cap":
            return Forbidden(f"Every deployment of {requested!r} is over the price cap.", reasons=reasons)
        case "operation":
            return Unsupported(
                f"The model {requested!r} does not do {traits.operation.label}.", param="model", reasons=reasons
            )
        case "capability":
            lacking = ", ".join(_lacking(dropped, traits).labels)
            return InvalidRequest(f"The model {requested!r} does not do: {lacking}.", param="model", reasons=reasons)
        case "context_length":
            longest = max(each.deployment.context_length or 0 for each in dropped)
            return InvalidRequest(
                f"The request needs about {traits.prompt_tokens + (traits.max_tokens or 0)} tokens; "
                f"{requested!r} holds {longest} at most.",
                reasons=reasons,
            )
        case _:
            wait = _bounded(_breaker_waits((each.deployment for each in dropped), now))
            return AllBackendsDown("All providers unavailable", reasons=reasons, retry_after=wait)


def _refusal(failures: Sequence[Failed]) -> JuntoError | None:
    """What is told when no candidate took the request: the first refusal, and one for the tier before any other."""
    refusals = [failure.refusal for _, failure in failures if failure.refusal is not None]
    return next((each for each in refusals if isinstance(each, NotServable)), next(iter(refusals), None))


def _to_mend(failures: Sequence[Failed]) -> str:
    """What an operator has to do, by backend; no key and no upstream's word is in it."""
    locked = dict.fromkeys(each.backend for each, failure in failures if failure.kind is FailureKind.CREDENTIALS)
    lacking = dict.fromkeys(
        (each.backend, each.model) for each, failure in failures if failure.kind is FailureKind.MODEL_MISSING
    )
    said = [f"{backend} refuses Junto's key or account" for backend in locked]
    said += [f"{backend} has no model {model!r}" for backend, model in lacking]
    return f"Nothing can answer this until an operator mends it: {'; '.join(said)}."


def _rejected(status: int | None, reasons: Sequence[str]) -> UpstreamRejected:
    known = status if status in _WORDS else 400
    return UpstreamRejected(_WORDS[known], status=known, reasons=reasons)


def _lacking(dropped: Sequence[Dropped], traits: Traits) -> Capability:
    """What the deployment that lacks least lacks."""
    lacks = [missing(each.deployment, traits) for each in dropped if each.reason.rule == "capability"]
    return min(lacks, key=lambda each: each.bit_count())


def _retry_after(failures: Sequence[Failed], now: float) -> float:
    asked = [failure.retry_after for _, failure in failures if failure.retry_after is not None]
    return _bounded([*asked, *_breaker_waits((deployment for deployment, _ in failures), now)])


def _breaker_waits(deployments: Iterable[DeploymentFacts], now: float) -> list[float]:
    breakers = (deployment.live.breaker for deployment in deployments)
    return [each.open_until - now for each in breakers if each.state is BreakerState.OPEN]


def _bounded(waits: Sequence[float]) -> float:
    """The soonest of the waits, at least a second and at most ten minutes; a usual one where none is known."""
    return min(max(min(waits, default=DEFAULT_RETRY_AFTER_SECONDS), 1.0), LONGEST_RETRY_AFTER_SECONDS)
