"""Models beside each other, for the administrator: what they did, what it cost, and how good it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from junto.core.money import usd_from_nano
from junto.ports.subjects import Kind
from junto.ports.summaries import LONGEST_DAYS
from junto.web.deps import Admin, Services

if TYPE_CHECKING:
    from junto.evals.compare import Row
    from junto.evals.statistics import Interval

router = APIRouter(tags=["evidence"])


@router.get("/eval/compare")
async def compare(
    services: Services,
    _: Admin,
    task_type: Annotated[str | None, Query(max_length=200)] = None,
    days: Annotated[int, Query(ge=1, le=LONGEST_DAYS)] = 30,
    kind: Kind | None = None,
) -> dict[str, Any]:
    """Each model of a task (or of all traffic), as production and as a shadow, and whether that is enough to tell them apart."""
    compared = await services.evidence.comparison.compare(task_type=task_type, days=days, kind=kind)
    return {
        "task_type": task_type,
        "days": days,
        "models": [_row(row) for row in compared.rows],
        "enough": compared.enough,
        "note": compared.note,
    }


def _row(row: Row) -> dict[str, Any]:
    wins = row.wins
    return {
        "model": row.model,
        "kind": row.kind.value,
        "job_count": row.job_count,
        "attempts": row.attempts,
        "failures": row.failures,
        "failure_rate": _rounded(row.failure_rate, 4),
        "avg_latency_ms": _rounded(row.avg_latency_ms, 1),
        "p50": row.p50,
        "p95": row.p95,
        "avg_tokens_in": _rounded(row.avg_tokens_in, 1),
        "avg_tokens_out": _rounded(row.avg_tokens_out, 1),
        "cost_per_job_usd": None if row.cost_per_job_nano is None else usd_from_nano(row.cost_per_job_nano),
        "avg_score": {
            "mean": _rounded(row.score.mean, 3),
            **_interval(row.score),
            "by_via": {via: {"mean": round(mean, 3), "n": n} for via, (mean, n) in row.scores_by_via.items()},
        },
        "win_rate": {
            "rate": _rounded(wins.rate.mean, 3),
            **_interval(wins.rate),
            "wins": wins.wins,
            "losses": wins.losses,
            "ties": wins.ties,
        },
    }


def _interval(interval: Interval) -> dict[str, Any]:
    """Its bounds; of nothing there are none, whatever was believed before."""
    known = interval.n > 0
    return {
        "low": _rounded(interval.low, 3) if known else None,
        "high": _rounded(interval.high, 3) if known else None,
        "n": interval.n,
    }


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)
