"""The life of a job, as a table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.jobs.model import MOST_CRASHES, TRANSITIONS, Event, after, after_lost_lease, retry_delay_ms
from junto.ports.jobs import OnCrash, Status


def test_nothing_happens_to_a_job_that_has_ended() -> None:
    ended = [status for status in Status if status.is_end]
    assert len(ended) == 3
    assert all(after(status, event) is None for status, event in itertools.product(ended, Event))


def test_only_a_pending_job_is_claimed_and_only_a_running_one_completes() -> None:
    assert [status for status in Status if after(status, Event.CLAIM)] == [Status.PENDING]
    assert [status for status in Status if after(status, Event.COMPLETE)] == [Status.RUNNING]
    assert [status for status in Status if after(status, Event.PUT_BACK)] == [Status.RUNNING]


def test_every_job_can_reach_an_end_from_wherever_it_is() -> None:
    for status in (Status.PENDING, Status.RUNNING):
        assert {TRANSITIONS[status, event] for event in (Event.FAIL, Event.CANCEL)} == {Status.FAILED, Status.CANCELLED}


def lost(**facts: object) -> tuple[Event, str]:
    usual = {"cancel_requested": False, "on_crash": OnCrash.RETRY, "attempts": 1, "max_attempts": 3, "crashes": 1}
    verdict = after_lost_lease(**{**usual, **facts})  # type: ignore[arg-type]
    return verdict.event, verdict.error_code


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({}, (Event.PUT_BACK, "")),
        ({"cancel_requested": True}, (Event.CANCEL, "")),
        ({"cancel_requested": True, "on_crash": OnCrash.FAIL}, (Event.CANCEL, "")),
        ({"on_crash": OnCrash.FAIL}, (Event.FAIL, "worker_lost")),
        ({"attempts": 3}, (Event.FAIL, "worker_lost")),
        ({"attempts": 3, "max_attempts": 10, "crashes": MOST_CRASHES}, (Event.FAIL, "poisonous")),
        ({"attempts": 9, "max_attempts": 10, "crashes": MOST_CRASHES - 1}, (Event.PUT_BACK, "")),
    ],
)
def test_what_follows_a_lost_lease(facts: dict[str, object], verdict: tuple[Event, str]) -> None:
    assert lost(**facts) == verdict


@given(
    cancel=st.booleans(),
    on_crash=st.sampled_from(OnCrash),
    attempts=st.integers(1, 30),
    most=st.integers(1, 30),
    crashes=st.integers(1, 30),
)
def test_a_job_is_put_back_only_while_it_may_be_called_again(
    *, cancel: bool, on_crash: OnCrash, attempts: int, most: int, crashes: int
) -> None:
    event, _ = lost(cancel_requested=cancel, on_crash=on_crash, attempts=attempts, max_attempts=most, crashes=crashes)
    may = not cancel and on_crash is OnCrash.RETRY and attempts < most and crashes < MOST_CRASHES
    assert (event is Event.PUT_BACK) == may


@given(st.integers(0, 1000), st.floats(0, 0.999), st.none() | st.floats(0, 3600))
def test_a_rest_is_bounded_and_as_long_as_was_asked_for(attempt: int, jitter: float, retry_after: float | None) -> None:
    delay = retry_delay_ms(attempt, jitter=jitter, retry_after=retry_after)
    asked = int((retry_after or 0) * 1000)
    assert max(500, asked) <= delay <= max(60_000, asked)
