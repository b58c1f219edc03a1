"""`models`, `route explain`, `responses`, `version`: tables for people, JSON for programs."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from junto.cli.output import table_for
from tests.unit.cli.running import FakeJunto, refused, run, said

MODEL = {
    "id": "llama3.2:3b",
    "object": "model",
    "junto": {
        "kind": "model",
        "backends": ["desk", "rack"],
        "locality": ["local"],
        "context_length": 4096,
        "capabilities": ["chat", "tools"],
        "prices": {"input_usd_per_mtok": "2.500000", "output_usd_per_mtok": "0.000000"},
    },
}
UNKNOWN = {**MODEL, "id": "x", "junto": {**MODEL["junto"], "capabilities": None, "context_length": None}}  # type: ignore[dict-item]
EXPLAINED = {
    "sensitivity": "internal",
    "stages": ["quality", "fast"],
    "candidates": [
        {
            "position": 1,
            "deployment": "desk/a",
            "stage": "quality",
            "locality": "local",
            "is_attempted": True,
            "reasons": [{"rule": "smart", "detail": "in memory"}],
        },
        {
            "position": 2,
            "deployment": "desk/b",
            "stage": "fast",
            "locality": "local",
            "is_attempted": False,
            "reasons": [],
        },
    ],
    "dropped": [{"deployment": "cloud/c", "locality": "cloud", "filter": "sensitivity", "detail": "stays local"}],
    "last_resort": False,
}
EXCHANGE = {
    "id": "req_1",
    "started_ms": 1_700_000_000_000,
    "requested_model": "fast",
    "model": "a",
    "backend": "desk",
    "sensitivity": "internal",
    "outcome": "ok",
    "error_code": "",
    "duration_ms": 12,
    "usage": {"input_tokens": 1, "cache_read_tokens": 2, "cache_write_tokens": 3, "output_tokens": 9},
    "cost_usd": "0.001000",
    "attempts": [{"backend": "desk", "model": "a", "milliseconds": 12}],
}


def words(text: str) -> list[list[str]]:
    """The lines of a table as words, without rules and empty lines."""
    return [line.split() for line in text.splitlines() if line.strip() and "─" not in line]


def test_models_as_a_table() -> None:
    """What is not known is said to be unknown; amounts lose the zeros at their end."""
    result = run(FakeJunto({"/v1/models": said({"data": [MODEL, UNKNOWN]})}), "models")
    _, known, unknown = words(result.stdout)
    assert known == ["llama3.2:3b", "model", "local", "desk,", "rack", "4096", "chat,", "tools", "2.5", "0"]
    assert unknown[-4:] == ["?", "?", "2.5", "0"]


def test_models_as_json() -> None:
    """The list as Junto said it."""
    result = run(FakeJunto({"/v1/models": said({"data": [MODEL]})}), "models", "--json")
    assert json.loads(result.stdout) == [MODEL]


def test_no_models() -> None:
    """An empty list says where to look."""
    assert "junto doctor" in run(FakeJunto({"/v1/models": said({"data": []})}), "models").stdout


def test_explain_asks_what_was_asked() -> None:
    """Every option goes into the question."""
    fake = FakeJunto({"/routing/explain": said(EXPLAINED)})
    options = ["--sensitivity", "public", "--needs", "tools, vision", "--prompt-tokens", "7", "--max-tokens", "9"]
    run(fake, "route", "explain", "quality", *options)
    assert fake.body == {
        "model": "quality",
        "sensitivity": "public",
        "needs": ["tools", "vision"],
        "prompt_tokens": 7,
        "max_tokens": 9,
    }


def test_explain_shows_kept_and_dropped() -> None:
    """Candidates in turn with their reasons; those beyond the most attempts have no turn; the dropped with why."""
    result = run(FakeJunto({"/routing/explain": said(EXPLAINED)}), "route", "explain", "quality")
    lines = words(result.stdout)
    assert ["1", "desk/a", "quality", "local", "smart:", "in", "memory"] in lines
    assert ["-", "desk/b", "fast", "local"] in lines
    assert ["cloud/c", "cloud", "sensitivity", "stays", "local"] in lines


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        (
            {"name": "email", "version": 3, "task_type": "email", "floor": "internal", "max_tokens": 900},
            "Task: email. Its route: email@3; floor internal; at most 900 tokens.",
        ),
        (
            {"name": "default", "version": 0, "task_type": "odd", "is_default": True},
            "Task: odd. The default route, since the task type has none: default, which is not stored.",
        ),
        (
            {"name": "email", "version": 1, "task_type": "email", "floor": "confidential", "keeps_model": True},
            "Task: email. Its route: email@1; only its floor counts, since a model was named; floor confidential.",
        ),
    ],
)
def test_explain_says_which_route_applies(route: dict[str, Any], sentence: str) -> None:
    """With its version and what it asks for."""
    whole = {"is_default": False, "keeps_model": False, "floor": None, "max_tokens": None, **route}
    client = {"id": "cli_1", "name": "shop", "floor": "public"}
    fake = FakeJunto({"/routing/explain": said({**EXPLAINED, "route": whole, "client": client})})
    result = run(fake, "route", "explain", "task/email", "--task", "email", "--client", "cli_1")
    assert sentence in result.stdout
    assert "Client: shop (cli_1), floor public." in result.stdout
    assert fake.body["task_type"] == "email"
    assert fake.body["client"] == "cli_1"


def test_explain_when_nobody_may_answer() -> None:
    """An empty plan is said in words."""
    fake = FakeJunto({"/routing/explain": said({**EXPLAINED, "candidates": []})})
    assert "Nobody may answer." in run(fake, "route", "explain", "quality").stdout


@pytest.mark.parametrize("option", [["--sensitivity", "secret"], ["--needs", "tools,fly"]])
def test_explain_refuses_words_it_does_not_know(option: list[str]) -> None:
    """Before anything is asked."""
    fake = FakeJunto({})
    assert run(fake, "route", "explain", "fast", *option).exit_code == 2
    assert fake.asked == []


@pytest.mark.parametrize("args", [[], ["list"]])
def test_responses_lists(args: list[str]) -> None:
    """`responses` alone lists; cached tokens are tokens that went in."""
    result = run(FakeJunto({"/admin/responses": said({"responses": [EXCHANGE], "next": "req_1"})}), "responses", *args)
    _, row, more = words(result.stdout)
    assert row == ["req_1", "2023-11-14", "22:13:20Z", "fast", "desk/a", "internal", "ok", "6", "9", "12", "0.001"]
    assert more == ["More:", "--before", "req_1"]


def test_responses_filters() -> None:
    """Filters go into the query; those not given do not."""
    fake = FakeJunto({"/admin/responses": said({"responses": [], "next": None})})
    result = run(fake, "responses", "--limit", "5", "--outcome", "error")
    assert dict(fake.asked[0].url.params) == {"limit": "5", "outcome": "error"}
    assert result.stdout == "No exchange is stored.\n"


def test_responses_show() -> None:
    """Metadata as a table, bodies as JSON, a body that was not kept in words."""
    one = {**EXCHANGE, "request": {"messages": ["\x1b[2J"]}, "answer": None}
    result = run(FakeJunto({"/admin/responses/req_1": said(one)}), "responses", "show", "req_1")
    assert ["started", "2023-11-14", "22:13:20Z"] in words(result.stdout)
    assert "\x1b" not in result.stdout
    assert result.stdout.endswith("Answer: not stored.\n")


def test_responses_show_takes_no_path() -> None:
    """An id with slashes stays one segment of the path."""
    fake = FakeJunto({})
    run(fake, "responses", "show", "../../x?y")
    assert fake.asked[0].url.raw_path == b"/admin/responses/..%2F..%2Fx%3Fy"


def test_responses_show_an_unknown_one() -> None:
    """Junto's words, exit code 1."""
    fake = FakeJunto({"/admin/responses/nope": refused(404, "not_found", "There is no stored exchange 'nope'.")})
    result = run(fake, "responses", "show", "nope")
    assert (result.exit_code, result.stderr) == (1, "There is no stored exchange 'nope'.\n")


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (["list"], "/admin/responses"),
        (["show", "req_1"], "/admin/responses/req_1"),
        (["stats"], "/admin/responses/stats"),
    ],
)
def test_responses_as_json(args: list[str], path: str) -> None:
    """What Junto said, as it is."""
    value: dict[str, object] = {"responses": [], "next": None}
    assert json.loads(run(FakeJunto({path: said(value)}), "responses", *args, "--json").stdout) == value


