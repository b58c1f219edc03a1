"""Jobs by task type: the route decides the model and the floor, the template is put in, the webhook tells of the end."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from junto.core.secret import Secret
from junto.jobs.signing import verify
from tests.chaos.jobs.processes import until
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def upstream() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as upstream:
        yield upstream


@pytest.fixture
def junto(tmp_path: Path, fresh_database: dict[str, str], upstream: OpenAIEmulator) -> Iterator[RunningJunto]:
    backends = [{"name": "up", "provider": "openai", "url": upstream.base_url, "locality": "local"}]
    config = {"backends": backends, "outbound": {"allow": ["127.0.0.1"]}, "jobs": {"worker": "on"}}
    with RunningJunto(tmp_path, config, environ=fresh_database) as junto:
        yield junto


def submit(junto: RunningJunto, **body: Any) -> dict[str, Any]:
    asked = {"task_type": "triage", "prompt": "The disk is full.", "wait_s": 10, **body}
    answer: dict[str, Any] = junto.http.post("/jobs", json=asked).raise_for_status().json()
    return answer


def route(junto: RunningJunto, task_type: str, **document: Any) -> None:
    put = {"preferred_model": "gpt-test", "sensitivity": "confidential", **document}
    junto.http.put(f"/routing/{task_type}", json=put, headers=junto.admin).raise_for_status()


def test_a_known_task_goes_by_its_route_and_its_template(junto: RunningJunto, upstream: OpenAIEmulator) -> None:
    route(junto, "triage", max_tokens=77, sampling={"temperature": 0.5})
    junto.http.put("/prompts/triage", json={"body": "You are on call."}, headers=junto.admin).raise_for_status()
    upstream.script.clear()
    job = submit(junto, sensitivity="public", max_tokens=500)
    assert (job["status"], job["route"], job["model_used"]) == ("complete", "task", "gpt-test")
    assert (job["sensitivity"], job["sensitivity_raised"]) == ("confidential", True)
    assert job["prompt_version"].startswith("shared:triage@1")
    asked = upstream.script.inferences[-1].json
    assert asked["messages"] == [
        {"role": "system", "content": "You are on call."},
        {"role": "user", "content": "The disk is full."},
    ]
    assert (asked["max_tokens"], asked["temperature"]) == (77, 0.5)


def test_ones_own_system_prompt_goes_before_the_template(junto: RunningJunto, upstream: OpenAIEmulator) -> None:
    junto.http.put("/prompts/triage", json={"body": "You are on call."}, headers=junto.admin).raise_for_status()
    job = submit(junto, system_prompt="Be brief.")
    assert "prompt_version" not in job
    assert upstream.script.inferences[-1].json["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_unknown_task_goes_by_the_default_route_and_says_so(junto: RunningJunto) -> None:
    assert submit(junto, task_type="never-heard-of")["route"] == "default"


def test_a_fallback_takes_over_where_the_routes_model_fails(junto: RunningJunto, upstream: OpenAIEmulator) -> None:
    route(junto, "triage", preferred_model="gpt-test", fallback_model="fast")
    upstream.script.plan(Scripted(fail=Fail(status=500)))
    job = submit(junto)
    assert (job["status"], job["attempts"]) == ("complete", 2)


class Receiver(BaseHTTPRequestHandler):
    heard: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        self.heard.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_end_is_told_to_the_webhook_signed_and_without_what_is_not_public(junto: RunningJunto) -> None:
    made = junto.http.post("/clients", json={"name": "hooked", "scopes": ["jobs"]}, headers=junto.admin).json()
    secret = junto.get(f"/clients/{made['id']}/webhook-secret")["secret"]
    heard: list[tuple[dict[str, str], bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hook", (Receiver,), {"heard": heard}))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        hook = f"http://127.0.0.1:{server.server_address[1]}/hook"
        key = {"authorization": f"Bearer {made['api_key']}"}
        for tier in ("public", "internal"):
            body = {"task_type": "t", "prompt": "x", "model": "gpt-test", "sensitivity": tier, "webhook": hook}
            junto.http.post("/jobs", json={**body, "wait_s": 10}, headers=key).raise_for_status()
        until(lambda: len(heard) == 2)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    told: list[dict[str, Any]] = sorted((json.loads(body) for _, body in heard), key=len)
    assert set(told[0]) == {"job_id", "status", "poll_url"}
    assert told[1]["response"]
    for headers, signed in heard:
        assert verify(Secret(secret), headers, signed, now=int(headers["X-Junto-Timestamp"]))
    job = junto.http.get(told[0]["poll_url"], headers=key).json()
    assert [each["state"] for each in job["webhooks"]] == ["delivered"]
