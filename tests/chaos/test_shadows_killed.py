"""kill -9 while shadows are asked: each exchange that was acknowledged has its shadow in the end, and has it once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from tests.chaos.test_kill_nine import ADMIN_KEY, Served
from tests.upstreams import OpenAIEmulator, Script, Scripted

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 3
ASKED_EACH = 8
PATIENCE = 60.0
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
ROUTE = {"preferred_model": "usual", "sensitivity": "public", "shadow_models": [{"model": "rival", "rate": 1.0}]}


def ask(client: httpx2.Client, number: int) -> str:
    """Ask a task's model; the id of the exchange, when its answer is there whole."""
    body = {"model": "task/mail", "messages": [{"role": "user", "content": f"question {number}"}]}
    response = client.post("/v1/chat/completions", json=body, headers={"X-Junto-Sensitivity": "public"})
    assert response.status_code == 200, response.text
    return str(response.headers["x-junto-request-id"])


def shadows(client: httpx2.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        client.get("/eval/shadows?limit=200", headers=ADMIN).raise_for_status().json()["shadows"]
    )
    return found


def all_ended(client: httpx2.Client, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = shadows(client)
        if len(found) >= count and all(one["finished_ms"] is not None for one in found):
            return found
        assert time.monotonic() < deadline, [(one["status"], one["source_id"]) for one in found]
        time.sleep(0.2)


def test_shadows_outlive_a_junto_that_is_killed(tmp_path: Path) -> None:
    usual = OpenAIEmulator(Script(), models=["usual"])
    rival = OpenAIEmulator(Script(default=lambda _: Scripted(text="the rival's own words", gap=0.1)), models=["rival"])
    acknowledged: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(usual)
        stack.enter_context(rival)
        backends = [
            {"name": "front", "provider": "openai", "url": usual.base_url, "locality": "local"},
            {"name": "back", "provider": "openai", "url": rival.base_url, "locality": "local", "slots": 1},
        ]
        config = {"backends": backends, "builtin_model": "off", "logging": {"level": "error"}}
        (tmp_path / "junto.yaml").write_bytes(msgspec.yaml.encode(config))
        for kill in range(KILLS):
            with Served(tmp_path) as junto, httpx2.Client(base_url=junto.url, timeout=20) as client:
                client.put("/routing/mail", json=ROUTE, headers=ADMIN).raise_for_status()
                acknowledged += [ask(client, kill * 100 + number) for number in range(ASKED_EACH)]
                rival.script.wait_arrived(len(rival.script.inferences) + 1, within=20)
                junto.kill()  # while one is asked, and the latest answers may be in the journal alone
        with Served(tmp_path) as junto, httpx2.Client(base_url=junto.url, timeout=20) as client:
            found = all_ended(client, len(acknowledged))
    assert sorted(one["source_id"] for one in found) == sorted(acknowledged)
    assert {one["status"] for one in found} == {"complete"}