def test_stats_as_a_table() -> None:
    """Nested figures in one line, times as times."""
    figures = {
        "exchanges": 2,
        "by_outcome": {"ok": 1, "error": 1},
        "oldest_ms": 1_700_000_000_000,
        "cost_usd": "0.000000",
    }
    lines = words(run(FakeJunto({"/admin/responses/stats": said(figures)}), "responses", "stats").stdout)
    assert ["by", "outcome", "ok", "1,", "error", "1"] in lines
    assert ["oldest", "2023-11-14", "22:13:20Z"] in lines
    assert ["cost", "usd", "0"] in lines


def test_version() -> None:
    """In a line, and as JSON."""
    assert run(FakeJunto({}), "version").stdout.startswith("junto 0.")
    assert set(json.loads(run(FakeJunto({}), "version", "--json").stdout)) == {"version", "git_sha", "python"}


@pytest.mark.parametrize("args", [["--help"], ["chat", "--help"], ["route", "--help"], ["responses", "--help"]])
def test_help(args: list[str]) -> None:
    """Every level explains itself."""
    assert run(FakeJunto({}), *args).exit_code == 0


def test_a_narrow_terminal_shows_a_rows_name_whole_and_no_cell_is_lost() -> None:
    columns = ("job", "status", "task", "sensitivity", "model")
    row = ("job_1a1ff376788da037ceded19b", "cancelled", "email_classification", "internal", "rack/smollm2:135m")
    out = Console(file=io.StringIO(), width=64)
    out.print(table_for(out, columns, [row]))
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert row[0] in shown
    assert max(len(line) for line in shown.splitlines()) <= 64
    printed = "".join(shown.split()).replace("─", "")
    assert sorted(printed) == sorted("".join((*columns, *row)))


def test_a_wide_terminal_has_columns_apart() -> None:
    out = Console(file=io.StringIO(), width=80)
    out.print(table_for(out, ("a", "b"), [("one", "two")]))
    assert "one   two" in out.file.getvalue()  # type: ignore[attr-defined]
