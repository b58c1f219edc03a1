"""Models that refuse `max_tokens`: recognised by their names, and sent the bound in their own spelling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from junto.core.sensitivity import Locality, Sensitivity
from junto.dialects import openai
from junto.gateway import egress
from junto.ports.provider import Call, Deadlines
from junto.providers.fake import Fake
from junto.providers.profiles import respells_limit
from junto.providers.respelling import Respelling
from junto.routing.facts import BackendLive, DeploymentFacts, Live

if TYPE_CHECKING:
    from junto.dialects.wire import Wire

pytestmark = pytest.mark.anyio

HERE = DeploymentFacts(
    backend="up",
    model="gpt-5",
    upstream_model="gpt-5",
    provider="openai",
    locality=Locality.CLOUD,
    live=Live(),
    backend_live=BackendLive(),
)


@pytest.mark.parametrize(
    ("model", "respelled"),
    [("gpt-5-mini", True), ("o3", True), ("openai/o1", True), ("gpt-4o", False), ("qwen3:8b", False), ("", False)],
)
def test_who_wants_another_spelling(model: str, respelled: bool) -> None:  # noqa: FBT001
    assert respells_limit(model) is respelled


async def body_at(wire: Wire, body: dict[str, object]) -> dict[str, object]:
    """What the backend behind it is sent."""
    backend = Fake("up")
    sent = json.dumps(body).encode()
    call = Call(
        wire=wire,
        body=sent,
        request=lambda: wire.parse_request(sent),
        model="gpt-5",
        stream=False,
        wants_usage=False,
        deadlines=Deadlines(),
    )
    clearance = egress.clear(Sensitivity.PUBLIC, HERE, allow_cloud_for_internal=True)
    (await Respelling(backend).open(clearance, call)).close()
    assert call.body is sent  # another candidate gets the caller's own
    passed: dict[str, object] = json.loads(backend.calls[-1].body)
    return passed


async def test_chats_are_respelled_and_other_requests_are_not() -> None:
    chat = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    assert (await body_at(openai.CHAT, chat))["max_completion_tokens"] == 9
    text = {"model": "gpt-5", "prompt": "Hi", "max_tokens": 9}
    assert await body_at(openai.COMPLETIONS, text) == text


async def test_all_else_is_the_backend_s_own() -> None:
    standing = Respelling(Fake("up", models=("gpt-5",)))
    assert standing.name == "up"
    await standing.start()
    assert [model.name for model in (await standing.probe()).models] == ["gpt-5"]
    await standing.load("gpt-5")
    await standing.unload("gpt-5")
    await standing.close()
