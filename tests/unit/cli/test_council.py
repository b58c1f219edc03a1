"""`junto council`: what is asked, what is printed where, stopping, errors, and the list of councils."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.unit.cli.running import FakeJunto, nobody, refused, run, said
from tests.unit.cli.test_chat import DONE, Pieces, event

PATH = "/v1/council/chat"
CHUNKS = [json.loads(line) for line in (Path(__file__).parent / "recorded" / "debate.jsonl").read_text().splitlines()]
EVENTS = [event(chunk) for chunk in CHUNKS]
LISTED = {
    "data": [{"id": name, "junto": {"kind": kind}} for name, kind in (("fast", "group"), ("council/debate", "council"))]
}
TEMPLATE = {
    "model": "council/debate",
    "template": {
        "members": [{"name": "Ann"}, {"name": "Bob"}],
        "rounds": [{"sees": "own"}, {"sees": "all"}],
        "quorum": 2,
        "description": "Two sides.",
    },
}


def sitting(*pieces: bytes | BaseException) -> FakeJunto:
    return FakeJunto({PATH: lambda _: httpx2.Response(200, stream=Pieces(*pieces))})


def test_the_answer_goes_to_standard_output_and_the_sitting_to_standard_error() -> None:
    """So that `junto council question > file` holds the answer alone."""
    result = run(sitting(*EVENTS, DONE), "council", "Rewrite it?")
    assert result.exit_code == 0
    assert result.stdout.startswith("## Answer\nCarve out the ledger.\n## Disagreement\n")
    assert "round 1 of 2\n" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("council/debate · 2 of 2 members heard, quorum of 2 met · ")
    assert "\x1b" not in result.stdout + result.stderr


def test_a_question_alone_leaves_the_rest_to_junto() -> None:
    fake = sitting(*EVENTS, DONE)
    run(fake, "council", "Rewrite it?")
    assert fake.body == {"messages": [{"role": "user", "content": "Rewrite it?"}], "stream": True}
    assert "x-junto-sensitivity" not in fake.asked[-1].headers


def test_what_may_be_changed_is_passed_on() -> None:
    fake = sitting(*EVENTS, DONE)
    options = ["-t", "council/debate", "-m", "fast", "--members", "Ann, Bob=desk/x", "--rounds", "2"]
    run(fake, "council", "hi", *options, "--sensitivity", "confidential", "--key", "jt_x")
    assert {name: fake.body[name] for name in ("template", "model", "members", "rounds")} == {
        "template": "debate",
        "model": "fast",
        "members": ["Ann", {"name": "Bob", "model": "desk/x"}],
        "rounds": 2,
    }
    headers = fake.asked[-1].headers
    assert (headers["x-junto-sensitivity"], headers["authorization"]) == ("confidential", "Bearer jt_x")


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_a_question_through_a_pipe(arguments: tuple[str, ...]) -> None:
    fake = sitting(*EVENTS, DONE)
    run(fake, "council", *arguments, input="from a pipe\n")
    assert fake.body["messages"][0]["content"] == "from a pipe"


def test_an_empty_question_is_not_asked() -> None:
    fake = sitting(*EVENTS, DONE)
    assert run(fake, "council", "-", input=" \n").exit_code == 2
    assert fake.asked == []


def test_json_is_the_whole_answer_and_not_streamed() -> None:
    answer = {"id": "req_1", "choices": [{"message": {"content": "x"}}], "council": {"degraded": False}}
    fake = FakeJunto({PATH: said(answer)})
    result = run(fake, "council", "hi", "--json")
    assert json.loads(result.stdout) == answer
    assert "stream" not in fake.body


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_refusals_are_told_in_junto_s_words(arguments: tuple[str, ...]) -> None:
    reasons = ("Ann: in the cloud", "Bob: in the cloud")
    refusal = refused(403, "sensitivity_not_servable", "Too few members may be asked.", reasons)
    result = run(FakeJunto({PATH: refusal}), "council", "hi", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Too few members may be asked.\n  Ann: in the cloud\n  Bob: in the cloud\n"


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--list",)])
def test_no_junto(arguments: tuple[str, ...]) -> None:
    result = run(nobody, "council", "hi", *arguments)
    assert result.exit_code == 1
    assert "start it with `junto serve`" in result.stderr


def test_ctrl_c_closes_the_connection_and_keeps_what_was_said() -> None:
    stream = Pieces(*EVENTS[:9], KeyboardInterrupt())
    result = run(FakeJunto({PATH: lambda _: httpx2.Response(200, stream=stream)}), "council", "hi")
    assert stream.closed
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].endswith(" · stopped")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_ctrl_c_before_the_first_word(arguments: tuple[str, ...]) -> None:
    result = run(sitting(KeyboardInterrupt()), "council", "hi", *arguments)
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_a_council_that_fails_on_the_way_is_an_error() -> None:
    """What was said stays; the reason follows, then the figures."""
    broken = event({"error": {"message": "Nobody answered.", "reasons": ["Ann: out of memory"]}})
    result = run(sitting(*EVENTS[:5], broken), "council", "hi")
    assert result.exit_code == 1
    assert "Nobody answered.\n  Ann: out of memory\n" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("council/debate · ")


def test_a_stream_that_ends_early_is_no_answer() -> None:
    result = run(sitting(*EVENTS[:5], DONE), "council", "hi")
    assert result.exit_code == 1
    assert "The answer ended before the council did." in result.stderr


def test_a_connection_that_breaks() -> None:
    result = run(sitting(*EVENTS[:5], httpx2.ReadError("reset")), "council", "hi")
    assert result.exit_code == 1
    assert "broke: reset" in result.stderr


def test_an_answer_that_is_none() -> None:
    fake = FakeJunto({PATH: lambda _: httpx2.Response(200, text="<html>")})
    result = run(fake, "council", "hi", "--json")
    assert (result.exit_code, result.stderr) == (1, "The answer is not one that a council gives.\n")


def lists(templates: httpx2.Response, *arguments: str) -> Any:
    return run(
        FakeJunto({"/v1/models": said(LISTED), "/admin/council/templates": templates}), "council", "--list", *arguments
    )


def test_councils_are_listed_with_their_members_for_the_administrator() -> None:
    result = lists(said({"templates": [TEMPLATE]}))
    assert result.stdout.split("\n")[3].split() == ["debate", "Ann,", "Bob", "2", "2", "Two", "sides."]


@pytest.mark.parametrize("code", ["forbidden", "invalid_api_key"])
def test_others_see_the_names(code: str) -> None:
    result = lists(refused(403, code, "Not yours."))
    assert result.exit_code == 0
    assert result.stdout.split("\n")[3].strip() == "debate"
    assert "Not yours." not in result.stderr


def test_the_list_as_json() -> None:
    assert json.loads(lists(said({"templates": [TEMPLATE]}), "--json").stdout) == [TEMPLATE]
    assert json.loads(lists(refused(403, "forbidden", "no"), "--json").stdout) == [
        {"name": "debate", "model": "council/debate"}
    ]


def test_another_error_of_the_list_is_an_error() -> None:
    result = lists(refused(503, "overloaded", "Busy."))
    assert (result.exit_code, result.stderr) == (1, "Busy.\n")
