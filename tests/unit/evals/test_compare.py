"""Models beside each other, and whether there is enough to tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.evals.compare import ENOUGH, Comparison, conclusion, rows_of
from junto.evals.latency import bucket_of
from junto.ports.figures import FigureQuery, Figures
from junto.ports.scores import Tally, VerdictTally, Via
from junto.ports.subjects import Kind

from .stage import Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z
DAY = 24 * 60 * 60 * 1000
PRODUCTION, SHADOW = Kind.PRODUCTION, Kind.SHADOW


def figures(model: str, kind: Kind = PRODUCTION, answers: int = 100) -> Figures:
    return Figures(
        model=model,
        kind=kind,
        attempts=answers + 25,
        failures=25,
        answers=answers,
        latency_ms=answers * 200,
        tokens_in=answers * 30,
        tokens_out=answers * 7,
        cost_nano=answers * 1_500_000,
        latencies={bucket_of(100): answers - answers // 10, bucket_of(1100): answers // 10},
    )


def tally(model: str, counts: tuple[int, int, int, int, int], kind: Kind = PRODUCTION, via: Via = Via.ADMIN) -> Tally:
    return Tally(model=model, kind=kind, via=via, counts=counts)


def verdicts(wins: int, losses: int, ties: int) -> list[VerdictTally]:
    """Of the production model "a" against the shadow "b", seen from both sides."""
    return [
        VerdictTally(
            model="a", kind=PRODUCTION, rival="b", rival_kind=SHADOW, via=Via.ADMIN, wins=wins, losses=losses, ties=ties
        ),
        VerdictTally(
            model="b", kind=SHADOW, rival="a", rival_kind=PRODUCTION, via=Via.ADMIN, wins=losses, losses=wins, ties=ties
        ),
    ]


def test_a_row_has_the_averages_of_what_was_counted() -> None:
    (row,) = rows_of([figures("a")], [], [])
    assert (row.job_count, row.failure_rate) == (100, 25 / 125)
    assert (row.avg_latency_ms, row.avg_tokens_in, row.avg_tokens_out) == (200, 30, 7)
    assert row.cost_per_job_nano == 1_500_000
    assert row.p50 == pytest.approx(100, rel=0.03)
    assert row.p95 == pytest.approx(1100, rel=0.03)


def test_scores_of_all_ways_count_together_and_are_shown_by_way() -> None:
    (row,) = rows_of([], [tally("a", (0, 0, 0, 0, 6)), tally("a", (2, 0, 0, 0, 0), via=Via.JUDGE)], [])
    assert (row.score.mean, row.score.n) == (4, 8)
    assert row.scores_by_via == {"admin": (5, 6), "judge": (1, 2)}
    assert row.score.low < 4 < row.score.high


def test_a_model_is_apart_as_production_and_as_a_shadow() -> None:
    rows = rows_of([figures("a"), figures("a", SHADOW, 7)], [tally("a", (0, 0, 1, 0, 0), SHADOW)], [])
    assert [(row.kind, row.job_count, row.score.n) for row in rows] == [(PRODUCTION, 100, 0), (SHADOW, 7, 1)]


def test_a_win_rate_counts_a_tie_as_half() -> None:
    row = rows_of([], [], verdicts(wins=6, losses=2, ties=4))[0]
    assert (row.wins.rate.mean, row.wins.rate.n) == (8 / 12, 12)
    assert (row.wins.wins, row.wins.losses, row.wins.ties) == (6, 2, 4)


def test_of_nothing_there_are_no_averages() -> None:
    (row,) = rows_of([], [tally("a", (0, 0, 1, 0, 0))], [])
    assert {row.avg_latency_ms, row.p50, row.p95, row.failure_rate, row.cost_per_job_nano} == {None}


def test_where_nobody_did_anything_that_is_said() -> None:
    enough, note = conclusion([], days=30)
    assert not enough
    assert "nothing to compare" in note


def test_one_model_alone_is_compared_with_nothing() -> None:
    enough, note = conclusion(rows_of([figures("a")], [tally("a", (0, 0, 0, 0, 99))], []), days=30)
    assert not enough
    assert "only a" in note


@pytest.mark.parametrize("scored", [0, 3, ENOUGH - 1])
def test_with_too_few_scores_it_says_so_and_how_many_there_are(scored: int) -> None:
    tallies = [tally("a", (0, 0, 0, 0, 500)), tally("b", (scored, 0, 0, 0, 0), SHADOW)]
    enough, note = conclusion(rows_of([figures("a"), figures("b", SHADOW)], tallies, []), days=30)
    assert not enough
    assert "Too little evidence" in note
    assert f"b (shadow) has {scored} scores" in note


def test_with_enough_it_says_which_is_better_by_more_than_chance() -> None:
    tallies = [tally("a", (0, 0, 0, 40, 60)), tally("b", (60, 40, 0, 0, 0), SHADOW)]
    enough, note = conclusion(rows_of([], tallies, []), days=30)
    assert enough
    assert note.startswith("a is scored 4.60")
    assert "more than chance" in note


def test_where_intervals_overlap_no_difference_is_claimed() -> None:
    tallies = [tally("a", (4, 4, 4, 4, 4)), tally("b", (4, 4, 4, 5, 4), SHADOW)]
    enough, note = conclusion(rows_of([], tallies, []), days=30)
    assert enough
    assert "no difference is shown" in note


@pytest.mark.parametrize(("wins", "losses", "says"), [(40, 2, "more than chance"), (12, 11, "no difference is shown")])
def test_verdicts_alone_are_enough_too(wins: int, losses: int, says: str) -> None:
    enough, note = conclusion(rows_of([], [], verdicts(wins, losses, ties=2)), days=30)
    assert enough
    assert says in note


class _Figures:
    def __init__(self) -> None:
        self.asked: list[FigureQuery] = []

    async def figures(self, query: FigureQuery, *, latencies: bool = True) -> Sequence[Figures]:
        self.asked.append(query)
        return [figures("a"), figures("b", SHADOW)]


class _Clock:
    def wall_ms(self) -> int:
        return NOON

    def monotonic(self) -> float:
        return 0.0


async def test_days_are_whole_ones_in_utc_with_today_for_figures_and_scores_alike() -> None:
    read, scores = _Figures(), Scores()
    compared = await Comparison(read, scores, _Clock()).compare(task_type="mail", days=2, kind=SHADOW)
    assert read.asked == [FigureQuery(since_day="2026-11-20", task_type="mail", kind=SHADOW)]
    assert {query.since_ms for query in scores.asked} == {NOON - NOON % DAY - DAY}
    assert [row.model for row in compared.rows] == ["b"]
    assert not compared.enough
