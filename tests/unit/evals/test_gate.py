"""A candidate is proposed when every condition of the gate is met, and the gate says in words what is missing."""

from __future__ import annotations

from math import log
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from junto.evals.gate import (
    Arm,
    Evidence,
    Examined,
    difference_of,
    examine,
    level_of,
    quality_evidence,
    saving_of,
    worsened,
)
from junto.routing.evidence import EvidenceGate

GATE = EvidenceGate(min_scores=30)
LEVEL = level_of(GATE, candidates=1, tried=0)
CHEAP = Arm(attempts=400, failures=2, answers=398, cost_nano=398 * 200_000)
DEAR = Arm(attempts=2_000, failures=20, answers=1_980, cost_nano=1_980 * 1_000_000)
GOOD = Evidence(candidate=CHEAP, incumbent=DEAR, differences=(0, 0, 0, 15, 100, 25, 0, 0, 0))


def _reason(examined: Examined, name: str) -> str:
    (found,) = (condition for condition in examined.conditions if condition.name == name)
    assert not found.met
    return found.reason


def _with(**changes: Any) -> Examined:
    return examine(GATE, replace(GOOD, **changes), level=LEVEL)


def test_a_candidate_that_is_as_good_cheaper_and_reliable_clears_the_gate() -> None:
    examined = examine(GATE, GOOD, level=LEVEL)
    assert examined.cleared
    assert [condition.name for condition in examined.conditions] == ["tier", "scores", "quality", "saving", "failures"]


def test_too_few_scores_are_told_with_how_many_are_missing() -> None:
    examined = _with(differences=(0, 0, 0, 0, 8, 4, 0, 0, 0))
    assert "12 requests" in _reason(examined, "scores")
    assert "18 are missing" in _reason(examined, "scores")


def test_quality_that_is_not_certain_yet_tells_how_many_more_would_do() -> None:
    assert "more like these would do" in _reason(_with(differences=(0, 0, 2, 8, 15, 8, 2, 0, 0)), "quality")


def test_a_worse_candidate_does_not_clear_the_gate_however_much_is_known() -> None:
    assert "must be at most 0.25 worse" in _reason(_with(differences=(0, 0, 100, 400, 400, 100, 0, 0, 0)), "quality")


def test_a_negative_margin_asks_for_a_better_candidate() -> None:
    strict = replace(GATE, quality_margin=-0.3)
    assert "at least 0.30 better" in _reason(examine(strict, GOOD, level=LEVEL), "quality")
    better = replace(GOOD, differences=(0, 0, 0, 5, 50, 60, 25, 0, 0))
    assert examine(strict, better, level=LEVEL).cleared


def test_a_dearer_candidate_saves_nothing() -> None:
    assert "saves -50.0%; 20.0% must be saved" in _reason(
        _with(candidate=replace(CHEAP, cost_nano=CHEAP.answers * 1_500_000)), "saving"
    )


def test_beside_an_incumbent_that_costs_nothing_there_is_nothing_to_save() -> None:
    assert "nothing to save" in _reason(_with(incumbent=replace(DEAR, cost_nano=0)), "saving")
    free = replace(GOOD, candidate=replace(CHEAP, cost_nano=0), incumbent=replace(DEAR, cost_nano=0))
    assert saving_of(free) == 0.0
    assert "`min_saving` 0" in _reason(examine(GATE, free, level=LEVEL), "saving")
    assert examine(replace(GATE, min_saving=0.0), free, level=LEVEL).cleared


def test_costs_of_a_few_answers_are_no_evidence() -> None:
    assert "the candidate has 7" in _reason(_with(candidate=replace(CHEAP, answers=7)), "saving")


def test_failures_must_be_known_to_be_bounded() -> None:
    assert "more like these would do" in _reason(_with(candidate=replace(CHEAP, attempts=150)), "failures")
    assert "20.0%" in _reason(_with(candidate=replace(CHEAP, failures=80)), "failures")
    assert "No attempts" in _reason(_with(candidate=Arm()), "failures")


