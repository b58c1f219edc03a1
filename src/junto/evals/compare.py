"""Models beside each other: what they did, what it cost, how good people and judges found it, and whether that is enough to tell.

`rows_of` and `conclusion` are pure; `Comparison` reads. Interval arithmetic is statistics/'s, percentiles are latency.py's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.periods import DAY_MS, day_of
from junto.evals.latency import percentile
from junto.evals.statistics import Interval, mean_interval, rate_interval
from junto.ports.figures import FigureQuery, Figures
from junto.ports.scores import TallyQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.clock import Clock
    from junto.ports.figures import FigureStore
    from junto.ports.scores import ScoreStore, Tally, VerdictTally
    from junto.ports.subjects import Kind

CONFIDENCE: Final = 0.95
ENOUGH: Final = 20  # scores, or verdicts, of each: below, the intervals are about as wide as the scale
_EVEN: Final = 0.5
_FEWEST: Final = 2  # models, for there to be anything to compare

type _Which = tuple[str, Kind]


class WinRate(msgspec.Struct, frozen=True, kw_only=True):
    """The share of pairwise verdicts that were won; a tie is half of one."""

    rate: Interval
    wins: int
    losses: int
    ties: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of one model's answers of one kind. Averages are of whole answers, None where there is none."""

    model: str
    kind: Kind
    attempts: int
    failures: int
    job_count: int  # answers, of jobs and of requests
    avg_latency_ms: float | None
    p50: float | None
    p95: float | None
    avg_tokens_in: float | None
    avg_tokens_out: float | None
    cost_per_job_nano: int | None
    score: Interval
    scores_by_via: Mapping[str, tuple[float, int]]  # the mean, and of how many
    wins: WinRate

    @property
    def failure_rate(self) -> float | None:
        """Of the attempts; None where nobody tried."""
        return self.failures / self.attempts if self.attempts else None

    @property
    def name(self) -> str:
        """The model, and that it only was a shadow where it was."""
        return self.model if self.kind == "production" else f"{self.model} (shadow)"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: `enough` evidence or not, and what it says, as a sentence."""

    rows: Sequence[Row]
    enough: bool
    note: str


class Comparison:
    """Reads what there is and puts it side by side."""

    def __init__(self, figures: FigureStore, scores: ScoreStore, clock: Clock) -> None:
        self._figures = figures
        self._scores = scores
        self._clock = clock

    async def compare(self, *, task_type: str | None, days: int, kind: Kind | None = None) -> Compared:
        """Of the last so many days in UTC, today included; of one task, or of all traffic."""
        since_ms = (self._clock.wall_ms() // DAY_MS - (days - 1)) * DAY_MS
        asked = FigureQuery(since_day=day_of(since_ms), task_type=task_type, kind=kind)
        counted = TallyQuery(task_type=task_type, since_ms=since_ms)
        figures = await self._figures.figures(asked)
        tallies = await self._scores.tallies(counted)
        verdicts = await self._scores.verdict_tallies(counted)
        rows = [row for row in rows_of(figures, tallies, verdicts) if kind is None or row.kind is kind]
        enough, note = conclusion(rows, days=days)
        return Compared(rows=rows, enough=enough, note=note)


def rows_of(figures: Sequence[Figures], tallies: Sequence[Tally], verdicts: Sequence[VerdictTally]) -> list[Row]:
    """One row for each model and kind that anything is known of: those with the most answers first."""
    did = {(each.model, each.kind): each for each in figures}
    scored: dict[_Which, list[Tally]] = defaultdict(list)
    for tally in tallies:
        scored[tally.model, tally.kind].append(tally)
    judged: dict[_Which, list[VerdictTally]] = defaultdict(list)
    for verdict in verdicts:
        judged[verdict.model, verdict.kind].append(verdict)
    known = did.keys() | scored.keys() | judged.keys()
    rows = [
        _row(did.get(which) or Figures(model=which[0], kind=which[1]), scored[which], judged[which]) for which in known
    ]
    return sorted(rows, key=lambda row: (-row.job_count, row.model, row.kind.value))


def conclusion(rows: Sequence[Row], *, days: int) -> tuple[bool, str]:
    """Whether there is enough evidence to compare by, and what it says."""
    if not rows:
        return False, f"There is nothing to compare: no model did anything of this in the last {days} days."
    if len(rows) < _FEWEST:
        return False, f"There is nothing to compare with: only {rows[0].name} did anything of this."
    by_score = [row for row in rows if row.score.n >= ENOUGH]
    if len(by_score) >= _FEWEST:
        return True, _by_score(by_score)
    by_verdict = [row for row in rows if row.wins.rate.n >= ENOUGH]
    if len(by_verdict) >= _FEWEST:
        return True, _by_verdict(by_verdict)
    known = "; ".join(f"{row.name} has {row.score.n} scores and {row.wins.rate.n} verdicts" for row in rows[:5])
    return (
        False,
        f"Too little evidence of quality: {known}. From {ENOUGH} of either on, each, there is something to tell.",
    )


def _row(did: Figures, tallies: Sequence[Tally], verdicts: Sequence[VerdictTally]) -> Row:
    wins, losses, ties = (sum(getattr(each, name) for each in verdicts) for name in ("wins", "losses", "ties"))
    answers = did.answers
    return Row(
        model=did.model,
        kind=did.kind,
        attempts=did.attempts,
        failures=did.failures,
        job_count=answers,
        avg_latency_ms=did.latency_ms / answers if answers else None,
        p50=percentile(did.latencies, 50),
        p95=percentile(did.latencies, 95),
        avg_tokens_in=did.tokens_in / answers if answers else None,
        avg_tokens_out=did.tokens_out / answers if answers else None,
        cost_per_job_nano=round(did.cost_nano / answers) if answers else None,
        score=mean_interval([sum(each.counts[place] for each in tallies) for place in range(5)], CONFIDENCE),
        scores_by_via={each.via.value: _mean(each.counts) for each in tallies if any(each.counts)},
        wins=WinRate(rate=rate_interval(wins, ties, losses, CONFIDENCE), wins=wins, losses=losses, ties=ties),
    )


def _mean(counts: Sequence[int]) -> tuple[float, int]:
    scored = sum(counts)
    return sum(count * score for score, count in enumerate(counts, start=1)) / scored, scored


def _by_score(rows: Sequence[Row]) -> str:
    """What the scores say of the best and of the one after it."""
    best, second = sorted(rows, key=lambda row: -(row.score.mean or 0))[:2]
    told = f"{best.name} is scored {_told(best.score)}, {second.name} {_told(second.score)}"
    if best.score.low > second.score.high:
        return f"{told}: better by more than chance would explain."
    return f"{told}: the intervals overlap, so no difference is shown."


def _by_verdict(rows: Sequence[Row]) -> str:
    best = max(rows, key=lambda row: row.wins.rate.mean or 0)
    rate = best.wins.rate
    told = f"{best.name} wins {_percent(rate.mean or 0)} of its comparisons ({_percent(rate.low)} to {_percent(rate.high)})"
    if rate.low > _EVEN:
        return f"{told}: more than chance would explain."
    return f"{told}: no more than chance would explain, so no difference is shown."


def _told(score: Interval) -> str:
    return f"{score.mean or 0:.2f} ({score.low:.2f} to {score.high:.2f}, of {score.n})"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
