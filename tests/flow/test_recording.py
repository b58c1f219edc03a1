"""What is written down of an exchange: its answer with the thinking, its usage and its price, and no more than its tier allows."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.raw_caller import PATHS, RawCaller, chat_request, request_bytes
from tests.flow.stage import MODELS, set_stage
from tests.upstreams import Call, Fail, Gate, Scripted, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.flow.stage import Stage

PRICES = """
- {provider: openai, model: gpt-test, from: 2025-01-01, input: 9, output: 90}
- {provider: openai, model: gpt-test, from: 2026-01-01, input: 2, cache_read: 0.5, output: 10}
- {provider: openai, model: gpt-test, from: 2999-01-01, input: 999, output: 999}
- {provider: anthropic, model: claude-test, from: 2026-01-01, input: 3, cache_read: 0.3, cache_write: 3.75, output: 15}
"""
USED = Usage(input=1000, output=500, cache_read=200)
COSTS = {"openai": "0.007100", "anthropic": "0.010560", "ollama": "0.000000"}
DIALECTS = pytest.mark.parametrize("dialect", list(PATHS))
THINKING: dict[str, dict[str, Any]] = {
    "openai": {"reasoning_effort": "high"},
    "ollama": {"think": True},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096},
    "native": {},
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("data"), pricing=PRICES) as stage:
        yield stage


def ask(
    stage: Stage, dialect: str, model: str, prompt: str, *, stream: bool = False, tier: str = "internal", **more: Any
) -> httpx2.Response:
    path, body = chat_request(dialect, model, prompt, stream=stream)
    return stage.junto.http.post(path, json=body | more, headers={"X-Junto-Sensitivity": tier})


def asked_everywhere(
    stage: Stage, dialect: str, said: Scripted, *, kinds: Iterable[str] = MODELS, **more: Any
) -> list[tuple[str, bool, httpx2.Response]]:
    """Every kind of backend, asked for a whole answer and for a stream: the kind, whether it streams, the answer."""
    answers = []
    for kind, stream in product(kinds, (False, True)):
        stage.scripts[kind].plan(said)
        answers.append((kind, stream, ask(stage, dialect, MODELS[kind], "a question", stream=stream, **more)))
    return answers


def record_of(stage: Stage, answer: httpx2.Response) -> dict[str, Any]:
    """The stored exchange of an answer, in full."""
    return find(stage, answer.headers["x-junto-request-id"])


def find(stage: Stage, exchange_id: str) -> dict[str, Any]:
    for _ in range(200):
        found = stage.junto.http.get(f"/admin/responses/{exchange_id}", headers=stage.junto.admin)
        if found.status_code == 200:
            break
        time.sleep(0.02)
    record: dict[str, Any] = found.raise_for_status().json()
    return record


@DIALECTS
def test_an_answer_is_stored_with_its_thinking_and_its_calls(stage: Stage, dialect: str) -> None:
    said = Scripted(text="The answer.", thinking="Let me see.", tool_calls=(Call("look", {"at": 1}, id="call_a"),))
    for kind, stream, answer in asked_everywhere(stage, dialect, said, **THINKING[dialect]):
        record = record_of(stage, answer)
        assert record["request"]["messages"] == [{"role": "user", "content": "a question"}]
        assert (record["model"], record["stream"], record["outcome"]) == (MODELS[kind], stream, "ok")
        assert record["wire"].startswith(f"{dialect}.")
        stored = record["answer"]
        assert stored["text"] == "The answer."
        assert stored["thinking"] == ("" if dialect == "native" else "Let me see.")
        assert [call["name"] for call in stored["tool_calls"]] == ["look"]
        assert stored["finish_reason"] == "tool_calls"
        assert "failure" not in stored
        assert 0 <= record["ttft_ms"] <= record["duration_ms"]


@DIALECTS
def test_a_priced_answer_is_charged_to_the_nano_dollar(stage: Stage, dialect: str) -> None:
    """At the price of today, each class of tokens at its own; a local answer costs nothing."""
    for kind, stream, answer in asked_everywhere(stage, dialect, Scripted(text="The answer.", usage=USED)):
        record = record_of(stage, answer)
        assert record["cost_usd"] == COSTS[kind]
        usage = record["usage"]
        assert usage["input_tokens"] + usage["cache_read_tokens"] == 1200
        assert usage["output_tokens"] == 500
        assert not usage["estimated"]
        assert record["price_date"] == ("" if kind == "ollama" else "2026-01-01")
        if not stream:
            assert answer.headers["x-junto-cost-usd"] == COSTS[kind]


@DIALECTS
def test_usage_that_the_upstream_leaves_out_is_counted_and_flagged(stage: Stage, dialect: str) -> None:
    """Anthropic's wire has no answer without usage, so it is not asked."""
    said = Scripted(text="words " * 40, usage="omit")
    for kind, _, answer in asked_everywhere(stage, dialect, said, kinds=("openai", "ollama")):
        record = record_of(stage, answer)
        usage = record["usage"]
        assert usage["estimated"]
        assert usage["input_tokens"] > 0
        assert usage["output_tokens"] >= 40
        assert (record["cost_usd"] > "0.000000") == (kind == "openai")


