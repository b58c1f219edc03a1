"""The life of a job as a table, and the few rules on top of it. Pure: the database applies it, nobody goes around it.

pending --claim--> running --complete--> complete
   |  ^               |-----fail-------> failed
   |  '---put back----|-----cancel-----> cancelled
   |-----fail (deadline)---------------> failed
   '-----cancel------------------------> cancelled
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from junto.ports.jobs import OnCrash, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.ports.jobs import Ending, Job

MOST_CRASHES: Final = 3
_FIRST_DELAY_MS = 1_000
_LONGEST_DELAY_MS = 60_000
_MOST_DOUBLINGS = 10


class Event(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    PUT_BACK = "put_back"  # after a failed attempt, a lost lease, or a worker that stops
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


TRANSITIONS: Final[Mapping[tuple[Status, Event], Status]] = {
    (Status.PENDING, Event.CLAIM): Status.RUNNING,
    (Status.PENDING, Event.FAIL): Status.FAILED,
    (Status.PENDING, Event.CANCEL): Status.CANCELLED,
    (Status.RUNNING, Event.PUT_BACK): Status.PENDING,
    (Status.RUNNING, Event.COMPLETE): Status.COMPLETE,
    (Status.RUNNING, Event.FAIL): Status.FAILED,
    (Status.RUNNING, Event.CANCEL): Status.CANCELLED,
}


def ended(job: Job, ending: Ending, finished_ms: int) -> Job:
    """A running job as it stands when that ending is written down."""
    return msgspec.structs.replace(
        job,
        status=ending.status,
        finished_ms=finished_ms,
        cancel_requested=False,
        error_code=ending.error_code,
        error_message=ending.error_message,
        model_used=ending.model,
        backend=ending.backend,
        finish_reason=ending.finish_reason,
        tokens_in=ending.usage.prompt,
        tokens_out=ending.usage.output,
        tokens_so_far=ending.usage.output,
        latency_ms=ending.latency_ms,
        cost_nano=ending.cost_nano,
        request=b"",
        answer=ending.answer,
    )


def after(status: Status, event: Event) -> Status | None:
    """The next status; None where the event cannot happen to a job in that status."""
    return TRANSITIONS.get((status, event))


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a job; the error is "" where it is none."""

    event: Event
    error_code: str = ""
    error_message: str = ""


def after_lost_lease(
    *, cancel_requested: bool, on_crash: OnCrash, attempts: int, max_attempts: int, crashes: int
) -> Verdict:
    """What becomes of a job whose worker went silent; `crashes` counts this one too."""
    if cancel_requested:
        return Verdict(Event.CANCEL)
    if on_crash is OnCrash.FAIL:
        return Verdict(Event.FAIL, "worker_lost", "The worker was lost, and the job is not to be run twice.")
    if crashes >= MOST_CRASHES:
        return Verdict(Event.FAIL, "poisonous", f"The job was set aside: {crashes} workers were lost while running it.")
    if attempts >= max_attempts:
        return Verdict(Event.FAIL, "worker_lost", f"The worker was lost on the last of {attempts} attempts.")
    return Verdict(Event.PUT_BACK)


def retry_delay_ms(attempt: int, *, jitter: float, retry_after: float | None = None) -> int:
    """How long a job rests after that attempt failed: doubling from 1 s to 1 min, half of it by chance; `jitter` is in [0, 1)."""
    longest = min(_FIRST_DELAY_MS << min(max(attempt, 1) - 1, _MOST_DOUBLINGS), _LONGEST_DELAY_MS)
    return max(longest // 2 + int(longest / 2 * jitter), int((retry_after or 0) * 1000))
