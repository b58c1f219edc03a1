"""What observers are told of jobs: names, numbers and outcomes, never content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.jobs.request import decode_request
from junto.ports.observer import DispatchEnded, JobEnded

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord
    from junto.ports.jobs import AttemptOutcome, Claim, Ending, Job


def dispatch_of(  # noqa: PLR0917  the facts of a dispatch
    claim: Claim, outcome: AttemptOutcome, code: str, record: ExchangeRecord | None, started_ms: int, ended_ms: int
) -> DispatchEnded:
    """One attempt of a worker."""
    return DispatchEnded(
        job_id=claim.job.id,
        number=claim.attempt,
        task_type=claim.job.task_type,
        sensitivity=claim.job.sensitivity,
        worker=claim.worker,
        outcome=outcome.value,
        started_ms=started_ms,
        ended_ms=ended_ms,
        model="" if record is None else record.model,
        backend="" if record is None else record.backend,
        error_code=code,
        swap_ms=0 if record is None else swap_of(record),
    )


def swap_of(record: ExchangeRecord) -> int:
    """Milliseconds in which models were brought into memory for that exchange."""
    return sum(attempt.swap_ms for attempt in record.attempts)


def ended_of(claim: Claim, ending: Ending, finished_ms: int) -> JobEnded:
    """A job that a worker has ended."""
    job = claim.job
    return JobEnded(
        id=job.id,
        tenant=job.tenant_id,
        client=decode_request(job.request).caller.client,
        task_type=job.task_type,
        sensitivity=job.sensitivity,
        status=ending.status.value,
        priority=job.priority,
        created_ms=job.created_ms,
        finished_ms=finished_ms,
        started_ms=job.started_ms,
        model=ending.model,
        backend=ending.backend,
        attempts=claim.attempt,
        error_code=ending.error_code,
    )


def ended_unrun(job: Job) -> JobEnded:
    """A job that ended without a worker: cancelled, out of time, or set aside."""
    return JobEnded(
        id=job.id,
        tenant=job.tenant_id,
        client=job.client_id,
        task_type=job.task_type,
        sensitivity=job.sensitivity,
        status=job.status.value,
        priority=job.priority,
        created_ms=job.created_ms,
        finished_ms=job.finished_ms or job.created_ms,
        started_ms=job.started_ms,
        attempts=job.attempts,
        error_code=job.error_code,
    )
