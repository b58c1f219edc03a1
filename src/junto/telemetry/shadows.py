"""Counts shadows by task, candidate and how they end, and gives it as metric families.

Implements ports.shadows.ShadowObserver. Tasks and candidates are the operator's words, but the default route serves any task a caller
names: only the first ones get labels of their own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from junto.telemetry.shadow_families import shadow_families
from junto.telemetry.work import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

_MOST_WORDS: Final = 100


class ShadowMetrics:
    """What was counted since the start, and what waited at the last look."""

    def __init__(self, *, most_words: int = _MOST_WORDS) -> None:
        self._tasks = Words(most_words)
        self._models = Words(most_words)
        self.sampled: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[tuple[str, str, str, str]] = Counter()
        self.waiting: Counter[tuple[str, str]] = Counter()

    def shadow_sampled(self, *, task_type: str, model: str) -> None:
        self.sampled[self._tasks.of(task_type), self._models.of(model)] += 1

    def shadow_ended(self, *, task_type: str, model: str, status: str, reason: str) -> None:
        self.ended[self._tasks.of(task_type), self._models.of(model), status, reason] += 1

    def shadows_wait(self, waiting: Mapping[tuple[str, str], int]) -> None:
        counted = Counter(dict.fromkeys(self.waiting, 0))
        for (task_type, model), count in waiting.items():
            counted[self._tasks.of(task_type), self._models.of(model)] += count
        self.waiting = counted

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        return shadow_families(self)
