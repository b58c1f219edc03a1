"""`junto eval compare`, `shadows`, `review` and `judge`: what is asked, what is shown, and how they end."""

import json
from typing import Any

import httpx2
import pytest

from tests.unit.cli.running import FakeJunto, nobody, refused, run, said

NOTHING: dict[str, Any] = {"mean": None, "low": None, "high": None, "n": 0, "by_via": {}}
NO_WINS = {"rate": None, "low": None, "high": None, "n": 0, "wins": 0, "losses": 0, "ties": 0}
MODEL = {
    "model": "small",
    "kind": "shadow",
    "job_count": 41,
    "attempts": 42,
    "failures": 1,
    "failure_rate": 0.0238,
    "avg_latency_ms": 120.4,
    "p50": 110.0,
    "p95": 300.0,
    "avg_tokens_in": 55.5,
    "avg_tokens_out": 9.0,
    "cost_per_job_usd": "0.000150",
    "avg_score": {"mean": 4.308, "low": 4.02, "high": 4.6, "n": 41, "by_via": {}},
    "win_rate": {"rate": 0.55, "low": 0.4, "high": 0.69, "n": 38, "wins": 20, "losses": 16, "ties": 2},
}
UNKNOWN = {**MODEL, "model": "new", "failure_rate": None, "avg_latency_ms": None, "cost_per_job_usd": None} | {
    "avg_score": NOTHING,
    "win_rate": NO_WINS,
}
COMPARED = {"task_type": "mail", "days": 30, "models": [MODEL, UNKNOWN], "enough": False, "note": "Too few scores."}
SHADOW = {
    "id": "sh_1",
    "created_ms": 1_700_000_000_000,
    "task_type": "mail",
    "sensitivity": "internal",
    "production_model": "big",
    "model": "small",
    "model_used": "",
    "status": "dropped",
    "error_code": "over_cap",
    "tokens_in": 1,
    "tokens_out": 2,
    "latency_ms": 3,
    "cost_usd": "0.000000",
}
PAIR = {
    "pair_id": "p1",
    "task_type": "mail",
    "prompt": "Who?\x1b[2J",
    "left": {"text": "I."},
    "right": {"text": "You."},
    "cut": False,
}
REVEALED = {
    "pair_id": "p1",
    "preferred": "left",
    "left": {"model": "small", "kind": "shadow", "score": 5},
    "right": {"model": "big", "kind": "production", "score": 3},
}
RUN = {"run_id": "jrn_1", "status": "complete", "total": 2, "done": 2, "failed": 0, "cost_usd": "0.010000"}
JUDGEMENT = {
    "status": "complete",
    "score": 4,
    "winner": None,
    "applied": False,
    "cost_usd": "0.001000",
    "reason": "Fine.",
}
JUDGED = {**JUDGEMENT, "subject": {"kind": "exchange", "id": "req_1"}, "error": None}


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and "─" not in line]


def evaluate(fake: Any, *arguments: str, input: str | None = None) -> Any:
    return run(fake, "eval", *arguments, input=input)


def test_models_are_compared_with_intervals_and_a_sentence() -> None:
    fake = FakeJunto({"/eval/compare": said(COMPARED)})
    result = evaluate(fake, "compare", "--task", "mail", "--days", "7", "--kind", "shadow")
    assert dict(fake.asked[0].url.params) == {"task_type": "mail", "days": "7", "kind": "shadow"}
    _, small, new, note = words(result.stdout)
    assert small == "small shadow 41 2.4% 120 110 300 56 9 0.00015 4.31 (4.02 to 4.60, n 41) 0.55 (0.40 to 0.69, n 38)"
    assert new == "new shadow 41 - - 110 300 56 9 - - -"
    assert note == "Too few scores."


def test_nothing_to_compare_is_said_by_junto() -> None:
    fake = FakeJunto({"/eval/compare": said({**COMPARED, "models": [], "note": "Nothing was asked."})})
    assert evaluate(fake, "compare").stdout == "Nothing was asked.\n"


