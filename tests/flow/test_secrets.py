"""Keys are seen by those they are for and by nobody else: not in logs at debug level, errors, pages, metrics or commands."""

from __future__ import annotations

import io
import json
import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest
import structlog
from typer.testing import CliRunner

from junto.cli.main import app
from junto.telemetry.logging import configure
from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import AnthropicEmulator, Fail, OllamaEmulator, OpenAIEmulator, RawServer, Scripted
from tests.upstreams.raw import sized

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams import Received

KEYS = {
    kind: f"sk-canary-of-{kind}-0451-0123456789abcdef" for kind in ("openai", "anthropic", "ollama", "echo", "other")
}
PROMPT = "the-prompt-is-nobodys-business"
PATHS = ("/", "/health", "/metrics", "/v1/models", "/api/tags", "/openapi.json")
ADMIN_PATHS = ("/admin/backends", "/admin/responses", "/admin/responses/stats")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at debug level; afterwards the interpreter's logging is as before."""
    root, access, server = (logging.getLogger(name) for name in ("", "uvicorn.access", "uvicorn"))
    before = (root.handlers[:], root.level, access.disabled, server.level)
    written = io.StringIO()
    configure("debug", "json", written)
    yield written
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level, access.disabled, server.level = before
    structlog.reset_defaults()


class Upstreams:
    """A vendor of each kind that wants its key, one that throws the key it got back as an error, and one whose key is wrong."""

    def __init__(self, stack: ExitStack) -> None:
        self.openai = stack.enter_context(OpenAIEmulator(api_key=KEYS["openai"]))
        self.anthropic = stack.enter_context(AnthropicEmulator(api_key=KEYS["anthropic"]))
        self.ollama = stack.enter_context(OllamaEmulator())
        self.strict = stack.enter_context(OpenAIEmulator(api_key="another"))
        thrown = json.dumps(
            {"error": {"message": f"bad key {KEYS['echo']} for {PROMPT}", "code": KEYS["echo"]}}
        ).encode()
        self.echo = stack.enter_context(RawServer([sized(thrown, status="400 Bad Request")]))

    @property
    def config(self) -> dict[str, Any]:
        """What goes into junto.yaml."""
        return {
            "logging": {"level": "debug"},
            "backends": [
                {"name": "gpts", "provider": "openai", "url": self.openai.base_url, "api_key": KEYS["openai"]},
                {"name": "claudes", "provider": "anthropic", "url": self.anthropic.url, "api_key": KEYS["anthropic"]},
                {"name": "desk", "provider": "ollama", "url": self.ollama.url, "api_key": KEYS["ollama"]},
                {
                    "name": "echo",
                    "provider": "openai",
                    "url": f"{self.echo.url}/v1",
                    "api_key": KEYS["echo"],
                    "models": ["e"],
                },
                {
                    "name": "strict",
                    "provider": "openai",
                    "url": self.strict.base_url,
                    "api_key": KEYS["other"],
                    "models": ["s"],
                },
            ],
        }

    def received(self) -> dict[str, list[Received]]:
        """What each of them was asked, by whose key it may have seen."""
        return {
            "openai": self.openai.script.requests,
            "anthropic": self.anthropic.script.requests,
            "ollama": self.ollama.script.requests,
            "echo": self.echo.requests,
            "other": self.strict.script.requests,
        }


@pytest.fixture
def upstreams() -> Iterator[Upstreams]:
    with ExitStack() as stack:
        yield Upstreams(stack)


