"""`junto eval run`: what is asked, what is counted, stopping, errors, and the files it reads and writes."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from junto.cli.eval_calls import Asking, Caller, ManyCalls
from junto.cli.eval_cases import Case
from junto.cli.eval_figures import Outcome
from junto.cli.eval_run import run_cases
from tests.unit.cli.running import FakeJunto, nobody, refused, run, said

CHAT = "/v1/chat/completions"
HEADERS = {
    "x-junto-request-id": "req_1",
    "x-junto-backend": "desk",
    "x-junto-model": "small",
    "x-junto-cost-usd": "0.000200",
}
MODELS = {"/v1/models": said({"data": []})}


def chat(text: str = "Spam", **headers: str) -> httpx2.Response:
    body = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    }
    return httpx2.Response(200, json=body, headers={**HEADERS, **headers})


def junto(answer: Any = None, **more: Any) -> FakeJunto:
    paths = {f"/{path.replace('_', '/')}": one for path, one in more.items()}
    return FakeJunto({**MODELS, CHAT: answer or (lambda _: chat()), **paths})


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return written(tmp_path, {"prompt": "Buy!", "expected": "spam", "id": "one"}, {"prompt": "Hello"})


def written(folder: Path, *cases: dict[str, Any]) -> Path:
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in cases))
    return file


def asked(fake: FakeJunto, path: str = CHAT) -> list[Any]:
    return [json.loads(one.content) for one in fake.asked if one.url.path == path]


def evaluate(fake: Any, cases: Path, *arguments: str, **more: Any) -> Any:
    return run(fake, "eval", "run", "--task", "mail", "--models", "a,b", "--cases", str(cases), *arguments, **more)


def test_each_case_goes_to_each_model_under_the_task_and_nothing_else_is_said(cases: Path) -> None:
    fake = junto()
    result = evaluate(fake, cases, "--concurrency", "1")
    assert result.exit_code == 0, result.stderr
    bodies = asked(fake)
    assert [(body["model"], body["messages"][0]["content"]) for body in bodies] == [
        ("a", "Buy!"),
        ("b", "Buy!"),
        ("a", "Hello"),
        ("b", "Hello"),
    ]
    assert all(set(body) == {"model", "messages", "stream"} for body in bodies)
    headers = fake.asked[-1].headers
    assert headers["x-junto-task"] == "mail"
    assert "x-junto-sensitivity" not in headers


def test_what_is_given_is_passed_on(cases: Path) -> None:
    fake = junto()
    options = ["--temperature", "0", "--max-tokens", "9", "--system", "Be brief.", "--sensitivity", "confidential"]
    evaluate(fake, cases, *options, "--key", "jt_x")
    body = asked(fake)[0]
    assert (body["temperature"], body["max_tokens"]) == (0, 9)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert fake.asked[-1].headers["x-junto-sensitivity"] == "confidential"
    assert fake.asked[-1].headers["authorization"] == "Bearer jt_x"


def test_the_table_has_a_row_for_each_model(cases: Path) -> None:
    result = evaluate(junto(), cases)
    heading, a, b = [line.split() for line in result.stdout.splitlines() if line.strip() and "─" not in line]
    assert heading == ["model", "cases", "failed", "avg", "ms", "p50", "p95", "in", "out", "usd", "exact", "contains"]
    assert (a[0], b[0]) == ("a", "b")
    assert a[-5:] == ["14", "4", "0.0004", "0/1", "1/1"]
    assert "4 of 4 calls" in result.stderr


def test_json_has_the_same_figures(cases: Path) -> None:
    told = json.loads(evaluate(junto(), cases, "--json").stdout)
    assert (told["task_type"], told["complete"]) == ("mail", True)
    figures = told["models"][0]
    assert (figures["model"], figures["count"], figures["contains"], figures["cost_usd"]) == ("a", 2, 1, "0.0004")


def test_each_result_is_written_as_a_line(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    evaluate(junto(), cases, "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted((row["case_id"], row["model"]) for row in rows) == [
        ("line 2", "a"),
        ("line 2", "b"),
        ("one", "a"),
        ("one", "b"),
    ]
    assert {row["answered_by"] for row in rows} == {"desk/small"}
    assert {row["request_id"] for row in rows} == {"req_1"}


def test_results_that_are_there_are_not_written_over_unless_told(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text("mine")
    fake = junto()
    refusal = evaluate(fake, cases, "--out", str(out))
    assert (refusal.exit_code, fake.asked, out.read_text()) == (1, [], "mine")
    assert evaluate(fake, cases, "--out", str(out), "--force").exit_code == 0
    assert len(out.read_text().splitlines()) == 4


def test_bad_cases_are_told_with_their_lines_before_any_call(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"prompt": ""}\n{"prompt": "x"}\nnonsense\n')
    fake = junto()
    result = evaluate(fake, file)
    assert (result.exit_code, fake.asked, result.stdout) == (1, [], "")
    first, second = result.stderr.splitlines()
    assert "cases.jsonl: line 1: " in first
    assert "cases.jsonl: line 3: not JSON" in second


@pytest.mark.parametrize(
    "arguments", [("--models", " , "), ("--models", "a,a"), ("--task", "a\nb"), ("--task", "é"), ("--concurrency", "0")]
)
def test_arguments_that_cannot_be_are_refused_before_any_call(cases: Path, arguments: tuple[str, str]) -> None:
    fake = junto()
    assert evaluate(fake, cases, *arguments).exit_code == 2
    assert fake.asked == []


def test_a_call_that_fails_is_counted_told_and_makes_the_exit_code_1(cases: Path) -> None:
    def only_a(request: httpx2.Request) -> httpx2.Response:
        is_a = json.loads(request.content)["model"] == "a"
        return chat() if is_a else refused(404, "model_not_found", "There is no model b.\x1b[2J")

    result = evaluate(junto(only_a), cases)
    assert result.exit_code == 1
    assert "one at b: There is no model b." in result.stderr
    assert "\x1b" not in result.stderr + result.stdout
    row = next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == ["b"])
    assert row[:6] == ["b", "2", "2", "-", "-", "-"]


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": None}]}, []])
def test_an_answer_that_is_none_is_a_failure(cases: Path, body: Any) -> None:
    result = evaluate(junto(lambda _: said(body)), cases)
    assert result.exit_code == 1
    assert "The answer is not one that a chat gives." in result.stderr


def test_names_of_nothing_are_told_before_any_call_and_leave_no_file(cases: Path, tmp_path: Path) -> None:
    def missing(name: str) -> httpx2.Response:
        return refused(404, "model_not_found", f"There is no model {name!r} here.")

    out = tmp_path / "results.jsonl"
    fake = FakeJunto({**junto().answers, "/v1/models/b": missing("b"), "/v1/models/m": missing("m")})
    result = evaluate(fake, cases, "--judge", "m", "--out", str(out))
    assert (result.exit_code, asked(fake), out.exists()) == (1, [], False)
    assert result.stderr.splitlines() == ["There is no model 'b' here.", "There is no model 'm' here."]


def test_no_junto_is_told_once(cases: Path) -> None:
    result = evaluate(nobody, cases)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("start it with `junto serve`") == 1


def test_many_failures_are_told_up_to_a_number(tmp_path: Path) -> None:
    file = written(tmp_path, *({"prompt": "x"} for _ in range(40)))
    result = evaluate(junto(lambda _: refused(500, "x", "Broken.")), file)
    assert result.stderr.count("Broken.") == 20
    assert "Further failures are counted, not told." in result.stderr


def test_in_a_pipe_progress_is_a_few_lines_however_many_calls(tmp_path: Path) -> None:
    file = written(tmp_path, *({"prompt": "x"} for _ in range(100)))
    lines = evaluate(junto(), file).stderr.splitlines()
    assert len(lines) == 20
    assert lines[-1] == "200 of 200 calls"


def test_ctrl_c_leaves_the_table_of_what_had_ended(cases: Path, tmp_path: Path) -> None:
    calls: list[int] = []

    async def third_is_stopped(_: httpx2.Request) -> httpx2.Response:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep_forever()
        return chat()

    out = tmp_path / "results.jsonl"
    result = evaluate(junto(third_is_stopped), cases, "--concurrency", "1", "--json", "--out", str(out))
    assert threading.current_thread() is threading.main_thread()
    assert result.exit_code == 130
    told = json.loads(result.stdout)
    assert not told["complete"]
    assert [figures["count"] for figures in told["models"]] == [1, 1]
    assert len(out.read_text().splitlines()) == 2
    assert "Stopped: these are the calls that had ended." in result.stderr


def test_the_judge_reads_the_recorded_exchange_with_the_admin_key(cases: Path) -> None:
    judgement = {"score": 4, "reason": "Right.", "cost_usd": "0.001"}
    fake = junto(eval_judge=said(judgement))
    keys = {"JUNTO_API_KEY": "jt_client", "JUNTO_ADMIN_KEY": "jt_admin"}
    result = evaluate(fake, cases, "--judge", "m", "--rubric", "Is it right?", "--allow-same-family", env=keys)
    assert result.exit_code == 0, result.stderr
    assert asked(fake, "/eval/judge")[0] == {
        "mode": "pointwise",
        "judges": ["m"],
        "subject": {"kind": "exchange", "id": "req_1"},
        "rubric": "Is it right?",
        "allow_same_family": True,
    }
    keys_sent = {(one.url.path, one.headers["authorization"]) for one in fake.asked}
    assert (CHAT, "Bearer jt_client") in keys_sent
    assert ("/eval/judge", "Bearer jt_admin") in keys_sent
    assert "4.00 of 2" in result.stdout


def test_a_judge_that_says_no_number_is_a_failure_of_the_judge_and_no_score(cases: Path) -> None:
    judgement = {"status": "failed", "score": None, "error": {"message": "It spoke of the weather."}}
    result = evaluate(junto(eval_judge=said(judgement)), cases, "--judge", "m")
    assert result.exit_code == 1
    assert "one at its judge: It spoke of the weather." in result.stderr
    assert (
        json.loads(evaluate(junto(eval_judge=said(judgement)), cases, "--judge", "m", "--json").stdout)["models"][0][
            "failures"
        ]
        == 0
    )


class Slept:
    """A sleep that takes no time and remembers how long it was to be."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await anyio.lowlevel.checkpoint()