def test_who_may_not_see_the_requests_is_never_proposed() -> None:
    examined = examine(GATE, GOOD, level=LEVEL, refusal="It is in the cloud.")
    assert not examined.cleared
    assert _reason(examined, "tier") == "It is in the cloud."


def test_nothing_known_clears_nothing_and_breaks_nothing() -> None:
    nothing = Evidence(candidate=Arm(), incumbent=Arm())
    examined = examine(GATE, nothing, level=LEVEL)
    assert [condition.met for condition in examined.conditions] == [True, False, False, False, False]
    assert worsened(GATE, nothing) is None
    assert difference_of(nothing).mean is None


@given(st.integers(1, 16), st.floats(0.5, 0.999))
def test_all_candidates_and_all_tries_together_stay_below_the_configured_rate(
    candidates: int, confidence: float
) -> None:
    gate = EvidenceGate(confidence=confidence)
    total = sum(candidates * level_of(gate, candidates=candidates, tried=tried) for tried in range(200))
    assert total <= (1 - confidence) * (1 + 1e-9)


def test_a_canary_that_fails_stops_soon() -> None:
    seen = replace(GOOD, candidate=Arm(attempts=8, failures=8), incumbent=DEAR, differences=(0,) * 9)
    assert "fails more often" in (worsened(GATE, seen) or "")


def test_a_canary_whose_answers_are_worse_on_the_same_requests_stops() -> None:
    worse = replace(GOOD, differences=(0, 0, 10, 30, 10, 0, 0, 0, 0))
    assert "Its answers are worse" in (worsened(GATE, worse) or "")


def test_a_canary_whose_callers_score_it_worse_stops_and_ways_of_scoring_are_not_mixed() -> None:
    seen = replace(GOOD, differences=(0,) * 9, by_via={"link": ((15, 10, 5, 0, 0), (0, 0, 10, 30, 60))})
    assert "via link" in (worsened(GATE, seen) or "")
    apart = replace(seen, by_via={"link": ((15, 10, 5, 0, 0), (0,) * 5), "judge": ((0,) * 5, (0, 0, 0, 0, 90))})
    assert worsened(GATE, apart) is None


def test_a_canary_that_is_as_good_goes_on_though_looked_at_after_each_answer() -> None:
    """A stop by chance is as rare as the gate says."""
    stopped = 0
    for seed in range(25):
        random, failures, attempts, differences = Random(seed), 0, 0, [0] * 9
        for look in range(120):
            attempts, failures = attempts + 1, failures + (random.random() < 0.01)
            differences[random.choices(range(3, 6), (0.3, 0.5, 0.2))[0]] += 1
            if look % 10 == 9:
                arm = Arm(attempts=attempts, failures=failures)
                seen = Evidence(candidate=arm, incumbent=DEAR, differences=tuple(differences))
                if worsened(GATE, seen) is not None:
                    stopped += 1
                    break
    assert stopped / 25 <= 0.08


def test_false_promotions_are_rarer_than_the_gate_says_though_looked_at_after_each_score() -> None:
    """A candidate that is worse by just more than the margin, on 300 requests, a hundred times over."""
    promoted = 0
    for seed in range(100):
        random, differences = Random(seed), [0] * 9
        for look, drawn in enumerate(random.choices(range(2, 7), (0.08, 0.34, 0.36, 0.16, 0.04), k=300), start=1):
            differences[drawn] += 1
            if look < GATE.min_scores:
                continue
            if quality_evidence(GATE, differences) >= log(1 / LEVEL):
                promoted += 1
                break
    assert promoted / 100 <= 1 - GATE.confidence


def test_the_level_is_what_the_evidence_must_reach() -> None:
    assert log(1 / LEVEL) == pytest.approx(log(25))