def everything_said(junto: RunningJunto, upstreams: Upstreams) -> str:
    """All that callers and the administrator get to see, in good times and bad."""
    said = []
    with httpx2.Client(base_url=junto.url, headers={"authorization": "Bearer sk-of-the-caller-0123456789"}) as client:
        for model in ("gpt-test", "claude-test", "llama3.2:latest", "e", "s", "unknown"):
            for stream in (False, True):
                messages = [{"role": "user", "content": PROMPT}]
                for path, more in (
                    ("/v1/chat/completions", {}),
                    ("/v1/messages", {"max_tokens": 9}),
                    ("/api/chat", {}),
                ):
                    for failure in (
                        None,
                        Fail(status=401, message=KEYS["openai"]),
                        Fail(status=500, message=KEYS["openai"]),
                    ):
                        if failure is not None:
                            upstreams.openai.script.plan_at("/v1/chat/completions", Scripted(fail=failure))
                        body = {"model": model, "messages": messages, "stream": stream, **more}
                        # Confidential, so that the prompt is stored nowhere; what it is refused to is part of what is said.
                        for tier in ("public", "confidential"):
                            response = client.post(path, json=body, headers={"x-junto-sensitivity": tier})
                            said.append(f"{response.status_code} {response.headers} {response.text}")
        said += [f"{(page := client.get(path)).headers} {page.text}" for path in PATHS]
        said += [f"{(page := client.get(path, headers=junto.admin)).headers} {page.text}" for path in ADMIN_PATHS]
        assert client.post("/admin/reload", headers=junto.admin).status_code == 200
    return "\n".join(said)


def test_no_key_is_seen_by_anyone_it_is_not_for(
    tmp_path: Path, upstreams: Upstreams, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with RunningJunto(tmp_path, upstreams.config) as junto:
        said = everything_said(junto, upstreams)
        junto.configure({"backends": [{"name": "x", "provider": "nobody", "api_key": KEYS["other"]}]})
        refused = httpx2.post(f"{junto.url}/admin/reload", headers=junto.admin)
        assert refused.status_code == 422
    captured = capfd.readouterr()
    places = {"answers": said, "refusal": refused.text, "log": log.getvalue(), "out": captured.out, "err": captured.err}
    assert "backend_down" in places["log"]
    for place, text in places.items():
        for secret in (*KEYS.values(), ADMIN_KEY, "sk-of-the-caller-0123456789"):
            assert secret not in text, place
        if place != "answers":
            assert PROMPT not in text, place
    assert not any(KEYS[kind].encode() in file.read_bytes() for kind in KEYS for file in stored(tmp_path))
    assert not any(ADMIN_KEY.encode() in file.read_bytes() for file in stored(tmp_path))


def stored(directory: Path) -> list[Path]:
    """Every file that Junto wrote."""
    return [file for file in directory.rglob("*") if file.is_file() and file.name != "junto.yaml"]


def test_a_providers_key_goes_to_its_own_origin_in_a_header_and_the_callers_key_goes_nowhere(
    tmp_path: Path, upstreams: Upstreams
) -> None:
    with RunningJunto(tmp_path, upstreams.config) as junto:
        everything_said(junto, upstreams)
    for owner, requests in upstreams.received().items():
        assert requests
        for one in requests:
            headers = str(one.headers)
            assert KEYS[owner] in headers
            assert KEYS[owner] not in f"{one.path}?{one.query}"
            assert KEYS[owner].encode() not in one.body
            others = [KEYS[kind] for kind in KEYS if kind != owner]
            for secret in (*others, ADMIN_KEY, "sk-of-the-caller-0123456789"):
                assert secret not in headers
                assert secret.encode() not in one.body


@pytest.mark.parametrize(
    "arguments", [["config", "show"], ["config", "check"], ["config", "show", "--json"], ["doctor"]]
)
def test_no_command_shows_a_key(tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "junto.yaml"
    backends = [{"name": "gpts", "provider": "openai", "url": "http://127.0.0.1:9/v1", "api_key": KEYS["openai"]}]
    file.write_bytes(msgspec.yaml.encode({"backends": backends, "data_dir": str(tmp_path), "builtin_model": "off"}))
    environ = {
        "JUNTO_ADMIN_KEY": ADMIN_KEY,
        "JUNTO_CONFIG": str(file),
        "ANTHROPIC_API_KEY": KEYS["anthropic"],
        "OLLAMA_HOST": "127.0.0.1:9",
    }
    result = CliRunner().invoke(app, arguments, env=environ)
    assert result.output
    for secret in (KEYS["openai"], KEYS["anthropic"], ADMIN_KEY):
        assert secret not in result.output


def test_open_inference_beyond_loopback_is_refused_at_start() -> None:
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--port", "0"], env={"JUNTO_ADMIN_KEY": ADMIN_KEY})
    assert result.exit_code == 2
    assert "allow_open_beyond_loopback" in result.output
