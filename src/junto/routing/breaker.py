"""The breaker of a deployment: closed, open, half-open, as pure steps from one value to the next.

    closed     --5 failures in a row-->       open for 30 s
    open       --time is up, an attempt-->    half-open, that attempt is the probe
    half-open  --the probe fails-->           open for twice as long as last time, at most 600 s
    half-open  --the probe ends undecided-->  half-open, the next attempt is the probe
    any        --success-->                   closed, all forgotten

While it is open or probed, an attempt may still be forced (the last resort of a plan): its success closes the breaker,
its failure changes nothing, so traffic cannot lengthen an outage. Times are monotonic seconds, given by the caller.
"""

from __future__ import annotations

from enum import StrEnum

from junto.core.errors import FailureKind
from junto.routing.facts import Breaker, BreakerState

FAILURES_TO_OPEN = 5
FIRST_OPEN_SECONDS = 30.0
LONGEST_OPEN_SECONDS = 600.0


class AttemptOutcome(StrEnum):
    """What one attempt says about the deployment's health; neutral says nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


_FAULTS = frozenset(
    {
        FailureKind.CONNECT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.HEADERS_TIMEOUT,
        FailureKind.FIRST_TOKEN_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
        FailureKind.RESET,
        FailureKind.PROTOCOL,
        FailureKind.SERVER,
        FailureKind.CREDENTIALS,
        FailureKind.MODEL_MISSING,
    }
)

_WAITS = frozenset({FailureKind.HEADERS_TIMEOUT, FailureKind.FIRST_TOKEN_TIMEOUT})


def counts_as_failure(kind: FailureKind, *, cold: bool = False) -> bool:
    """Whether such a failure is the deployment's own fault.

    A refused request, a throttled account, a full house and an answer that was too large are signs of life. So is a wait for the first token that ran
    out while the model was still being loaded (`cold`). Wrong credentials and a missing model do count: they go on
    failing until someone acts, and the breaker keeps them from being tried each time.
    """
    return kind in _FAULTS and not (cold and kind in _WAITS)


def outcome_of(kind: FailureKind | None, *, cold: bool = False) -> AttemptOutcome:
    """The outcome of an attempt that ended with that failure, or with none."""
    if kind is None:
        return AttemptOutcome.SUCCESS
    return AttemptOutcome.FAILURE if counts_as_failure(kind, cold=cold) else AttemptOutcome.NEUTRAL


def admits(breaker: Breaker, now: float) -> bool:
    """Whether an attempt may start: closed, open with its time up, or half-open with no probe under way."""
    if breaker.state is BreakerState.CLOSED:
        return True
    if breaker.state is BreakerState.OPEN:
        return now >= breaker.open_until
    return not breaker.probing


def before(breaker: Breaker, now: float) -> Breaker:
    """The breaker once an attempt starts. A new value (`is not`) means that this attempt is the probe: keep it for `after`."""
    if breaker.state is BreakerState.CLOSED or not admits(breaker, now):
        return breaker
    return Breaker(
        state=BreakerState.HALF_OPEN,
        failures=breaker.failures,
        open_until=breaker.open_until,
        open_for=breaker.open_for,
        probing=True,
    )


def after(breaker: Breaker, outcome: AttemptOutcome, now: float, *, probe: Breaker | None = None) -> Breaker:
    """The breaker once an attempt has ended; `probe` is the value that `before` made, where that attempt was the probe.

    A probe that was overtaken (a forced attempt closed the breaker meanwhile) is no longer the probe and counts as any other.
    """
    if outcome is AttemptOutcome.SUCCESS:
        return breaker if breaker.state is BreakerState.CLOSED and not breaker.failures else Breaker()
    if outcome is AttemptOutcome.NEUTRAL:
        return released(breaker, probe)
    if breaker.state is BreakerState.CLOSED:
        failures = breaker.failures + 1
        if failures < FAILURES_TO_OPEN:
            return Breaker(failures=failures)
        return _opened(failures, FIRST_OPEN_SECONDS, now)
    if breaker.state is BreakerState.HALF_OPEN and probe is breaker:
        return _opened(breaker.failures + 1, min(breaker.open_for * 2, LONGEST_OPEN_SECONDS), now)
    return breaker


def released(breaker: Breaker, probe: Breaker | None) -> Breaker:
    """The breaker once its probe has ended undecided (the caller went away): the next attempt is the probe."""
    if probe is not breaker or breaker.state is not BreakerState.HALF_OPEN:
        return breaker
    return Breaker(
        state=BreakerState.HALF_OPEN,
        failures=breaker.failures,
        open_until=breaker.open_until,
        open_for=breaker.open_for,
    )


def _opened(failures: int, seconds: float, now: float) -> Breaker:
    return Breaker(state=BreakerState.OPEN, failures=failures, open_until=now + seconds, open_for=seconds)
