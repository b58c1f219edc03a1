"""Counts judgements by mode and how they end, and verdicts by judge, and gives it as metric families.

Implements ports.observer's JudgeObserver. Judges are named by the administrator: only the first ones get a label of their own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from junto.telemetry.judge_families import judge_families
from junto.telemetry.work import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.ports.observer import JudgementEnded

_MOST_WORDS: Final = 100


class JudgeMetrics:
    """What was counted since the start."""

    def __init__(self, *, most_words: int = _MOST_WORDS) -> None:
        self._judges = Words(most_words)
        self.judgements: Counter[tuple[str, str]] = Counter()
        self.verdicts: Counter[tuple[str, str, str]] = Counter()
        self.tokens: Counter[tuple[str]] = Counter()
        self.nano: Counter[tuple[str]] = Counter()

    def judgement_ended(self, judgement: JudgementEnded) -> None:
        self.judgements[judgement.mode, judgement.outcome] += 1
        for judge, outcome in judgement.judges:
            self.verdicts[judgement.mode, self._judges.of(judge), outcome] += 1
        self.tokens[judgement.mode,] += judgement.tokens
        self.nano[judgement.mode,] += judgement.cost_nano

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        return judge_families(self)
