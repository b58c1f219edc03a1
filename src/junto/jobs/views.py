"""A job as its owner sees it: plain JSON-ready values, the same in every answer, event and webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core import errors
from junto.core.money import usd_from_nano
from junto.ports.jobs import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.jobs import Job, JobAttempt, JobStore
    from junto.ports.webhooks import Delivery

_NATIVE = {"worker_lost": 503, "poisonous": 503}  # codes that only jobs have


def shown(
    job: Job,
    *,
    attempts: Sequence[JobAttempt] | None = None,
    deliveries: Sequence[Delivery] = (),
    place: int | None = None,
    whole: bool = True,
) -> dict[str, Any]:
    """The job as it stands; its answer once it is complete (`whole`: it was loaded), its error once it has failed."""
    view: dict[str, Any] = {
        "job_id": job.id,
        "status": job.status.value,
        "task_type": job.task_type,
        "route": "default" if job.default_route else "task",
        "priority": job.priority,
        "sensitivity": job.sensitivity,
        "attempts": job.attempts,
        "created_ms": job.created_ms,
        "started_ms": job.started_ms,
        "finished_ms": job.finished_ms,
    }
    if job.asked_sensitivity and job.asked_sensitivity != job.sensitivity:
        view["sensitivity_raised"] = True
    if job.prompt_version:
        view["prompt_version"] = job.prompt_version
    if job.metadata not in {"", "{}"}:
        view["metadata"] = msgspec.json.decode(job.metadata)
    view |= _progress(job, place) if not job.status.is_end else _result(job, whole=whole)
    if attempts is not None:
        view["attempt_log"] = [msgspec.to_builtins(attempt) for attempt in attempts]
    if deliveries:
        view["webhooks"] = [msgspec.to_builtins(delivery) for delivery in deliveries]
    return view


class PublicView:
    """Implements ports.webhooks.PublicJobs: a job as webhooks tell of it."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def find_public(self, tenant_id: str, job_id: str) -> Mapping[str, Any] | None:
        job = await self._store.find(tenant_id, job_id)
        return None if job is None else shown(job)


def error_of(job: Job) -> errors.JuntoError:
    """The error that a failed job ended with, as one of Junto's own."""
    error = errors.JuntoError(job.error_message)
    known = _by_code().get(job.error_code)
    error.code = job.error_code
    if known is not None:
        error.status, error.type = known.status, known.type
    elif job.error_code in _NATIVE:
        error.status, error.type = _NATIVE[job.error_code], errors.Overloaded.type
    return error


def steps_of(job: Job) -> dict[str, int]:
    """How many of the parts that it is done in are done."""
    return {"done": job.steps_done, "of": job.steps}


def _progress(job: Job, place: int | None) -> dict[str, Any]:
    view: dict[str, Any] = {"poll_url": f"/jobs/{job.id}"}
    if job.steps:
        view["progress"] = steps_of(job)
    if job.status is Status.PENDING and place is not None:
        view["queue_position"] = place
    if job.tokens_so_far and job.kind is Kind.CHAT:
        view["tokens_so_far"] = job.tokens_so_far
    if job.cancel_requested:
        view["cancel_requested"] = True
    if job.deadline_ms is not None:
        view["deadline_ms"] = job.deadline_ms
    return view


def _result(job: Job, *, whole: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "model_used": job.model_used,
        "backend": job.backend,
        "tokens_in": job.tokens_in,
        "tokens_out": job.tokens_out,
        "latency_ms": job.latency_ms,
        "cost_usd": usd_from_nano(job.cost_nano),
    }
    if job.status is Status.COMPLETE:
        view["finish_reason"] = job.finish_reason
        if job.answer:
            view |= msgspec.json.decode(job.answer)
        elif whole:
            view["unreadable"] = "The stored answer cannot be read any more: the administrator's log says why."
    elif job.status is Status.FAILED:
        error = error_of(job)
        view["error"] = {"type": error.type, "code": error.code, "message": error.message}
    return view


def _by_code() -> Mapping[str, type[errors.JuntoError]]:
    """The errors of core/errors.py by their codes."""
    known: dict[str, type[errors.JuntoError]] = {}
    waiting: list[type[errors.JuntoError]] = [errors.JuntoError]
    while waiting:
        kind = waiting.pop()
        known.setdefault(kind.code, kind)
        waiting += [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return known