@DIALECTS
def test_a_stream_that_the_caller_leaves_is_charged_for_what_it_got(stage: Stage, dialect: str) -> None:
    stage.scripts["openai"].plan(Scripted(pieces=("word ",) * 100, gate=Gate(), gate_after=80))
    path, body = chat_request(dialect, MODELS["openai"], "a question", stream=True)
    with RawCaller(stage.junto.port) as caller:
        caller.send(request_bytes(path, body))
        heard = caller.read_until(b"word ")
        while heard.count(b"word ") < 80:
            heard = caller.read_more()
    head = heard.partition(b"\r\n\r\n")[0].decode()
    exchange_id = head.partition("x-junto-request-id: ")[2].split("\r\n")[0]
    record = find(stage, exchange_id)
    assert record["outcome"] == "cancelled"
    assert record["usage"]["estimated"]
    assert record["usage"]["output_tokens"] >= 80
    assert record["cost_usd"] >= "0.000800"
    assert record["answer"]["text"] == "word " * 80
    assert record["answer"]["failure"] == "reset"


@DIALECTS
def test_a_stream_that_breaks_is_charged_and_stored_as_far_as_it_came(stage: Stage, dialect: str) -> None:
    stage.scripts["openai"].plan(Scripted(text="one two three four", fail=Fail(how="reset", after=3)))
    record = record_of(stage, ask(stage, dialect, MODELS["openai"], "count", stream=True))
    assert (record["outcome"], record["status"], record["error_code"]) == ("error", 200, "upstream_failed")
    assert record["answer"]["text"] == "one two three"
    assert record["cost_usd"] > "0.000000"
    assert [attempt["failure"] for attempt in record["attempts"]] == ["reset"]


def test_a_refusal_is_recorded_with_its_code(stage: Stage) -> None:
    record = record_of(stage, ask(stage, "openai", "gpt-tost", "a question"))
    assert (record["outcome"], record["status"], record["error_code"]) == ("error", 404, "model_not_found")
    assert record["answer"] is None


def test_of_confidential_exchanges_only_the_metadata_reach_the_disk(stage: Stage) -> None:
    """Neither the journal nor the database has a word of them."""
    stage.scripts["ollama"].plan(Scripted(text="the antwort-marker"))
    answer = ask(stage, "openai", MODELS["ollama"], "the frage-marker", tier="confidential")
    assert answer.status_code == 200
    record = record_of(stage, answer)
    assert (record["sensitivity"], record["keep"], record["backend"]) == ("confidential", "metadata", "desk")
    assert (record["request"], record["answer"]) == (None, None)
    assert record["usage"]["output_tokens"] == 2
    data_dir = stage.junto.config_file.parent
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert len(written) > 10_000
    assert b"-marker" not in written


def test_a_tier_that_keeps_nothing_is_not_even_listed(tmp_path: Path) -> None:
    config = {"storage": {"responses": {"public": "none", "internal": "metadata"}}}
    with set_stage(tmp_path / "data", config) as stage:
        assert ask(stage, "openai", "gpt-test", "unheard", tier="public").status_code == 200
        record = record_of(stage, ask(stage, "openai", "gpt-test", "heard of", tier="internal"))
        assert (record["request"], record["answer"]) == (None, None)
        assert [one["sensitivity"] for one in stage.junto.recorded(1)] == ["internal"]


def test_the_list_is_paged_and_filtered_and_summed_up(tmp_path: Path) -> None:
    with set_stage(tmp_path / "data", pricing=PRICES) as stage:
        for number in range(5):
            kind = ("openai", "ollama")[number % 2]
            stage.scripts[kind].plan(Scripted(text="answer " * 200, usage=USED))
            ask(stage, "openai", MODELS[kind], f"question {number} " * 100)
        everything = [one["id"] for one in stage.junto.recorded(5)]
        assert everything == sorted(everything, reverse=True)
        first = stage.junto.get("/admin/responses", limit=3)
        rest = stage.junto.get("/admin/responses", limit=3, before=first["next"])
        assert [one["id"] for one in first["responses"] + rest["responses"]] == everything
        assert rest["next"] is None
        assert len(stage.junto.get("/admin/responses", backend="desk")["responses"]) == 2
        assert "request" not in first["responses"][0]
        stats = stage.junto.get("/admin/responses/stats")
        assert (stats["exchanges"], stats["by_outcome"], stats["by_sensitivity"]) == (5, {"ok": 5}, {"internal": 5})
        assert stats["cost_usd"] == "0.021300"
        assert stats["compression_ratio"] > 2


@pytest.mark.parametrize(
    "path", ["/admin/responses", "/admin/responses/stats", "/admin/responses/x", "/admin/backends"]
)
def test_administration_is_closed_without_the_key_and_with_a_wrong_one(stage: Stage, path: str) -> None:
    http = stage.junto.http
    assert http.get(path).status_code == 401
    assert http.get(path, headers={"authorization": "Bearer jt_wrong"}).status_code == 403
    assert http.get(path, headers={"x-api-key": "jt_wrong"}).status_code == 403
    key = stage.junto.admin["authorization"].removeprefix("Bearer ")
    assert http.get(path, headers={"x-api-key": key}).status_code in {200, 404}