def test_compared_as_json() -> None:
    assert json.loads(evaluate(FakeJunto({"/eval/compare": said(COMPARED)}), "compare", "--json").stdout) == COMPARED


def test_shadows_are_listed_with_why_they_were_dropped() -> None:
    fake = FakeJunto({"/eval/shadows": said({"shadows": [SHADOW], "next": "sh_1"})})
    result = evaluate(fake, "shadows", "--task", "mail", "--status", "dropped", "-n", "1")
    _, row, more = words(result.stdout)
    assert row == "sh_1 2023-11-14 22:13:20Z mail internal big small dropped over_cap 1 2 3 0"
    assert more == "More: --before sh_1"
    assert dict(fake.asked[0].url.params) == {"task_type": "mail", "status": "dropped", "limit": "1"}


def test_a_groups_shadow_says_who_of_it_answered() -> None:
    group = {**SHADOW, "model": "fast", "model_used": "small"}
    pinned = {**SHADOW, "model": "desk/small", "model_used": "small"}
    fake = FakeJunto({"/eval/shadows": said({"shadows": [group, pinned], "next": None})})
    _, first, second = words(evaluate(fake, "shadows").stdout)
    assert " big fast (small) dropped" in first
    assert " big desk/small dropped" in second


def test_no_shadow_says_where_they_come_from() -> None:
    assert (
        "shadow_models" in evaluate(FakeJunto({"/eval/shadows": said({"shadows": [], "next": None})}), "shadows").stdout
    )


def test_one_shadow_is_shown_in_full() -> None:
    fake = FakeJunto({"/eval/shadows/sh_1": said({**SHADOW, "answer": {"response": "x"}})})
    assert json.loads(evaluate(fake, "shadows", "sh_1").stdout)["answer"] == {"response": "x"}


def reviewing(*pages: list[dict[str, Any]], answer: httpx2.Response | None = None) -> FakeJunto:
    left = list(pages)

    def page(_: httpx2.Request) -> httpx2.Response:
        return said(left.pop(0) if left else [])

    return FakeJunto({"/eval/review": page, "/eval/review/p1": answer or said(REVEALED)})


def test_a_pair_is_scored_and_then_its_models_are_told() -> None:
    fake = reviewing([PAIR])
    result = evaluate(fake, "review", "--task", "mail", input="5\n3\n\n")
    assert result.exit_code == 0, result.stderr
    [post] = [one for one in fake.asked if one.method == "POST"]
    assert json.loads(post.content) == {"left": 5, "right": 3}
    before, after = result.stdout.split("better: ")
    assert "small" not in before
    assert "left: small (shadow); right: big (production). Preferred: left." in after
    assert "1 pair reviewed." in after
    assert "\x1b" not in result.stdout


def test_a_preference_and_a_note_go_along() -> None:
    fake = reviewing([PAIR])
    evaluate(fake, "review", "--notes", input="4\n4\nr\nshorter\n")
    [post] = [one for one in fake.asked if one.method == "POST"]
    assert json.loads(post.content) == {"left": 4, "right": 4, "prefer": "right", "note": "shorter"}


@pytest.mark.parametrize("keys", ["s\n", "5\ns\n", "5\n5\ns\n"])
def test_a_pair_may_be_skipped_at_every_question(keys: str) -> None:
    fake = reviewing([PAIR], [PAIR])
    result = evaluate(fake, "review", input=keys)
    assert (result.exit_code, result.stdout.count("Who?")) == (0, 1)
    assert "0 pairs reviewed." in result.stdout
    assert not [one for one in fake.asked if one.method == "POST"]


@pytest.mark.parametrize("keys", ["q\n", "", "5\nq\n", "5\n"])
def test_it_ends_where_the_reviewer_does(keys: str) -> None:
    fake = reviewing([PAIR])
    result = evaluate(fake, "review", input=keys)
    assert (result.exit_code, "0 pairs reviewed." in result.stdout) == (0, True)


