"""Gathers what is known of a candidate and the incumbent of a route, and shows it. Reads figures, scores and pairs; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.periods import day_of
from junto.evals.gate import Arm, Evidence, difference_of, saving_of
from junto.evals.statistics.intervals import mean_interval, posterior, rate_interval
from junto.ports.figures import FigureQuery
from junto.ports.proposals import PairQuery
from junto.ports.scores import TallyQuery
from junto.ports.subjects import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from junto.evals.gate import Examined
    from junto.ports.figures import Figures, FigureStore
    from junto.ports.proposals import PairStore, Trio
    from junto.ports.scores import ScoreStore, Tally
    from junto.routing.evidence import EvidenceGate

_NOTHING = (0, 0, 0, 0, 0)


class Weigher:
    """Reads evidence. `models_of` says which models answer under a name that a route has."""

    def __init__(
        self,
        *,
        figures: FigureStore,
        scores: ScoreStore,
        pairs: PairStore,
        models_of: Callable[[str], frozenset[str]],
    ) -> None:
        self._figures = figures
        self._scores = scores
        self._pairs = pairs
        self._models_of = models_of

    async def weigh(self, trio: Trio, *, since_ms: int, in_canary: bool = False) -> Evidence:
        """What is known since then. In a canary only what callers got counts of the candidate, besides pairs."""
        theirs = self._models_of(trio.incumbent)
        ours = self._models_of(trio.candidate) - theirs
        kinds = {Kind.PRODUCTION} if in_canary else {Kind.PRODUCTION, Kind.SHADOW}
        asked = FigureQuery(since_day=day_of(since_ms), task_type=trio.task_type)
        figures = await self._figures.figures(asked, latencies=False)
        query = TallyQuery(task_type=trio.task_type, since_ms=since_ms)
        tallies = await self._scores.tallies(query)
        verdicts = [
            tally
            for tally in await self._scores.verdict_tallies(query)
            if tally.model in ours and tally.rival in theirs
        ]
        differences = await self._pairs.differences(
            PairQuery(task_type=trio.task_type, candidate=trio.candidate, incumbents=theirs, since_ms=since_ms)
        )
        production = {Kind.PRODUCTION}
        return Evidence(
            candidate=_arm(figures, tallies, ours, kinds),
            incumbent=_arm(figures, tallies, theirs, production),
            differences=differences,
            verdicts=(
                sum(tally.wins for tally in verdicts),
                sum(tally.ties for tally in verdicts),
                sum(tally.losses for tally in verdicts),
            ),
            by_via={
                via.value: (_counts(tallies, ours, production, via), _counts(tallies, theirs, production, via))
                for via in (sorted({tally.via for tally in tallies}) if in_canary else ())
            },
        )


def shown(gate: EvidenceGate, seen: Evidence, examined: Examined, *, level: float, since_ms: int) -> dict[str, Any]:
    """Evidence as figures for people and machines, with what the gate says of it."""
    return {
        "since_ms": since_ms,
        "cleared": examined.cleared,
        "conditions": [msgspec.to_builtins(condition) for condition in examined.conditions],
        "quality": {
            "pairs": seen.pairs,
            "difference": msgspec.to_builtins(difference_of(seen)),
            "candidate": _believed(seen.candidate.scores),
            "incumbent": _believed(seen.incumbent.scores),
            "verdicts": _verdicts(*seen.verdicts),
        },
        "cost": {
            "candidate_usd": _rounded(seen.candidate.cost),
            "incumbent_usd": _rounded(seen.incumbent.cost),
            "saving": _rounded(saving_of(seen)),
        },
        "arms": {"candidate": _did(seen.candidate), "incumbent": _did(seen.incumbent)},
        "gate": msgspec.to_builtins(gate),
        "level": level,
    }


def _arm(figures: Sequence[Figures], tallies: Sequence[Tally], models: frozenset[str], kinds: Iterable[Kind]) -> Arm:
    kinds = set(kinds)
    its = [each for each in figures if each.model in models and each.kind in kinds]
    return Arm(
        attempts=sum(each.attempts for each in its),
        failures=sum(each.failures for each in its),
        answers=sum(each.answers for each in its),
        cost_nano=sum(each.cost_nano for each in its),
        scores=_counts(tallies, models, kinds),
    )


def _counts(
    tallies: Sequence[Tally], models: frozenset[str], kinds: Iterable[Kind], via: str | None = None
) -> tuple[int, ...]:
    kinds = set(kinds)
    its = [
        tally.counts
        for tally in tallies
        if tally.model in models and tally.kind in kinds and (via is None or tally.via == via)
    ]
    return tuple(sum(column) for column in zip(_NOTHING, *its, strict=True))


def _believed(counts: tuple[int, ...]) -> dict[str, Any]:
    """The posterior of a model's mean score, from everything that anybody scored."""
    return {**msgspec.to_builtins(mean_interval(counts)), "expected": round(posterior(counts).mean, 4)}


def _verdicts(wins: int, ties: int, losses: int) -> dict[str, Any]:
    interval = rate_interval(wins, ties, losses)
    rate = {"rate": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}
    return {"wins": wins, "ties": ties, "losses": losses, **rate}


def _did(arm: Arm) -> dict[str, Any]:
    rate = arm.failures / arm.attempts if arm.attempts else None
    return {"attempts": arm.attempts, "failures": arm.failures, "failure_rate": _rounded(rate), "answers": arm.answers}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 9)
