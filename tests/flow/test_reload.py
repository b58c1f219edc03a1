"""A new configuration comes into force whole or not at all, and what is under way ends as it began."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.flow.raw_caller import RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import Gate, OllamaEmulator, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

MODEL = "gpt-test"


class Reloading:
    """Junto, an upstream that it has from the beginning, and one that it may get."""

    def __init__(self, junto: RunningJunto, first: OpenAIEmulator, other: OllamaEmulator) -> None:
        self.junto = junto
        self.first = first
        self.other = other

    def backend(self, **more: Any) -> dict[str, Any]:
        return {"name": "gpts", "provider": "openai", "url": self.first.base_url, **more}

    def other_backend(self, **more: Any) -> dict[str, Any]:
        return {"name": "desk", "provider": "ollama", "url": self.other.url, **more}

    def reload(self, config: dict[str, Any] | str) -> httpx2.Response:
        self.junto.configure(config)
        return self.junto.http.post("/admin/reload", headers=self.junto.admin)

    def ask(self, model: str = MODEL) -> httpx2.Response:
        path, body = chat_request("openai", model, "hello", stream=False)
        return self.junto.http.post(path, json=body)

    def models(self) -> set[str]:
        return {model["id"] for model in self.junto.http.get("/v1/models").json()["data"]}

    @contextmanager
    def streaming(self) -> Iterator[tuple[RawCaller, Gate]]:
        """A stream whose first words have come, and the gate before the rest."""
        gate = Gate()
        self.first.script.plan(Scripted(text="one two three four", gate=gate, gate_after=2))
        with RawCaller(self.junto.port) as caller:
            caller.send(request_bytes(*chat_request("openai", MODEL, "count", stream=True)))
            caller.read_until(b" two")
            yield caller, gate
            gate.open()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Reloading]:
    with OpenAIEmulator() as first, OllamaEmulator() as other:
        backend = {"name": "gpts", "provider": "openai", "url": first.base_url}
        with RunningJunto(tmp_path / "data", {"backends": [backend]}) as junto:
            yield Reloading(junto, first, other)
            assert junto.falls_idle()


def test_a_new_backend_is_there_when_the_reload_has_answered(running: Reloading) -> None:
    assert running.ask("qwen3:8b").status_code == 404
    answer = running.reload({"backends": [running.backend(), running.other_backend()]})
    assert (answer.status_code, answer.json()) == (200, {"status": "reloaded", "warnings": []})
    assert "qwen3:8b" in running.models()
    assert running.ask("qwen3:8b").headers["x-junto-backend"] == "desk"


def test_a_changed_backend_is_missed_by_nobody(running: Reloading) -> None:
    """Callers who go on asking while it is made anew again and again notice nothing."""
    over = threading.Event()

    def go_on() -> list[int]:
        answers = []
        while not over.is_set():
            answers.append(running.ask().status_code)
        return answers

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(go_on) for _ in range(3)]
        for number in range(10):
            assert running.reload({"backends": [running.backend(priority=number)]}).status_code == 200
        over.set()
        answers = [status for each in asking for status in each.result()]
    assert set(answers) == {200}


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("backends: [{name: x}", ["line "]),
        (
            "routing: {strategy: clever}\nbackends:\n  - {name: a, provider: openia, url: 'http://127.0.0.1:1'}\nport: 5\n",
            ["line 1: routing.strategy", "line 3: backends[0].provider", "line 4: port"],
        ),
        ("groups: {fast: {members: 7}}\nserver: {max_body_mb: lots}\n", ["groups.fast.members", "server.max_body_mb"]),
        (
            "backends: [{name: a, provider: openai, url: 'http://user:secret@127.0.0.1:1/v1', models: [m]}]\n",
            ["backends"],
        ),
    ],
)
def test_a_broken_file_is_refused_with_every_error_and_changes_nothing(
    running: Reloading, text: str, complaints: list[str]
) -> None:
    before = running.models()
    answer = running.reload(text)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_configuration"
    for complaint in complaints:
        assert any(complaint in reason for reason in error["reasons"]), error["reasons"]
    assert "secret" not in answer.text
    assert running.models() == before
    assert running.ask().headers["x-junto-backend"] == "gpts"


def test_broken_prices_are_refused_like_a_broken_configuration(running: Reloading) -> None:
    prices = running.junto.config_file.with_name("pricing.yaml")
    prices.write_text("- {provider: openai, model: gpt-test, from: yesterday, input: much}\n")
    answer = running.reload({"backends": []})
    assert answer.status_code == 422
    reasons = answer.json()["error"]["reasons"]
    assert len(reasons) == 2
    assert all("pricing.yaml: line 1: " in reason for reason in reasons), reasons  # not a line of the configuration
    assert running.ask().status_code == 200
    prices.write_text("- {provider: openai, model: gpt-test, from: 2026-01-01, input: 1000000, output: 0}\n")
    assert running.reload({"backends": [running.backend()]}).status_code == 200
    assert running.ask().headers["x-junto-cost-usd"] == "1.000000"


def test_a_stream_ends_as_it_began_although_its_backend_is_removed(running: Reloading) -> None:
    """New requests do not find it any more; when the last one has ended, its connections are closed."""
    with running.streaming() as (caller, gate):
        assert running.reload({"backends": [running.other_backend()]}).status_code == 200
        assert running.ask().status_code == 404
        assert running.ask("qwen3:8b").status_code == 200
        threading.Event().wait(0.7)  # longer than the drain looks away
        gate.open()
        heard = caller.read_until(b"[DONE]")
    assert b" four" in heard
    assert b'"error"' not in heard
    assert wait_until(lambda: running.first.open_connections == 0)


def test_a_stream_ends_as_it_began_although_its_backend_changes(running: Reloading) -> None:
    with running.streaming() as (caller, gate):
        assert running.reload({"backends": [running.backend(priority=7)]}).status_code == 200
        assert running.ask().status_code == 200
        gate.open()
        assert b" four" in caller.read_until(b"[DONE]")


def test_more_slots_let_waiting_requests_in(running: Reloading) -> None:
    assert running.reload({"backends": [running.backend(slots=1)]}).status_code == 200
    with running.streaming(), RawCaller(running.junto.port) as waiting:
        waiting.send(request_bytes(*chat_request("openai", MODEL, "me too", stream=False)))
        assert wait_until(lambda: running.junto.get("/admin/backends")["backends"][0]["slots"]["queued"] == 1)
        assert running.reload({"backends": [running.backend(slots=2)]}).status_code == 200
        assert waiting.answer()[0] == 200


def test_limits_tiers_and_what_is_stored_change_with_the_next_request(running: Reloading) -> None:
    assert running.ask().headers["x-junto-sensitivity"] == "internal"
    config = {
        "backends": [running.backend()],
        "server": {"max_body_mb": 1},
        "routing": {"default_sensitivity": "public"},
        "storage": {"responses": {"public": "none"}},
    }
    assert running.reload(config).status_code == 200
    assert running.ask().headers["x-junto-sensitivity"] == "public"
    assert running.junto.http.post("/v1/chat/completions", content=b" " * (1 << 21)).status_code == 413
    assert [record["sensitivity"] for record in running.junto.recorded(1)] == ["internal"]


def test_what_takes_a_restart_is_told(running: Reloading) -> None:
    answer = running.reload({"backends": [running.backend()], "server": {"workers": 1}, "metrics": {"enabled": False}})
    assert answer.json()["warnings"] == ["metrics has changed: that takes a restart."]


def test_a_reload_takes_the_administrators_key(running: Reloading) -> None:
    http = running.junto.http
    assert http.post("/admin/reload").status_code == 401
    assert http.post("/admin/reload", headers={"authorization": "Bearer jt_wrong"}).status_code == 403


def wait_until(condition: Any) -> bool:
    """Poll a condition for five seconds at most."""
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return True
        pause.wait(0.01)
    return bool(condition())
