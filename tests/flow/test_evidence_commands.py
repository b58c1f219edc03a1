"""`junto eval` and `junto datasets` as a person runs them, before a running Junto: a set side by side, judged, reviewed, exported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.jobs.processes import until
from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.flow.test_council_command import Terminal, words
from tests.flow.test_proposals import at_work
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams.ask import Ask

PATIENCE = 30.0
PRICES = """
- {provider: openai, model: big, from: 2026-01-01, input: 100, output: 1000}
"""


@dataclass
class Bench:
    """A Junto with `small`, `big` and `teacher` at servers of their own, and a file of two cases."""

    junto: RunningJunto
    small: OpenAIEmulator
    big: OpenAIEmulator
    cases: Path

    def run(self, *arguments: str) -> list[str]:
        return command("eval", "run", "--task", "spam", "--models", "small,big", "--cases", str(self.cases), *arguments)

    def piped(self, command: list[str], typed: str = "") -> subprocess.CompletedProcess[str]:
        return piped(self.junto, command, typed)

    def put(self, path: str, body: dict[str, Any]) -> None:
        self.junto.http.put(path, json=body, headers=self.junto.admin).raise_for_status()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from junto.cli.main import run; run()", *arguments]


def environment_of(junto: RunningJunto) -> dict[str, str]:
    known = {"JUNTO_URL": junto.url, "JUNTO_ADMIN_KEY": ADMIN_KEY, "TERM": "xterm-256color"}
    return {**known, "PATH": os.environ["PATH"]}


def piped(junto: RunningJunto, command: list[str], typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command that ends, with what it wrote."""
    return subprocess.run(
        command, env=environment_of(junto), input=typed, capture_output=True, text=True, timeout=60, check=False
    )


def answering(ask: Ask) -> Scripted:
    if ask.schema is not None:
        return Scripted(text=json.dumps({"score": 5 if "ham" in ask.prompt else 2, "reason": "It says so."}))
    return Scripted(text="spam" if ask.model == "small" else "It is ham")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"prompt": "Buy!", "expected": "spam", "id": "buy"}\n{"prompt": "Hello", "expected": "ham"}\n')
    with ExitStack() as stack:
        small = stack.enter_context(OpenAIEmulator(models=["small", "teacher"]))
        big = stack.enter_context(OpenAIEmulator(models=["big"]))
        backends = [
            {"name": name, "provider": "openai", "url": emulator.base_url, "locality": locality}
            for name, emulator, locality in (("one", small, "local"), ("two", big, "cloud"))
        ]
        for emulator in (small, big):
            emulator.script.always(answering)
        junto = RunningJunto(tmp_path / "data", {"backends": backends}, pricing=PRICES)
        yield Bench(stack.enter_context(junto), small, big, cases)


def rows_of(shown: str) -> dict[str, list[str]]:
    """The rows of a table by their first word."""
    return {line.split()[0]: line.split() for line in shown.splitlines() if line.strip() and "─" not in line}


