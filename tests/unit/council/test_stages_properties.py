"""What holds for every council and every pattern of failures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from junto.core.errors import NotServable
from junto.council.deliberation import Conclude, Deliberate, Kind, Missed, Rank, Said, Synthesise
from junto.council.stages import after, begin, next_stage
from tests.unit.council.sittings import DOWN, LATE, QUESTION, council, opinion_of, words

NAMES = ("Zephyr", "Quillon", "Marwick", "Thessaly", "Orlando")
OUTCOMES = st.sampled_from(["said", "said", "said", "down", "late", "blank", "nothing"])
BALLOTS = st.sampled_from(["A > B > C > D > E", '{"ranking": ["B", "A"], "why": ""}', "B, A", "maybe", ""])


@st.composite
def councils(draw: st.DrawFn) -> dict[str, Any]:
    """A template's fields."""
    size = draw(st.integers(1, len(NAMES)))
    return {
        "names": NAMES[:size],
        "rounds": [
            {"sees": sees}
            for sees in draw(st.lists(st.sampled_from(["own", "all", "anonymised"]), min_size=1, max_size=4))
        ],
        "ranking": draw(st.sampled_from([None, {}])),
        "quorum": draw(st.integers(1, size)),
        "below_quorum": draw(st.sampled_from(["answer", "fail"])),
        "chair": {
            "neutral": draw(st.booleans()),
            "model": draw(st.sampled_from(["model-of-chair", "model-of-Zephyr"])),
        },
    }


@settings(max_examples=300, deadline=None)
@given(fields=councils(), data=st.data())
def test_every_pattern_of_failures_comes_to_an_honest_end(fields: dict[str, Any], data: st.DataObject) -> None:
    """It ends in time, loses no opinion, asks nobody that was left out, and is degraded exactly if somebody is missing."""
    names = fields.pop("names")
    template = council(*names, **fields)
    out = data.draw(st.sets(st.sampled_from(names)))
    refusals = {name: NotServable("It has to stay.") for name in out}
    if len(names) - len(out) < template.quorum:
        with pytest.raises(NotServable) as refused:
            begin(template, QUESTION, refusals)
        assert len(refused.value.reasons) == len(out)
        return
    state = begin(template, QUESTION, refusals)
    missing, heard = bool(out), dict[str, str]()
    rounds = ranks = chairs = 0
    while not isinstance(stage := next_stage(state), Conclude):
        results: dict[str, Said | Missed] = {}
        for call in stage.calls:
            assert call.speaker not in out
            assert not any(name in words(call) for name in out)
            what = data.draw(OUTCOMES)
            text = data.draw(BALLOTS) if isinstance(stage, Rank) else opinion_of(call)
            if what == "said":
                results[call.key] = Said(text=text)
            elif what != "nothing":
                results[call.key] = {"down": DOWN, "late": LATE}.get(what) or Said(text=" ")
            if isinstance(stage, Deliberate) and what == "said":
                heard[call.speaker] = text
            missing |= what != "said"
        if isinstance(stage, Synthesise):
            chairs += 1
            assert all(text in words(stage.call) for text in heard.values())
            assert len(heard) > 1
        rounds, ranks = rounds + isinstance(stage, Deliberate), ranks + isinstance(stage, Rank)
        state = after(state, results)
    assert rounds <= len(template.rounds)
    assert ranks <= 1
    assert chairs <= len(names) + 1
    assert {voice.member: voice.text for voice in state.voices} == heard
    nonsense = any(absence.reason in {"the ballot made no sense", "the answer was empty"} for absence in state.absences)
    assert state.is_degraded == (missing or nonsense) == bool(state.missing)
    _is_honest(stage, heard, template.quorum, template.below_quorum)


def _is_honest(end: Conclude, heard: dict[str, str], quorum: int, below: str) -> None:
    """The kind of the answer is what the number of voices makes it, and the answer is somebody's words."""
    assert (end.failure is not None) == (end.kind is Kind.FAILED) == (not end.answer)
    if not heard or (len(heard) < quorum and below == "fail"):
        assert end.kind is Kind.FAILED
    elif len(heard) == 1:
        assert (end.kind, end.answer) == (Kind.SINGLE, *heard.values())
    elif len(heard) < quorum:
        assert end.kind is Kind.SIDE_BY_SIDE
        assert all(text in end.answer for text in heard.values())
    else:
        assert end.kind in {Kind.SYNTHESIS, Kind.BEST}
    if end.kind is Kind.BEST:
        assert end.answer in heard.values()


@given(outcomes=st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_same_sitting_gives_the_same_prompts(outcomes: list[bool]) -> None:
    """Nothing in it is left to chance or to the clock."""
    template = council("Ada", "Ben", "Cleo", rounds=2, ranking={})
    results = {
        f"round 1/{name}": Said(text=f"by {name}") if said else Missed(reason="no")
        for name, said in zip(("Ada", "Ben", "Cleo"), outcomes, strict=True)
    }
    one, other = (after(begin(template, QUESTION, {}), results) for _ in range(2))
    assert str(next_stage(one)) == str(next_stage(other))