async def put(answers: list[httpx2.Response], asking: Asking) -> tuple[Outcome, list[float]]:
    """One case at one model, answered by those in turn, whatever is asked."""
    transport = httpx2.MockTransport(lambda _: answers.pop(0))
    slept = Slept()
    async with ManyCalls("http://127.0.0.1:1", None, most=1, transport=transport) as calls:
        caller = Caller(calls, asking, sleep=slept)
        outcome = await caller.ask(Case(id="1", line=1, messages=({"role": "user", "content": "x"},)), "a")
    return outcome, slept.seconds


def busy(seconds: str) -> httpx2.Response:
    return httpx2.Response(429, json={"error": {"message": "Slow down."}}, headers={"retry-after": seconds})


@pytest.mark.anyio
async def test_a_busy_junto_is_asked_again_when_it_says() -> None:
    outcome, slept = await put([busy("2"), busy("3"), chat("yes")], Asking(task="t"))
    assert (outcome.text, outcome.failure, slept) == ("yes", "", [2.0, 3.0])


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", ["3600", "nan", "soon", "-1"])
async def test_nobody_waits_for_what_will_not_be_soon(seconds: str) -> None:
    outcome, slept = await put([busy(seconds)], Asking(task="t"))
    assert (outcome.failure, slept) == ("Slow down.", [])


