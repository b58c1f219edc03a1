"""What follows a failed attempt, behind one interface: the static rules, or a triage that may choose among the same steps.

Pure but for the triage's question, which is jobs/triage.py's. Nothing here widens where a job may go: whatever model a step
names, the floor decides about its deployments.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from junto.core.errors import (
    AllBackendsDown,
    JuntoError,
    Misconfigured,
    NotServable,
    Overloaded,
    RateLimited,
    UpstreamFailed,
)
from junto.jobs.model import retry_delay_ms
from junto.jobs.request import decode_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.ports.jobs import Claim

_INTERNAL: Final = "internal_error"
MOST_ATTEMPTS: Final = 24  # of a job that never got as far as a model: about twenty minutes
_UNTOUCHED: Final = frozenset(
    {"connect", "connect_timeout", "queue_full", "busy", "throttled", "not_local", "unsupported"}
)
_OUT_OF_SERVICE: Final = (": backend_up: ", ": breaker: ")
_PASSING: Final = (Overloaded, AllBackendsDown, RateLimited, UpstreamFailed)


class RetryLater(msgspec.Struct, frozen=True, kw_only=True):
    """Run again after a rest; under another name where `model` is set. `counts`: it was one of the job's attempts."""

    delay_ms: int
    model: str | None = None
    counts: bool = True


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """The job has failed, with this error."""

    error_code: str
    error_message: str


type Step = RetryLater | GiveUp


class Decision(StrEnum):
    """What a triage may answer."""

    RETRY = "retry"
    SWAP = "swap"  # another model of the same kind
    FALL_BACK = "fall_back"  # the route's fallback
    RETURN_503 = "return_503"
    ESCALATE = "escalate"  # fail, and tell the operator


class FailureHandling(Protocol):
    """Decides what follows a failed attempt."""

    async def after(self, claim: Claim, error: JuntoError) -> Step:
        """The next step. Never raises but for cancellation."""


def may_pass(error: JuntoError) -> bool:
    """Whether the same request may go well later: the error says nothing about the request itself."""
    return isinstance(error, _PASSING) or error.code == _INTERNAL


def was_untouched(error: JuntoError) -> bool:
    """Whether no upstream can have begun to work: all were away, or full, or limited."""
    if not isinstance(error, (Overloaded, AllBackendsDown, RateLimited)):
        return False
    return all(
        reason.rpartition(": ")[2] in _UNTOUCHED or any(rule in reason for rule in _OUT_OF_SERVICE)
        for reason in error.reasons
    )


def static(error: JuntoError, *, attempt: int, max_attempts: int, jitter: float) -> Step:
    """The rules without a triage: what may pass is tried again after a rest, as often as the job allows.

    Where no model was reached at all, the job waits for one rather than use up its attempts.
    """
    counts = not was_untouched(error)
    most = max_attempts if counts else MOST_ATTEMPTS
    if not may_pass(error) or attempt >= most:
        return GiveUp(error_code=error.code, error_message=error.message)
    rest = retry_delay_ms(attempt, jitter=jitter, retry_after=error.retry_after)
    return RetryLater(delay_ms=rest, counts=counts)


def usual(claim: Claim, error: JuntoError, jitter: float) -> Step:
    """The static rules for a claim; the route's fallback takes its turn with the model that was meant to answer."""
    step = static(error, attempt=claim.attempt, max_attempts=claim.job.max_attempts, jitter=jitter)
    if isinstance(error, Misconfigured | NotServable):
        return _elsewhere(claim, error, jitter) or step
    if isinstance(step, GiveUp):
        return step
    request = decode_request(claim.job.request)
    if not request.fallback:
        return step
    if claim.job.model == request.model:
        return msgspec.structs.replace(step, delay_ms=0, model=request.fallback)
    return msgspec.structs.replace(step, model=request.model)


def _elsewhere(claim: Claim, error: JuntoError, jitter: float) -> RetryLater | None:
    """The other one of the job's two models, where this one may not see the job, or nothing but an operator helps it.

    None where the same is true of that one. A canary in the cloud is no reason to refuse what the preferred model may see.
    """
    job, request = claim.job, decode_request(claim.job.request)
    if not request.fallback or claim.attempt >= job.max_attempts or job.error_code == error.code:
        return None
    if job.model == request.model:
        return RetryLater(delay_ms=0, model=request.fallback)
    return RetryLater(delay_ms=retry_delay_ms(claim.attempt, jitter=jitter), model=request.model)


class Static:
    """The static rules; `jitter` gives numbers in [0, 1)."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter

    async def after(self, claim: Claim, error: JuntoError) -> Step:
        return usual(claim, error, self._jitter())
