"""From the counts of jobs, swaps and refusals to Prometheus' metric families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.telemetry.rows import make_counter, make_gauge, make_histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.work import WorkMetrics


def work_families(seen: WorkMetrics) -> Iterator[Metric]:
    """Everything that is counted besides exchanges."""
    yield from _jobs(seen)
    yield from _reliability(seen)
    yield make_counter(
        "swaps",
        "Models brought into (load) or put out of (unload) a local backend's memory.",
        ("backend", "operation", "outcome"),
        seen.swaps.items(),
    )
    yield make_histogram(
        "model_load", "How long those loads took whose time is known.", ("backend",), seen.loads.items()
    )
    yield make_counter(
        "requests_refused",
        "Requests that got an error instead of an answer, at the door or behind it.",
        ("status", "code"),
        seen.refusals.items(),
    )


def _jobs(seen: WorkMetrics) -> Iterator[Metric]:
    yield make_counter(
        "jobs_submitted",
        "Jobs that were accepted, to wait or to run at once.",
        ("task_type", "way"),
        seen.submitted.items(),
    )
    yield make_counter(
        "jobs",
        "Jobs that ended. model is empty where nobody answered.",
        ("status", "task_type", "model"),
        seen.jobs.items(),
    )
    yield make_histogram("job_duration", "From a job's submission to its end.", ("task_type",), seen.durations.items())
    yield make_histogram(
        "job_wait", "From a job's submission to the start of its first attempt.", ("task_type",), seen.waits.items()
    )
    waiting = seen.pending
    if waiting is not None:
        yield make_gauge(
            "jobs_pending",
            "Jobs that wait, by priority; absent while the database does not answer.",
            ("priority",),
            (((str(priority),), waiting.get(priority, 0)) for priority in sorted({*range(1, 11), *waiting})),
        )


def _reliability(seen: WorkMetrics) -> Iterator[Metric]:
    yield make_counter("job_attempts", "Attempts of workers at jobs.", ("outcome",), seen.dispatches.items())
    yield make_counter("job_retries", "Attempts that were not their job's first.", (), [((), seen.redispatches)])
    yield make_counter(
        "lease_losses", "Leases that this process could not renew in time.", (), [((), seen.leases_lost)]
    )
    yield make_counter("fenced_writes", "Writes with a stale fence, turned away.", (), [((), seen.writes_fenced)])
    yield make_counter("swept", "What sweeps put right, by kind.", ("what",), seen.sweeps.items())
    yield make_counter("webhooks", "Tries to deliver a webhook.", ("outcome",), seen.webhooks.items())