def test_what_is_no_mark_is_asked_again() -> None:
    fake = reviewing([PAIR])
    result = evaluate(fake, "review", input="6\nfive\n5\n1\nx\nt\n")
    assert result.stdout.count("left 1-5: ") == 3
    assert json.loads(next(one for one in fake.asked if one.method == "POST").content)["prefer"] == "tie"


def test_an_empty_queue_is_said() -> None:
    assert evaluate(reviewing(), "review").stdout == "There is nothing to review.\n"


def test_a_pair_that_is_gone_does_not_end_the_review() -> None:
    fake = reviewing([PAIR, {**PAIR, "pair_id": "p2"}], answer=refused(404, "not_found", "There is no such pair."))
    fake.answers = {**fake.answers, "/eval/review/p2": said(REVEALED)}
    result = evaluate(fake, "review", input="5\n5\n\n4\n4\n\n")
    assert "There is no such pair." in result.stderr
    assert "1 pair reviewed." in result.stdout


def judging(answer: Any, *states: dict[str, Any], judgements: Any = ()) -> FakeJunto:
    left = [{"judgements": list(judgements), "next": None, **state} for state in states]
    return FakeJunto(
        {
            "/eval/judge": said(answer, 202 if "run_id" in answer else 200),
            "/eval/judge/jrn_1": lambda _: said(left.pop(0) if len(left) > 1 else left[0]),
        }
    )


def test_one_answer_is_judged_and_its_reason_told() -> None:
    fake = judging(JUDGEMENT)
    result = evaluate(fake, "judge", "--subject", "exchange:req_1", "--judges", "m", "--rubric", "Right?")
    assert fake.body == {
        "mode": "pointwise",
        "judges": ["m"],
        "subject": {"kind": "exchange", "id": "req_1"},
        "rubric": "Right?",
    }
    assert result.stdout == "Score 4. 0.001 USD. Not applied: --apply does.\nFine.\n"


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        (("--pair", "job:a,shadow:b", "-j", "m"), "pairwise"),
        (("--pair", "job:a,shadow:b", "-j", "m,n"), "panel"),
        (("--subject", "job:a", "-j", "m,n,o"), "panel"),
        (("--subject", "job:a", "-j", "m", "--mode", "panel"), "panel"),
    ],
)
def test_the_usual_mode_is_what_the_judges_and_answers_suggest(arguments: tuple[str, ...], mode: str) -> None:
    fake = judging({**JUDGEMENT, "score": None, "winner": "first"})
    assert "Better: first." in evaluate(fake, "judge", *arguments).stdout
    assert fake.body["mode"] == mode


def test_a_judgement_that_failed_is_an_error_and_no_number() -> None:
    failed = {**JUDGEMENT, "status": "failed", "score": None, "error": {"code": "nonsense", "message": "Nonsense."}}
    result = evaluate(judging(failed), "judge", "--subject", "job:a", "-j", "m")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Nonsense.\n")


def test_a_run_is_watched_to_its_end() -> None:
    running = {**RUN, "status": "running", "done": 1}
    fake = judging({**running, "status": "pending", "done": 0}, running, RUN)
    options = ["--days", "7", "-n", "9", "--again", "--apply", "--quorum", "2", "--allow-same-family"]
    result = evaluate(fake, "judge", "--task", "mail", "--judges", "m,n", *options)
    assert json.loads(fake.asked[0].content) == {
        "mode": "panel",
        "judges": ["m", "n"],
        "task_type": "mail",
        "days": 7,
        "limit": 9,
        "again": True,
        "apply": True,
        "quorum": 2,
        "allow_same_family": True,
    }
    assert result.stderr.splitlines() == ["1 of 2 judged, 0 failed", "2 of 2 judged, 0 failed"]
    assert result.stdout == "jrn_1 is complete: 2 of 2 judged, 0 failed, 0.01 USD.\n"