def test_a_set_is_put_to_two_models_and_counted(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    result = bench.piped(bench.run("--out", str(out)))
    assert result.returncode == 0, result.stderr
    table = rows_of(result.stdout)
    assert (table["small"][1:3], table["big"][1:3]) == (["2", "0"], ["2", "0"])
    assert table["small"][-2:] == ["1/2", "1/2"]
    assert table["big"][-2:] == ["0/2", "1/2"]
    assert float(table["small"][-3]) == 0
    assert float(table["big"][-3]) > 0
    recorded = {one["id"]: one for one in bench.junto.recorded(4)}
    assert {one["task_type"] for one in recorded.values()} == {"spam"}
    for row in map(json.loads, out.read_text().splitlines()):
        exchange = recorded[row["request_id"]]
        assert (exchange["requested_model"], exchange["model"]) == (row["model"], row["model"])
        assert float(exchange["cost_usd"]) == float(row["cost_usd"])


def test_a_judge_marks_the_recorded_answers(bench: Bench) -> None:
    result = bench.piped(bench.run("--judge", "teacher", "--json"))
    assert result.returncode == 0, result.stderr
    scores = {one["model"]: one["judge_score"] for one in json.loads(result.stdout)["models"]}
    assert scores == {"small": 2.0, "big": 5.0}


def test_a_model_that_fails_is_counted_and_the_others_are_not_kept_from_it(bench: Bench) -> None:
    bench.big.script.always(Scripted(fail=Fail(status=400, message="no such thing")))
    result = bench.piped(bench.run())
    assert result.returncode == 1
    table = rows_of(result.stdout)
    assert (table["small"][1:3], table["big"][1:3]) == (["2", "0"], ["2", "2"])
    assert "buy at big: " in result.stderr


def test_in_a_terminal_a_bar_grows_and_ctrl_c_leaves_the_table_and_stops_the_models(bench: Bench) -> None:
    gate = Gate()
    bench.big.script.always(Scripted(text="one two three", gate=gate, gate_after=1))
    with Terminal(bench.run("--concurrency", "2"), environment_of(bench.junto)) as terminal:
        terminal.wait_for(r"calls .*2/4 .*failed")
        [asked, *_] = bench.big.script.wait_arrived(within=PATIENCE)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130
        assert asked.wait_abandoned(PATIENCE)
    gate.open()
    shown = words(terminal.shown)
    assert "Stopped: these are the calls that had ended." in shown
    assert "Traceback" not in shown
    assert terminal.shown.count("\x1b[?25h") >= 1


def test_shadows_are_listed_reviewed_blind_compared_and_exported(bench: Bench, tmp_path: Path) -> None:
    """From a route with a shadow to a file of preferences, by the command line alone."""
    route = {"preferred_model": "small", "sensitivity": "internal", "shadow_models": [{"model": "big", "rate": 1}]}
    bench.put("/routing/spam", route)
    question = bench.piped(command("chat", "--model", "task/spam", "Buy!"))
    assert question.stdout == "spam\n", question.stderr
    until(lambda: len(bench.junto.get("/eval/shadows", status="complete")["shadows"]) == 1)
    listed = bench.piped(command("eval", "shadows", "--task", "spam"))
    assert "complete" in listed.stdout, listed.stderr

    reviewed = bench.piped(command("eval", "review", "--task", "spam"), typed="2\n4\n\n")
    assert reviewed.returncode == 0, reviewed.stderr
    before, _, after = reviewed.stdout.partition("left 1-5")
    assert "small" not in before
    assert "big" not in before
    assert "1 pair reviewed." in after
    assert bench.piped(command("eval", "review")).stdout == "There is nothing to review.\n"

    compared = json.loads(bench.piped(command("eval", "compare", "--task", "spam", "--json")).stdout)
    scores = {one["model"]: one["avg_score"] for one in compared["models"]}
    assert {scores[name]["n"] for name in ("small", "big")} == {1}
    table = bench.piped(command("eval", "compare", "--task", "spam"))
    assert set(rows_of(table.stdout)) >= {"small", "big"}
    assert compared["note"] in table.stdout

    out = tmp_path / "train.jsonl"
    exported = bench.piped(command("datasets", "export", "preferences", "--task", "spam", "--out", str(out)))
    assert exported.stderr == f"1 row in {out}.\n"
    [row] = map(json.loads, out.read_text().splitlines())
    better = max(scores, key=lambda name: scores[name]["mean"])
    assert row["chosen"][0]["content"] == ("spam" if better == "small" else "It is ham")


def test_answers_are_judged_from_the_command_line(bench: Bench) -> None:
    bench.piped(bench.run())
    [exchange, *_] = [one for one in bench.junto.recorded(4) if one["model"] == "big"]
    judged = bench.piped(
        command("eval", "judge", "--subject", f"exchange:{exchange['id']}", "-j", "teacher", "--apply")
    )
    assert judged.stdout.startswith("Score 5."), judged.stderr
    assert "Applied." in judged.stdout
    missing = bench.piped(command("eval", "judge", "--subject", "job:no", "-j", "teacher"))
    assert (missing.returncode, missing.stdout) == (1, "")
    empty = bench.piped(command("eval", "judge", "--task", "nothing", "-j", "teacher"))
    assert empty.returncode == 0, empty.stderr
    assert "complete: 0 of 0 judged" in empty.stdout


def test_a_proposal_is_seen_accepted_on_a_share_and_turned_down(tmp_path: Path) -> None:
    with at_work(tmp_path) as firm:

        def proposals(*arguments: str) -> subprocess.CompletedProcess[str]:
            return piped(firm.junto, command("eval", "proposals", *arguments))

        firm.route()
        assert "scores" in proposals("candidates", "--task", "mail").stdout
        assert proposals().stdout.startswith("There is no proposal.")
        id = firm.proposed()
        assert {"open", "dear-9b", "cheap-9b"} <= set(rows_of(proposals().stdout)[id])
        shown = proposals("show", id)
        assert shown.stdout.startswith(f"{id} is open: mail from dear-9b to cheap-9b"), shown.stderr
        assert {"yes"} == {words[0] for words in rows_of(shown.stdout).values() if words[0] in {"yes", "no"}}
        accepted = proposals("accept", id, "--canary-share", "0.5")
        assert f"{id} is canary" in accepted.stdout, accepted.stderr
        assert firm.routed()["canary"] == {"model": "cheap-9b", "share": 0.5}
        rejected = proposals("reject", id, "--reason", "Not before Monday.")
        assert f"{id} is rejected" in rejected.stdout, rejected.stderr
        assert firm.routed()["canary"] is None
        again = proposals("accept", id)
        assert (again.returncode, again.stdout) == (1, "")
