"""What a run of cases comes to, by model: counts, latencies, tokens, cost, matches, scores of a judge. Pure.

Latencies are as the caller saw them, of answers alone; percentiles are by nearest rank.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from junto.cli.output import short_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_P50: Final = 50
_P95: Final = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one case at one model. `failure` says why there is no answer; `score` is the judge's, or None with a reason."""

    case_id: str
    model: str  # as it was asked for
    failure: str = ""
    answered_by: str = ""  # BACKEND/MODEL
    request_id: str = ""
    text: str = ""
    finish_reason: str = ""
    latency_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: Decimal = Decimal(0)
    expected: str | None = None
    score: float | None = None
    judge_reason: str = ""
    judge_failure: str = ""
    judge_cost_usd: Decimal = Decimal(0)

    @property
    def is_exact(self) -> bool:
        """Whether the answer is what was expected, spaces around it aside."""
        return self.expected is not None and self.text.strip() == self.expected.strip()

    @property
    def has_expected(self) -> bool:
        """Whether what was expected is somewhere in the answer, in capitals or not."""
        return self.expected is not None and self.expected.strip().casefold() in self.text.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one model. Those of answers are None where there is none; `exact` and `contains` are of `expecting`."""

    model: str
    count: int
    failures: int
    latency_ms_avg: int | None
    latency_ms_p50: int | None
    latency_ms_p95: int | None
    tokens_in: int
    tokens_out: int
    cost_usd: Decimal
    expecting: int
    exact: int
    contains: int
    judged: int
    judge_failures: int
    judge_score: float | None
    judge_cost_usd: Decimal


def figures_of(models: Sequence[str], outcomes: Iterable[Outcome]) -> list[Figures]:
    """One for each model, in their order, also for those that nothing came of."""
    by_model: dict[str, list[Outcome]] = {model: [] for model in models}
    for outcome in outcomes:
        by_model[outcome.model].append(outcome)
    return [_figures(model, of_model) for model, of_model in by_model.items()]


def percentile(ascending: Sequence[int], percent: int) -> int | None:
    """The value that so many per cent do not exceed, by nearest rank; None of nothing."""
    if not ascending:
        return None
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]


def _figures(model: str, outcomes: list[Outcome]) -> Figures:
    answers = [one for one in outcomes if not one.failure]
    latencies = sorted(one.latency_ms for one in answers)
    expecting = [one for one in answers if one.expected is not None]
    scores = [one.score for one in answers if one.score is not None]
    return Figures(
        model=model,
        count=len(outcomes),
        failures=len(outcomes) - len(answers),
        latency_ms_avg=round(sum(latencies) / len(latencies)) if latencies else None,
        latency_ms_p50=percentile(latencies, _P50),
        latency_ms_p95=percentile(latencies, _P95),
        tokens_in=sum(one.tokens_in for one in answers),
        tokens_out=sum(one.tokens_out for one in answers),
        cost_usd=sum((one.cost_usd for one in answers), Decimal(0)),
        expecting=len(expecting),
        exact=sum(one.is_exact for one in expecting),
        contains=sum(one.has_expected for one in expecting),
        judged=len(scores),
        judge_failures=sum(bool(one.judge_failure) for one in answers),
        judge_score=sum(scores) / len(scores) if scores else None,
        judge_cost_usd=sum((one.judge_cost_usd for one in answers), Decimal(0)),
    )


def document_of(value: Figures | Outcome) -> dict[str, Any]:
    """The same as JSON: amounts as text, an answer with whether it matches where something was expected of it."""
    told = {field.name: getattr(value, field.name) for field in fields(value)}
    told = {name: usd(held) if isinstance(held, Decimal) else held for name, held in told.items()}
    if isinstance(value, Outcome) and value.expected is not None and not value.failure:
        told |= {"exact": value.is_exact, "contains": value.has_expected}
    return told


def usd(amount: Decimal) -> str:
    """Dollars, as many places as they need."""
    return short_usd(f"{amount:f}")


def table_of(figures: Sequence[Figures]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows; columns that nothing was asked for are left out."""
    columns = ["model", "cases", "failed", "avg ms", "p50", "p95", "in", "out", "usd"]
    expects, judges = any(one.expecting for one in figures), any(one.judged or one.judge_failures for one in figures)
    columns += [*(("exact", "contains") if expects else ()), *(("judge", "judge usd") if judges else ())]
    rows = []
    for one in figures:
        row = [one.model, str(one.count), str(one.failures)]
        row += [_number(value) for value in (one.latency_ms_avg, one.latency_ms_p50, one.latency_ms_p95)]
        row += [str(one.tokens_in), str(one.tokens_out), usd(one.cost_usd)]
        row += [*((_share(one.exact, one), _share(one.contains, one)) if expects else ())]
        row += [*((_score(one), usd(one.judge_cost_usd)) if judges else ())]
        rows.append(tuple(row))
    return tuple(columns), rows


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _share(matches: int, figures: Figures) -> str:
    return f"{matches}/{figures.expecting}" if figures.expecting else "-"


def _score(figures: Figures) -> str:
    if figures.judge_score is None:
        return "-"
    return f"{figures.judge_score:.2f} of {figures.judged}"
