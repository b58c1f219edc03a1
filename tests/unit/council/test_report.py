"""The account of a sitting that goes with its answer."""

import json
from typing import Any

import pytest

from junto.core.errors import NotServable
from junto.core.usage import Usage
from junto.council.report import dissent_in, report, tally
from tests.unit.council.sittings import DOWN, LATE, Sitting, council, sit

ANSWER = "Rewrite it.\n\n## Agreement\nIt is old.\n\n## Disagreement\nAda: now. Ben: later.\n### Money\nToo much.\n\n## Unique points\nCleo: tests."


def _report(sitting: Sitting) -> dict[str, Any]:
    tallies = [
        tally(call, usage=Usage(input=10, output=5), nano=1_000_000, backend="desk", model=call.model)
        for call in sitting.calls
    ]
    made = report(sitting.state, sitting.end, tallies, duration_ms=1234)
    assert json.loads(json.dumps(made)) == made
    return made


def test_a_whole_sitting_is_accounted_for() -> None:
    """Members, rounds, ballots, ranking, chair, dissent, cost."""
    sitting = sit(
        council("Ada", "Ben", "Cleo", rounds=2, ranking={}),
        {
            "round 2/Ada": "Now.",
            "ballot/Ada": '{"ranking": ["A", "B", "C"], "why": "clear"}',
            "ballot/Ben": "A > B > C",
            "ballot/Cleo": "A > C > B",
            "synthesis/1": ANSWER,
        },
    )
    made = _report(sitting)
    assert made["kind"] == "synthesis"
    assert (made["degraded"], made["missing"], made["note"]) == (False, [], "")
    assert made["quorum"] == {"needed": 2, "heard": 3, "met": True}
    assert made["members"][0] == {
        "name": "Ada",
        "label": "A",
        "model": "model-of-Ada",
        "backend": "desk",
        "status": "ok",
        "reason": None,
        "opinion": "Now.",
        "usage": {"prompt_tokens": 30, "completion_tokens": 15, "total_tokens": 45},
        "cost_usd": "0.003000",
    }
    assert [one["round"] for one in made["rounds"]] == [1, 2]
    assert made["rounds"][1]["sees"] == "all"
    assert made["ballots"][0] == {"reviewer": "Ada", "ranking": ["Ben", "Cleo"], "why": "clear"}
    assert made["ranking"][0] == {"member": "Ada", "score": 1.0, "ballots": 2}
    assert made["chair"]["status"] == "ok"
    assert made["dissent"] == "Ada: now. Ben: later.\n### Money\nToo much."
    assert made["usage"] == {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    assert (made["cost_usd"], made["duration_ms"], made["template"]) == ("0.010000", 1234, "test")


def test_who_is_missing_is_named_with_the_reason() -> None:
    """Left out, late, failed, without a ballot."""
    sitting = sit(
        council("Ada", "Ben", "Cleo", "Dan", "Eve", ranking={}, rounds=2, quorum=2),
        {"round 1/Ben": LATE, "round 2/Cleo": DOWN, "ballot/Dan": "?", "ballot/Eve": "A > C > D > E"},
        left_out={"Ada": NotServable("It has to stay.")},
    )
    made = _report(sitting)
    assert [(one["status"], one["reason"]) for one in made["members"]] == [
        ("left_out", "It has to stay."),
        ("late", "round 1: it took too long"),
        ("failed", "round 2: its server is down"),
        ("failed", "ballot: the ballot made no sense"),
        ("failed", "ballot: the ballot made no sense"),
    ]
    members = made["members"]
    assert [one["opinion"] is None for one in members] == [True, True, False, False, False]
    assert made["rounds"][0]["missing"] == [{"member": "Ben", "status": "late", "reason": "it took too long"}]
    assert {"reviewer": "Dan", "ranking": [], "reason": "the ballot made no sense"} in made["ballots"]
    assert made["degraded"] is True
    assert len(made["missing"]) == 5


def test_a_chair_that_was_replaced_is_named() -> None:
    """And the one that wrote it."""
    chair = _report(sit(council("Ada", "Ben"), {"synthesis/1": DOWN}))["chair"]
    assert chair["model"] == "model-of-Ada"
    assert chair["failed"] == [{"model": "model-of-chair", "reason": "its server is down"}]


def test_a_chair_that_nobody_asked_has_no_status_of_success() -> None:
    """One survivor."""
    made = _report(sit(council("Ada", "Ben"), {"round 1/Ben": DOWN}))
    assert made["chair"]["status"] == "not_asked"
    assert (made["kind"], made["dissent"]) == ("single", "")


def test_estimated_tokens_say_so() -> None:
    """As everywhere."""
    sitting = sit(council("Ada"))
    tallies = [tally(call, usage=Usage(output=5, estimated=True), nano=0) for call in sitting.calls]
    assert report(sitting.state, sitting.end, tallies, duration_ms=1)["usage"]["estimated"] is True


@pytest.mark.parametrize(
    ("answer", "dissent"),
    [
        (ANSWER, "Ada: now. Ben: later.\n### Money\nToo much."),
        ("Yes.\n\n**Disagreement:**\nOn price.\n\n**Unique points**\nNone.", "On price."),
        ("Yes.\n### Disagreement ###\nOn price.", "On price."),
        ("Yes.\n## disagreement\n- a\n- b\n# End\nx", "- a\n- b"),
        ("Yes.\n## Disagreement\nNone.\n## Unique points\n", ""),
        ("There is much disagreement about it.", ""),
        ("## Agreement\nAll.", ""),
        ('{"answer": "Yes.", "disagreement": "On price."}', "On price."),
        ('{"answer": "Yes.", "disagreement": ["price", "time"]}', '["price","time"]'),
        ('{"answer": "Yes.", "disagreement": "none"}', ""),
        ('{"answer": "Ye', ""),
        ('{"a": ' * 20000, ""),
        ("", ""),
    ],
)
def test_the_dissent_is_cut_out_by_its_heading(answer: str, dissent: str) -> None:
    """Or by its key; where there is none, nothing is made up."""
    assert dissent_in(answer) == dissent