def test_a_run_ends_with_what_it_came_to_and_why_some_of_it_failed() -> None:
    marks = [("shadow", 5), ("shadow", 4), ("exchange", 3)]
    judgements = [JUDGED | {"subject": {"kind": kind, "id": "x"}, "score": score} for kind, score in marks]
    failed = JUDGED | {"status": "failed", "score": None, "error": {"code": "judge_nonsense", "message": "Nonsense."}}
    ended = {**RUN, "total": 4, "done": 4, "failed": 1}
    result = evaluate(judging(RUN, ended, judgements=[*judgements, failed]), "judge", "--run", "jrn_1")
    assert result.stdout.splitlines()[1:] == [
        "Mean score: shadows 4.50 (2), what callers got 3.00 (1).",
        "Failed, 1 of 4: Nonsense.",
        "Not applied: --apply does.",
    ]


def test_a_run_of_pairs_says_how_often_the_shadow_was_better() -> None:
    winners = ("second", "second", "first", "tie")
    judgements = [JUDGED | {"score": None, "winner": winner, "applied": True} for winner in winners]
    result = evaluate(judging(RUN, RUN, judgements=judgements), "judge", "--run", "jrn_1")
    assert result.stdout.splitlines()[1:] == ["Better: the shadow 2, what callers got 1, tie 1."]


def test_a_run_of_nothing_says_why() -> None:
    result = evaluate(judging(RUN, {**RUN, "total": 0, "done": 0}), "judge", "--task", "mail", "-j", "m")
    assert "--again judges it once more" in result.stdout


def test_a_juror_that_was_not_heard_is_told() -> None:
    deaf = {"judge": "n", "status": "failed", "error": {"code": "judge_nonsense", "message": "Nonsense."}}
    fake = judging({**JUDGEMENT, "judges": [{"judge": "m", "status": "heard"}, deaf]})
    result = evaluate(fake, "judge", "--subject", "job:a", "-j", "m,n")
    assert result.stdout.splitlines()[-1] == "n is not counted: Nonsense."


def test_a_run_with_failures_exits_with_1() -> None:
    result = evaluate(judging(RUN, {**RUN, "failed": 1}), "judge", "--run", "jrn_1")
    assert result.exit_code == 1


def test_a_run_may_be_left_to_itself() -> None:
    fake = judging({**RUN, "status": "pending", "done": 0})
    result = evaluate(fake, "judge", "--task", "mail", "-j", "m", "--detach")
    assert (result.exit_code, len(fake.asked)) == (0, 1)
    assert result.stdout.startswith("jrn_1 is pending")


def test_ctrl_c_ends_the_watching_and_says_that_the_run_goes_on() -> None:
    def stop(_: httpx2.Request) -> httpx2.Response:
        raise KeyboardInterrupt

    result = evaluate(FakeJunto({"/eval/judge/jrn_1": stop}), "judge", "--run", "jrn_1")
    assert result.exit_code == 130
    assert "--cancel jrn_1 ends it" in result.stderr


def test_a_run_is_cancelled() -> None:
    fake = judging(RUN, {**RUN, "status": "cancelled"})
    result = evaluate(fake, "judge", "--cancel", "jrn_1")
    assert (fake.asked[0].method, result.exit_code) == ("DELETE", 0)
    assert result.stdout.startswith("jrn_1 is cancelled")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--task", "mail"),
        ("--task", "mail", "--subject", "job:a", "-j", "m"),
        ("--subject", "a", "-j", "m"),
        ("--subject", "robot:a", "-j", "m"),
        ("--pair", "job:a", "-j", "m"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_asked(arguments: tuple[str, ...]) -> None:
    fake = judging(JUDGEMENT)
    assert (evaluate(fake, "judge", *arguments).exit_code, fake.asked) == (2, [])


@pytest.mark.parametrize("command", [("compare",), ("shadows",), ("review",), ("judge", "--run", "x")])
def test_no_junto(command: tuple[str, ...]) -> None:
    assert "start it with `junto serve`" in evaluate(nobody, *command).stderr
