"""What follows a failed attempt: the same deployment again, the next candidate, or the end.

Decides only; waiting, counting and opening are the gateway's. Asked only before the first byte went to the caller: after it
there is nothing left to decide. Never leads outside the plan, so every attempt stays under the floor that the plan kept.
"""

from __future__ import annotations

import msgspec

from junto.core.errors import FailureKind, UpstreamFailure
from junto.routing.facts import Plan, Policy

MOST_RETRIES = 2  # at one deployment
RETRY_SHARE = 0.2  # of what is in flight at a backend may be retries
LONGEST_RETRY_AFTER_SECONDS = 5.0  # a longer one is not waited for
_BASE_SECONDS = {FailureKind.THROTTLED: 0.5}
_CONNECTION_BASE_SECONDS = 0.1

CONNECTION_FAULTS = frozenset({FailureKind.CONNECT, FailureKind.CONNECT_TIMEOUT, FailureKind.RESET})
RETRYABLE = CONNECTION_FAULTS | {FailureKind.THROTTLED}
PASSED_OVER = frozenset({FailureKind.NOT_LOCAL, FailureKind.UNSUPPORTED})
"""A deployment that did not take the request: nothing was sent there, so it was no attempt, and another may take it."""

# Refusals that are about the deployment after all: its account has no money (402), it has no such endpoint or method
# (404, 405), it gave up waiting (408), or it is in the wrong state (409, 423, 425).
_ABOUT_THE_DEPLOYMENT = frozenset({402, 404, 405, 408, 409, 423, 425})


class Retry(msgspec.Struct, frozen=True):
    """The same deployment again, after that many seconds."""

    after: float


class TryNext(msgspec.Struct, frozen=True):
    """The next candidate of the plan, now."""


class GiveUp(msgspec.Struct, frozen=True):
    """No further attempt; routing/refusals.py says what the caller is told."""


type Step = Retry | TryNext | GiveUp

_TRY_NEXT = TryNext()
_GIVE_UP = GiveUp()


class RetryBudget(msgspec.Struct, frozen=True):
    """What is under way at the backend in question, this attempt included, and how much of it are retries."""

    in_flight: int = 0
    retries_in_flight: int = 0

    @property
    def allows_one_more(self) -> bool:
        """Retries stay within their share, but one is always allowed: a storm cannot feed on itself, a blip is bridged."""
        return self.retries_in_flight + 1 <= max(1.0, RETRY_SHARE * self.in_flight)


def next_step(
    *,
    plan: Plan,
    position: int,
    tries_here: int,
    attempts_made: int,
    failure: UpstreamFailure,
    policy: Policy,
    budget: RetryBudget,
    remaining: float | None,
    jitter: float,
) -> Step:
    """What to do after the attempt at `plan.candidates[position]` failed before its first byte.

    `tries_here` (>= 1) and `attempts_made` count attempts that were made at this candidate and in all; `remaining` is the
    seconds to the caller's deadline, None without one; `jitter` is a random number in [0, 1).
    """
    if is_decisive(failure) or attempts_made >= policy.max_attempts or (remaining is not None and remaining <= 0):
        return _GIVE_UP
    has_next = position + 1 < len(plan.candidates)
    if tries_here < _tries_allowed(failure.kind, has_next=has_next) and budget.allows_one_more:
        # The last attempt belongs to a candidate that has not failed yet, if there is one.
        is_affordable = not has_next or attempts_made + 1 < policy.max_attempts
        wait = _wait_seconds(failure, tries_here, jitter)
        if is_affordable and wait is not None and (remaining is None or wait < remaining):
            return Retry(wait)
    return _TRY_NEXT if has_next else _GIVE_UP


def is_decisive(failure: UpstreamFailure) -> bool:
    """Whether the request itself was refused, so that every other model would refuse it too."""
    return failure.kind is FailureKind.REJECTED and failure.status not in _ABOUT_THE_DEPLOYMENT


def _tries_allowed(kind: FailureKind, *, has_next: bool) -> int:
    """How many tries one deployment gets, the first included.

    With somewhere else to go, a broken connection is tried once more (a worn-out keep-alive connection, a restart) and one
    that could not even be made in time is not: that wait was long enough.
    """
    if kind not in RETRYABLE:
        return 1
    if has_next and kind is FailureKind.CONNECT_TIMEOUT:
        return 1
    if has_next and kind in CONNECTION_FAULTS:
        return 2
    return 1 + MOST_RETRIES


def _wait_seconds(failure: UpstreamFailure, tries_here: int, jitter: float) -> float | None:
    """Full jitter, doubling with each try, on top of what the upstream asked for; None where it asked for too much."""
    backoff: float = jitter * _BASE_SECONDS.get(failure.kind, _CONNECTION_BASE_SECONDS) * 2.0 ** (tries_here - 1)
    if failure.retry_after is None:
        return backoff
    if failure.retry_after > LONGEST_RETRY_AFTER_SECONDS:
        return None
    return max(failure.retry_after, 0.0) + backoff
