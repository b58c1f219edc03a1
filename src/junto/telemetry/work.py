"""Counts what happens to jobs, models and refused requests, and gives it as metric families.

Implements ports.observer's JobObserver, SwapObserver and RefusalObserver. Task types are callers' words, so only the first ones
get a label of their own; the rest are counted together, and no label can be filled without bound.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from junto.telemetry.accumulators import Histogram
from junto.telemetry.work_families import work_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from junto.ports.observer import DispatchEnded, JobEnded, SwapEnded

OTHER = "other"
# Upper bounds, milliseconds: a job may wait for a night.
JOB_BOUNDS = (
    *(100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000),
    *(1_800_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000),
)
LOAD_BOUNDS = (100, 250, 500, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000)
_MOST_TASK_TYPES = 100
_MOST_MODELS = 1_000
_MOST_WORDS = 100


class Words:
    """Up to `most` different words; each further one is `other`."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, word: str) -> str:
        """The word, or `other`."""
        if word in self._known:
            return word
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(word)
        return word


class WorkMetrics:
    """What was counted since the start. `pending` gives the jobs that wait by priority; None while nobody knows."""

    def __init__(
        self,
        *,
        pending: Callable[[], Mapping[int, int] | None] = lambda: None,
        most_task_types: int = _MOST_TASK_TYPES,
        most_models: int = _MOST_MODELS,
    ) -> None:
        self._pending = pending
        self._task_types = Words(most_task_types)
        self._models = Words(most_models)
        self._words = Words(_MOST_WORDS)
        self.submitted: Counter[tuple[str, str]] = Counter()
        self.jobs: Counter[tuple[str, str, str]] = Counter()
        self.durations: dict[tuple[str, ...], Histogram] = {}
        self.waits: dict[tuple[str, ...], Histogram] = {}
        self.dispatches: Counter[tuple[str]] = Counter()
        self.redispatches = 0
        self.leases_lost = 0
        self.writes_fenced = 0
        self.sweeps: Counter[tuple[str]] = Counter()
        self.webhooks: Counter[tuple[str]] = Counter()
        self.swaps: Counter[tuple[str, str, str]] = Counter()
        self.loads: dict[tuple[str, ...], Histogram] = {}
        self.refusals: Counter[tuple[str, str]] = Counter()

    @property
    def pending(self) -> Mapping[int, int] | None:
        """Jobs that wait now, by priority."""
        return self._pending()

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        return work_families(self)

    def job_submitted(self, *, task_type: str, queued: bool) -> None:
        self.submitted[self._task_types.of(task_type), "queued" if queued else "at_once"] += 1

    def dispatch_ended(self, dispatch: DispatchEnded) -> None:
        self.dispatches[self._words.of(dispatch.outcome),] += 1
        if dispatch.number > 1:
            self.redispatches += 1

    def job_ended(self, job: JobEnded) -> None:
        task_type = self._task_types.of(job.task_type)
        self.jobs[self._words.of(job.status), task_type, self._models.of(job.model)] += 1
        _observe(self.durations, task_type, JOB_BOUNDS, job.finished_ms - job.created_ms)
        if job.started_ms is not None:
            _observe(self.waits, task_type, JOB_BOUNDS, job.started_ms - job.created_ms)

    def lease_lost(self) -> None:
        self.leases_lost += 1

    def write_fenced(self) -> None:
        self.writes_fenced += 1

    def swept(self, *, what: str, count: int) -> None:
        self.sweeps[self._words.of(what),] += count

    def webhook_tried(self, *, outcome: str) -> None:
        self.webhooks[self._words.of(outcome),] += 1

    def swap_ended(self, swap: SwapEnded) -> None:
        backend = self._models.of(swap.backend)
        self.swaps[backend, swap.operation, "failed" if swap.failure else "ok"] += 1
        if swap.operation == "load" and not swap.failure and swap.milliseconds is not None:
            _observe(self.loads, backend, LOAD_BOUNDS, swap.milliseconds)

    def request_refused(self, *, status: int, code: str) -> None:
        self.refusals[str(status), self._words.of(code)] += 1


def _observe(
    histograms: dict[tuple[str, ...], Histogram], label: str, bounds: tuple[int, ...], milliseconds: int
) -> None:
    histogram = histograms.get((label,))
    if histogram is None:
        histogram = histograms[label,] = Histogram(bounds)
    histogram.observe(max(milliseconds, 0))
