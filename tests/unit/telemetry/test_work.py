"""Jobs, swaps and refusals as metrics: right numbers, and labels that no caller can fill."""

from __future__ import annotations

from typing import Any

import pytest

from junto.ports.observer import DispatchEnded, JobEnded, SwapEnded
from junto.telemetry.metrics import Metrics
from junto.telemetry.observers import Observers
from junto.telemetry.sampled import Sampled
from junto.telemetry.work import WorkMetrics
from tests.unit.telemetry.test_metrics import metrics, samples, value

JOB = JobEnded(
    id="job_1",
    tenant="default",
    client="app",
    task_type="bio_generation",
    sensitivity="internal",
    status="complete",
    priority=5,
    created_ms=1_000,
    started_ms=1_200,
    finished_ms=3_000,
    model="llama3.2:3b",
    backend="desk",
    attempts=1,
)


def told(work: WorkMetrics) -> Metrics:
    made = metrics()
    made.add(work.families)
    return made


def ended(**changes: Any) -> JobEnded:
    return JobEnded(**{name: getattr(JOB, name) for name in JOB.__struct_fields__} | changes)


def test_jobs_are_counted_by_status_task_and_model() -> None:
    work = WorkMetrics()
    work.job_submitted(task_type="bio_generation", queued=True)
    work.job_ended(JOB)
    work.job_ended(JOB)
    work.job_ended(ended(status="failed", model=""))
    shown = told(work)
    labels = {"task_type": "bio_generation"}
    assert value(shown, "jobs_submitted_total", **labels, way="queued") == 1
    assert value(shown, "jobs_total", **labels, status="complete", model="llama3.2:3b") == 2
    assert value(shown, "jobs_total", **labels, status="failed", model="") == 1
    assert value(shown, "job_duration_seconds_sum", **labels) == 6.0
    assert value(shown, "job_duration_seconds_count", **labels) == 3
    assert value(shown, "job_wait_seconds_sum", **labels) == pytest.approx(0.6)


def test_a_job_that_never_began_waited_for_nothing() -> None:
    work = WorkMetrics()
    work.job_ended(ended(started_ms=None, status="cancelled"))
    assert value(told(work), "job_wait_seconds_count", task_type="bio_generation") is None


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    work = WorkMetrics()
    work.job_ended(ended(finished_ms=0, started_ms=0))
    assert value(told(work), "job_duration_seconds_sum", task_type="bio_generation") == 0


def test_callers_cannot_fill_the_labels() -> None:
    work = WorkMetrics(most_task_types=3, most_models=2)
    for number in range(50):
        work.job_submitted(task_type=f"task {number}", queued=True)
        work.job_ended(ended(task_type=f"task {number}", model=f"model {number}"))
    shown = samples(told(work))
    series = [dict(labels) for name, labels in shown if name == "junto_jobs_total"]
    assert {each["task_type"] for each in series} == {"task 0", "task 1", "task 2", "other"}
    assert {each["model"] for each in series} == {"model 0", "model 1", "other"}
    assert sum(count for (name, _), count in shown.items() if name == "junto_jobs_total") == 50


def test_attempts_retries_leases_fences_and_sweeps() -> None:
    work = WorkMetrics()
    for number in (1, 2, 3):
        work.dispatch_ended(
            DispatchEnded(
                job_id="job_1",
                number=number,
                task_type="t",
                sensitivity="public",
                worker="w",
                outcome="ok" if number == 3 else "crashed",
                started_ms=0,
                ended_ms=1,
            )
        )
    work.lease_lost()
    work.write_fenced()
    work.swept(what="requeued", count=4)
    work.webhook_tried(outcome="delivered")
    shown = told(work)
    assert value(shown, "job_attempts_total", outcome="crashed") == 2
    assert value(shown, "job_retries_total") == 2
    assert value(shown, "lease_losses_total") == 1
    assert value(shown, "fenced_writes_total") == 1
    assert value(shown, "swept_total", what="requeued") == 4
    assert value(shown, "webhooks_total", outcome="delivered") == 1


def test_swaps_are_counted_and_timed_where_their_time_is_known() -> None:
    work = WorkMetrics()
    swap: dict[str, Any] = {"backend": "desk", "model": "llama3.2:3b", "ended_ms": 1}
    work.swap_ended(SwapEnded(**swap, operation="load", milliseconds=2_500))
    work.swap_ended(SwapEnded(**swap, operation="load", milliseconds=None))
    work.swap_ended(SwapEnded(**swap, operation="load", milliseconds=9, failure="connect"))
    work.swap_ended(SwapEnded(**swap, operation="unload", milliseconds=3))
    shown = told(work)
    assert value(shown, "swaps_total", backend="desk", operation="load", outcome="ok") == 2
    assert value(shown, "swaps_total", backend="desk", operation="load", outcome="failed") == 1
    assert value(shown, "model_load_seconds_sum", backend="desk") == 2.5
    assert value(shown, "model_load_seconds_count", backend="desk") == 1


def test_refusals_are_counted_by_status_and_code() -> None:
    work = WorkMetrics()
    observers = Observers(refusals=[work])
    for _ in range(3):
        observers.request_refused(status=401, code="invalid_api_key")
    assert value(told(work), "requests_refused_total", status="401", code="invalid_api_key") == 3


def test_waiting_jobs_are_shown_for_every_priority_or_not_at_all() -> None:
    assert value(told(WorkMetrics(pending=lambda: {5: 7})), "jobs_pending", priority="5") == 7
    assert value(told(WorkMetrics(pending=lambda: {5: 7})), "jobs_pending", priority="1") == 0
    assert value(told(WorkMetrics(pending=lambda: None)), "jobs_pending", priority="1") is None


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0


@pytest.mark.anyio
async def test_a_figure_is_asked_for_once_a_second_and_missing_while_nobody_answers() -> None:
    clock = Clock()
    answers: list[int | OSError] = [1, OSError("away"), 3]
    asked: list[float] = []

    async def ask() -> int:
        asked.append(clock.now)
        answer = answers[len(asked) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer

    figure = Sampled(ask, clock=clock)
    seen = []
    for moment in (100.0, 100.5, 101.5, 103.0):
        clock.now = moment
        await figure.refresh()
        seen.append(figure.value)
    assert (seen, asked) == ([1, 1, None, 3], [100.0, 101.5, 103.0])
