"""`junto eval proposals`: what is listed, what is missing, and what accepting and rejecting say."""

import json
from typing import Any

import pytest

from tests.unit.cli.running import FakeJunto, nobody, refused, run, said

EVIDENCE = {
    "cleared": True,
    "conditions": [
        {"name": "quality", "met": True, "reason": "At most 0.1 worse."},
        {"name": "saving", "met": False, "reason": "It saves 5 %,\x1b[2J 20 % are needed."},
    ],
    "quality": {"pairs": 40, "difference": {"mean": 0.125, "low": -0.05, "high": 0.3, "n": 40}},
    "cost": {"saving": 0.62},
}
PROPOSAL: dict[str, Any] = {
    "id": "prp_1",
    "task_type": "mail",
    "incumbent": "big",
    "candidate": "small",
    "route_version": 3,
    "new_version": None,
    "status": "open",
    "reason": "",
    "decided_by": "",
    "evidence": EVIDENCE,
}
ACCEPTED = {**PROPOSAL, "status": "canary", "new_version": 4, "reason": "10 % of the requests.", "decided_by": "admin"}


def proposals(fake: Any, *arguments: str) -> Any:
    return run(fake, "eval", "proposals", *arguments)


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and "─" not in line]


def test_proposals_are_listed_without_a_word_more() -> None:
    fake = FakeJunto({"/eval/proposals": said({"proposals": [PROPOSAL, ACCEPTED], "next": "prp_1"})})
    _, first, second, more = words(proposals(fake).stdout)
    assert first == "prp_1 mail open big small 0.12 (-0.05 to 0.30, n 40) 40 62% - -"
    assert second.endswith("62% admin 10 % of the requests.")
    assert more == "More: --before prp_1"


def test_filters_go_along() -> None:
    fake = FakeJunto({"/eval/proposals": said({"proposals": [], "next": None})})
    result = proposals(fake, "--task", "mail", "--status", "open", "-n", "5", "--before", "prp_9")
    assert dict(fake.asked[0].url.params) == {"task_type": "mail", "status": "open", "limit": "5", "before": "prp_9"}
    assert "candidates" in result.stdout


def test_one_is_shown_condition_by_condition() -> None:
    result = proposals(FakeJunto({"/eval/proposals/prp_1": said(PROPOSAL)}), "show", "prp_1")
    told, _, first, second = words(result.stdout)
    assert told == "prp_1 is open: mail from big to small."
    assert first == "yes quality At most 0.1 worse."
    assert second.startswith("no saving It saves 5 %,")
    assert "\x1b" not in result.stdout


def test_what_is_missing_is_said_of_every_candidate() -> None:
    candidate = {"task_type": "mail", "incumbent": "big", "candidate": "small", **EVIDENCE}
    result = proposals(FakeJunto({"/eval/candidates": said({"candidates": [candidate]})}), "candidates")
    assert words(result.stdout)[0] == "mail: small in the place of big"
    assert words(result.stdout)[-1] == "All is met: `junto eval proposals` has it within a minute."
    nobody_waits = proposals(FakeJunto({"/eval/candidates": said({"candidates": []})}), "candidates")
    assert "shadow_models" in nobody_waits.stdout


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("accept", "prp_1"), {}),
        (("accept", "prp_1", "--canary-share", "0.1"), {"canary_share": 0.1}),
        (("reject", "prp_1"), {}),
        (("reject", "prp_1", "--reason", "Not yet."), {"reason": "Not yet."}),
    ],
)
def test_accepting_and_rejecting_say_what_came_of_it(arguments: tuple[str, ...], body: dict[str, Any]) -> None:
    fake = FakeJunto({f"/eval/proposals/prp_1/{arguments[0]}": said(ACCEPTED)})
    result = proposals(fake, *arguments)
    assert fake.body == body
    assert result.stdout == ("prp_1 is canary: mail from big to small; the route's version 4. 10 % of the requests.\n")
    assert json.loads(proposals(fake, *arguments, "--json").stdout) == ACCEPTED


def test_a_route_that_was_changed_meanwhile_is_told() -> None:
    conflict = refused(409, "conflict", "The route was changed since.")
    result = proposals(FakeJunto({"/eval/proposals/prp_1/accept": conflict}), "accept", "prp_1")
    assert (result.exit_code, result.stderr) == (1, "The route was changed since.\n")


@pytest.mark.parametrize("command", [(), ("show", "x"), ("candidates",), ("accept", "x"), ("reject", "x")])
def test_no_junto(command: tuple[str, ...]) -> None:
    assert "start it with `junto serve`" in proposals(nobody, *command).stderr
