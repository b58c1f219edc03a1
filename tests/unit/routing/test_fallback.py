"""What follows a failure, by table."""

from typing import Any

import pytest

from junto.core.errors import FailureKind, UpstreamFailure
from junto.routing.facts import Plan, Policy
from junto.routing.fallback import GiveUp, Retry, RetryBudget, Step, TryNext, next_step
from tests.unit.routing.facts import deployment

RETRY, TRY_NEXT, GIVE_UP = Retry, TryNext, GiveUp
TWO = Plan(candidates=(deployment("a/m"), deployment("b/m")))


def step_after(kind: FailureKind, status: int | None = None, retry_after: float | None = None, **given: Any) -> Step:
    facts: dict[str, Any] = {
        "plan": TWO,
        "position": 0,
        "tries_here": 1,
        "attempts_made": 1,
        "failure": UpstreamFailure(kind, status=status, retry_after=retry_after),
        "policy": Policy(max_attempts=4),
        "budget": RetryBudget(in_flight=1),
        "remaining": None,
        "jitter": 0.5,
    }
    return next_step(**(facts | given))


@pytest.mark.parametrize(
    ("kind", "with_another", "alone"),
    [
        (FailureKind.CONNECT, RETRY, RETRY),
        (FailureKind.CONNECT_TIMEOUT, TRY_NEXT, RETRY),
        (FailureKind.RESET, RETRY, RETRY),
        (FailureKind.THROTTLED, RETRY, RETRY),
        (FailureKind.HEADERS_TIMEOUT, TRY_NEXT, GIVE_UP),
        (FailureKind.FIRST_TOKEN_TIMEOUT, TRY_NEXT, GIVE_UP),
        (FailureKind.IDLE_TIMEOUT, TRY_NEXT, GIVE_UP),
        (FailureKind.PROTOCOL, TRY_NEXT, GIVE_UP),
        (FailureKind.TOO_LARGE, TRY_NEXT, GIVE_UP),
        (FailureKind.BUSY, TRY_NEXT, GIVE_UP),
        (FailureKind.QUEUE_FULL, TRY_NEXT, GIVE_UP),
        (FailureKind.SERVER, TRY_NEXT, GIVE_UP),
        (FailureKind.CREDENTIALS, TRY_NEXT, GIVE_UP),
        (FailureKind.MODEL_MISSING, TRY_NEXT, GIVE_UP),
        (FailureKind.CONTEXT_LENGTH, TRY_NEXT, GIVE_UP),
        (FailureKind.REJECTED, GIVE_UP, GIVE_UP),
        (FailureKind.NOT_LOCAL, TRY_NEXT, GIVE_UP),
        (FailureKind.UNSUPPORTED, TRY_NEXT, GIVE_UP),
    ],
)
def test_the_first_failure_of_each_kind_leads_here(kind: FailureKind, with_another: type, alone: type) -> None:
    assert type(step_after(kind)) is with_another
    assert type(step_after(kind, position=1)) is alone


def test_every_kind_of_failure_is_in_the_table() -> None:
    assert len(FailureKind) == 18


@pytest.mark.parametrize(
    ("kind", "position", "tries"),
    [
        (FailureKind.CONNECT, 0, 2),
        (FailureKind.RESET, 0, 2),
        (FailureKind.CONNECT_TIMEOUT, 0, 1),
        (FailureKind.THROTTLED, 0, 3),
        (FailureKind.CONNECT, 1, 3),
        (FailureKind.THROTTLED, 1, 3),
    ],
)
def test_one_deployment_gets_so_many_tries(kind: FailureKind, position: int, tries: int) -> None:
    policy = Policy(max_attempts=9)
    again = [type(step_after(kind, position=position, tries_here=made, policy=policy)) is Retry for made in range(1, 5)]
    assert again == [made < tries for made in range(1, 5)]


def test_the_wait_is_jitter_times_a_doubling_base() -> None:
    waits = [step_after(FailureKind.THROTTLED, tries_here=tries, jitter=0.5) for tries in (1, 2)]
    assert waits == [Retry(0.25), Retry(0.5)]
    assert step_after(FailureKind.CONNECT, jitter=0.5) == Retry(0.05)
    assert step_after(FailureKind.CONNECT, jitter=0.0) == Retry(0.0)


def test_retry_after_is_honoured_while_it_is_short() -> None:
    assert step_after(FailureKind.THROTTLED, retry_after=2.0, jitter=0.0) == Retry(2.0)
    assert step_after(FailureKind.THROTTLED, retry_after=2.0, jitter=0.5) == Retry(2.25)
    assert step_after(FailureKind.THROTTLED, retry_after=5.1) == TryNext()
    assert step_after(FailureKind.THROTTLED, retry_after=5.1, position=1) == GiveUp()


def test_no_wait_goes_past_the_deadline() -> None:
    assert step_after(FailureKind.THROTTLED, retry_after=2.0, remaining=2.1) == TryNext()
    assert step_after(FailureKind.THROTTLED, retry_after=2.0, remaining=2.4) == Retry(2.25)
    assert step_after(FailureKind.SERVER, remaining=0.1) == TryNext()
    assert step_after(FailureKind.SERVER, remaining=0.0) == GiveUp()


def test_retries_stay_within_a_fifth_of_what_is_in_flight_but_one_is_always_allowed() -> None:
    allowed = [
        (in_flight, RetryBudget(in_flight=in_flight, retries_in_flight=retries).allows_one_more)
        for in_flight, retries in ((1, 0), (1, 1), (9, 1), (10, 1), (100, 19), (100, 20))
    ]
    assert allowed == [(1, True), (1, False), (9, False), (10, True), (100, True), (100, False)]
    assert step_after(FailureKind.CONNECT, budget=RetryBudget(5, 1)) == TryNext()


def test_the_most_attempts_bound_everything_and_the_last_one_goes_to_a_fresh_candidate() -> None:
    assert step_after(FailureKind.SERVER, attempts_made=4) == GiveUp()
    assert step_after(FailureKind.CONNECT, attempts_made=4, position=1) == GiveUp()
    assert step_after(FailureKind.CONNECT, attempts_made=3) == TryNext()
    assert step_after(FailureKind.CONNECT, attempts_made=3, position=1) == Retry(0.05)


@pytest.mark.parametrize("status", [402, 404, 405, 408, 409])
def test_a_refusal_that_is_about_the_deployment_is_no_reason_to_give_up(status: int) -> None:
    assert step_after(FailureKind.REJECTED, status=status) == TryNext()


@pytest.mark.parametrize("status", [None, 400, 413, 415, 422, 451])
def test_a_refusal_of_the_request_is_final(status: int | None) -> None:
    assert step_after(FailureKind.REJECTED, status=status) == GiveUp()