@pytest.mark.anyio
async def test_it_is_not_asked_again_for_ever() -> None:
    outcome, slept = await put([busy("1")] * 9, Asking(task="t"))
    assert (outcome.failure, len(slept)) == ("Slow down.", 5)


@pytest.mark.anyio
async def test_an_exchange_that_is_not_in_the_database_yet_is_looked_for_again() -> None:
    missing = refused(404, "not_found", "There is no exchange req_1.")
    outcome, slept = await put([chat(), missing, said({"score": 3})], Asking(task="t", judge="m"))
    assert (outcome.score, outcome.judge_failure, slept) == (3.0, "", [0.25])


@pytest.mark.anyio
async def test_a_judge_that_there_is_not_is_not_looked_for_again() -> None:
    unknown = refused(404, "model_not_found", "There is no model m.")
    outcome, slept = await put([chat(), unknown], Asking(task="t", judge="m"))
    assert (outcome.judge_failure, slept) == ("There is no model m.", [])


@pytest.mark.anyio
async def test_no_more_calls_are_under_way_than_may_be() -> None:
    under_way, most = 0, 0

    async def ask(case: Case, model: str) -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        return Outcome(case_id=case.id, model=model)

    told: list[Outcome] = []
    work = ((Case(id=str(at), line=at, messages=()), "a") for at in range(50))
    assert await run_cases(work, ask, told.append, concurrency=3)
    assert (len(told), most) == (50, 3)
