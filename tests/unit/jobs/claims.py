"""Claims as a worker gets them, without a database."""

from __future__ import annotations

from junto.jobs.request import JobCaller, JobRequest
from junto.ports.jobs import Claim, Job, OnCrash, Status


def a_claim(  # noqa: PLR0917
    model: str = "fake-model",
    fallback: str = "",
    runs_under: str | None = None,
    attempt: int = 1,
    prompt: str = "Who?",
    task_type: str = "bio",
    metadata: str = "{}",
    on_crash: OnCrash = OnCrash.RETRY,
    id: str = "job_1",
    fence: int = 1,
    remaining_ms: int | None = None,
) -> Claim:
    """A claim of a running job."""
    request = JobRequest(
        caller=JobCaller(client="one"), model=model, messages=({"role": "user", "content": prompt},), fallback=fallback
    )
    job = Job(
        tenant_id="default",
        id=id,
        client_id="cli_1",
        key_id="",
        task_type=task_type,
        default_route=True,
        status=Status.RUNNING,
        priority=5,
        asked_sensitivity="",
        sensitivity="internal",
        model=runs_under or model,
        local=True,
        on_crash=on_crash,
        due_ms=0,
        deadline_ms=None,
        served_order=1,
        created_ms=0,
        started_ms=0,
        finished_ms=None,
        fence=fence,
        worker="w",
        attempts=attempt,
        max_attempts=3,
        crashes=0,
        cancel_requested=False,
        tokens_so_far=0,
        error_code="",
        error_message="",
        model_used="",
        backend="",
        finish_reason="",
        tokens_in=0,
        tokens_out=0,
        latency_ms=0,
        cost_nano=0,
        prompt_version="",
        metadata=metadata,
        webhook="",
        request=request.encode(),
    )
    return Claim(job=job, worker="w", attempt=attempt, remaining_ms=remaining_ms)
