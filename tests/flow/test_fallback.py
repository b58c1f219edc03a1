"""When a backend fails, the next one answers as long as nothing was committed, and the caller can see who it was."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.raw_caller import PATHS, chat_request
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.flow.stage import Stage
    from tests.upstreams import Script

MODEL = "gpt-test"
UPSTREAM_WORDS = "the scripted failure"
DIALECTS = pytest.mark.parametrize("dialect", list(PATHS))


class Pair:
    """Junto in front of a preferred and a second backend that have the same models."""

    def __init__(self, junto: RunningJunto, preferred: OpenAIEmulator, second: OpenAIEmulator) -> None:
        self.junto = junto
        self.preferred = preferred
        self.second = second

    def ask(self, dialect: str = "openai", prompt: str = "hello", *, stream: bool = False) -> httpx2.Response:
        return ask(self.junto, dialect, MODEL, prompt, stream=stream)

    def states(self) -> dict[str, dict[str, Any]]:
        return {backend["name"]: backend for backend in self.junto.get("/admin/backends")["backends"]}


def ask(junto: RunningJunto, dialect: str, model: str, prompt: str, *, stream: bool = False) -> httpx2.Response:
    path, body = chat_request(dialect, model, prompt, stream=stream)
    return junto.http.post(path, json=body)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with OpenAIEmulator() as preferred, OpenAIEmulator() as second:
        backends = [
            {"name": "preferred", "provider": "openai", "url": preferred.base_url, "priority": 1},
            {"name": "second", "provider": "openai", "url": second.base_url, "priority": 2},
        ]
        with RunningJunto(tmp_path / "data", {"backends": backends}) as junto:
            yield Pair(junto, preferred, second)
            assert junto.falls_idle()


def test_killing_the_preferred_backend_in_mid_traffic_loses_nothing(pair: Pair) -> None:
    """Only streams that had begun may end early, and those say so after the text they had."""
    asked = [
        (dialect, stream, f"question {number}") for number in range(15) for dialect in PATHS for stream in (False, True)
    ]
    pair.preferred.script.always(lambda heard: Scripted(text=f"I heard: {heard.prompt}", gap=0.002))
    pair.second.script.always(lambda heard: Scripted(text=f"I heard: {heard.prompt}"))

    def one(question: tuple[str, bool, str]) -> tuple[str, bool]:
        dialect, stream, prompt = question
        answer = pair.ask(dialect, prompt, stream=stream)
        assert answer.status_code == 200, answer.text
        said = text_of(dialect, answer.text, stream=stream)
        if said != f"I heard: {prompt}":
            assert stream
            assert answer.headers["x-junto-backend"] == "preferred"
            assert said
            assert f"I heard: {prompt}".startswith(said)
            assert_ends_with_error(dialect, answer.text)
        return answer.headers["x-junto-backend"], said == f"I heard: {prompt}"

    with ThreadPoolExecutor(6) as threads:
        under_way = [threads.submit(one, question) for question in asked]
        pair.preferred.script.wait_arrived(20)
        pair.preferred.kill()
        answers = Counter(answer.result() for answer in under_way)
    assert answers["second", True] > 50
    assert answers["preferred", True] > 0
    assert answers["preferred", False] <= 6
    assert len(pair.junto.recorded(120, limit=200)) == 120


def text_of(dialect: str, body: str, *, stream: bool) -> str:
    """What an answer says, whole or streamed, complete or not."""
    if not stream:
        return said_in(dialect, json.loads(body))
    if dialect in {"ollama", "native"}:
        return "".join(said_in(dialect, json.loads(line)) for line in body.splitlines())
    events = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    return "".join(said_in(dialect, json.loads(event)) for event in events)


def said_in(dialect: str, value: dict[str, Any]) -> str:
    """The text in one body, event or line of a dialect."""
    match dialect:
        case "openai":
            parts = [choice.get("message") or choice["delta"] for choice in value.get("choices", ())]
            return "".join(part.get("content") or "" for part in parts)
        case "anthropic":
            blocks = [*value.get("content", ()), value.get("delta", {})]
            return "".join(block.get("text", "") for block in blocks)
        case "ollama":
            return str(value.get("message", {}).get("content", ""))
        case _:
            return str(value.get("content") or value.get("text") or "")


def assert_ends_with_error(dialect: str, body: str) -> None:
    """The last thing in a stream is the dialect's own error, in Junto's words."""
    last = body.strip().splitlines()[-1]
    assert UPSTREAM_WORDS not in body
    match dialect:
        case "openai":
            assert json.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_failed"
            assert "[DONE]" not in body
        case "anthropic":
            assert body.strip().splitlines()[-2] == "event: error"
            assert json.loads(last.removeprefix("data: "))["error"]["type"] == "api_error"
            assert "message_stop" not in body
        case "ollama":
            assert json.loads(last).keys() == {"error"}
        case _:
            assert json.loads(last)["type"] == "error"


@DIALECTS
@pytest.mark.parametrize("how", ["error", "reset", "close", "truncate"])
def test_a_stream_that_breaks_keeps_its_text_and_ends_with_an_error(
    stage: Stage, model: str, script: Script, dialect: str, how: Any
) -> None:
    script.plan(Scripted(text="one two three four", fail=Fail(how=how, after=2)))
    answer = ask(stage.junto, dialect, model, "count", stream=True)
    assert answer.status_code == 200
    assert text_of(dialect, answer.text, stream=True) == "one two"
    assert_ends_with_error(dialect, answer.text)
    assert len(script.inferences) == 1
    assert stage.junto.falls_idle()


@pytest.mark.parametrize("how", ["reset", "close", "truncate"])
def test_a_whole_answer_that_breaks_is_answered_by_the_next(pair: Pair, how: Any) -> None:
    pair.preferred.script.always(Scripted(text="never heard", fail=Fail(how=how, after=1)))
    answer = pair.ask()
    assert answer.status_code == 200
    assert answer.headers["x-junto-backend"] == "second"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 529])
def test_an_upstreams_trouble_moves_on_to_the_next(pair: Pair, status: int) -> None:
    pair.preferred.script.always(Scripted(fail=Fail(status=status, retry_after="30")))
    for stream in (False, True):
        answer = pair.ask(stream=stream)
        assert answer.status_code == 200
        assert text_of("openai", answer.text, stream=stream) == "You said: hello"
        assert answer.headers["x-junto-backend"] == "second"
        assert answer.headers["x-junto-model"] == MODEL
        assert answer.headers["x-fallback-model"] == MODEL
        assert answer.headers["x-junto-attempts"] == "2"
    for record in pair.junto.recorded(2):
        assert [attempt["backend"] for attempt in record["attempts"]] == ["preferred", "second"]


def test_the_preferred_backends_own_answer_is_no_fallback(pair: Pair) -> None:
    answer = pair.ask()
    assert answer.headers["x-junto-backend"] == "preferred"
    assert answer.headers["x-junto-attempts"] == "1"
    assert "x-fallback-model" not in answer.headers


def test_a_throttled_backend_is_asked_again_where_it_soon_has_room(pair: Pair) -> None:
    pair.preferred.script.plan(Scripted(fail=Fail(status=429, retry_after="0")))
    answer = pair.ask()
    assert (answer.headers["x-junto-backend"], answer.headers["x-junto-attempts"]) == ("preferred", "2")


def test_a_refused_request_is_passed_on_in_juntos_words(pair: Pair) -> None:
    """Every other model would refuse it too, so nobody else is asked."""
    pair.preferred.script.always(Scripted(fail=Fail(status=400)))
    for dialect, stream in product(PATHS, (False, True)):
        answer = pair.ask(dialect, stream=stream)
        assert answer.status_code == 400
        assert UPSTREAM_WORDS not in answer.text
        assert "refused the request as invalid" in answer.text
        assert "error" in answer.json()
    assert not pair.second.script.inferences


def test_when_everything_is_down_the_caller_is_told_when_to_come_back(pair: Pair) -> None:
    pair.preferred.kill()
    pair.second.kill()
    for dialect, stream in product(PATHS, (False, True)):
        answer = pair.ask(dialect, stream=stream)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["x-junto-request-id"].startswith("req_")
        if dialect == "native" and not stream:
            assert answer.json() == {"error": "All providers unavailable"}
        else:
            assert "All providers unavailable" in answer.text


def test_when_everybody_is_throttled_so_is_the_caller(pair: Pair) -> None:
    for upstream in (pair.preferred, pair.second):
        upstream.script.always(Scripted(fail=Fail(status=429, retry_after="42")))
    answer = pair.ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "42")
    assert answer.json()["error"]["type"] == "rate_limit_error"


def test_a_breaker_opens_after_five_failures_and_the_backend_is_left_alone(pair: Pair) -> None:
    pair.preferred.script.always(Scripted(fail=Fail(status=500)))
    for _ in range(8):
        assert pair.ask().headers["x-junto-backend"] == "second"
    assert len(pair.preferred.script.inferences) == 5
    [first, *_] = [model for model in pair.states()["preferred"]["models"] if model["model"] == MODEL]
    assert first["breaker"] == "open"
    assert pair.ask().headers["x-junto-attempts"] == "1"


def test_a_heartbeat_brings_a_restarted_backend_back(pair: Pair) -> None:
    pair.preferred.kill()
    pair.junto.beat()
    state = pair.states()["preferred"]
    assert (state["status"], state["failure"]) == ("down", "connect")
    answer = pair.ask()
    assert (answer.headers["x-junto-backend"], answer.headers["x-junto-attempts"]) == ("second", "1")
    pair.preferred.restart()
    pair.junto.beat()
    assert pair.states()["preferred"]["status"] == "up"
    assert pair.ask().headers["x-junto-backend"] == "preferred"
