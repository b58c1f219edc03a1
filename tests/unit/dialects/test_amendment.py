"""What a route adds to bodies, in every wire: only what is missing, never more than its bound, the rest untouched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import Operation, Sampling
from junto.core.errors import InvalidField
from junto.dialects import anthropic, native, ollama, openai
from junto.dialects.amendment import Amendment
from junto.dialects.openai.amend import respell_limit

if TYPE_CHECKING:
    from junto.dialects.wire import Wire

USER = [{"role": "user", "content": "hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "task/x", "messages": USER},
    "openai.completions": {"model": "task/x", "prompt": "hello"},
    "anthropic.messages": {"model": "task/x", "messages": USER, "max_tokens": 5000},
    "ollama.chat": {"model": "task/x", "messages": USER},
    "ollama.generate": {"model": "task/x", "prompt": "hello"},
    "native.complete": {"model": "task/x", "messages": USER},
}
WIRES = {
    wire.name: wire
    for wire in (
        openai.CHAT,
        openai.COMPLETIONS,
        anthropic.MESSAGES,
        ollama.CHAT,
        ollama.GENERATE,
        native.COMPLETE,
    )
}
FULL = Amendment(system="Be brief.", max_tokens=100, sampling=Sampling(temperature=0.2, top_p=0.5, stop=("END",)))


def amended(wire: Wire, body: dict[str, Any], amendment: Amendment = FULL) -> tuple[dict[str, Any], bool]:
    done = wire.amend(msgspec.json.encode(body), amendment)
    return msgspec.json.decode(done.body), done.is_prompted


@pytest.mark.parametrize("name", BODIES)
def test_what_is_amended_reads_in_its_own_wire(name: str) -> None:
    """Peek and the codec both see the bound, the sampling and the prompt."""
    wire = WIRES[name]
    done = wire.amend(msgspec.json.encode(BODIES[name]), FULL)
    assert wire.peek(done.body).max_tokens == 100
    request: Any = wire.parse_request(done.body)
    assert request.sampling.max_tokens == 100
    assert request.sampling.temperature == 0.2
    assert done.is_prompted is (name != "openai.completions")
    roles = [message.role.value for message in request.messages]
    assert roles == (["system", "user"] if done.is_prompted else ["user"])
    if done.is_prompted:
        assert request.messages[0].text == "Be brief."


@pytest.mark.parametrize("name", BODIES)
def test_nothing_to_add_changes_nothing(name: str) -> None:
    assert amended(WIRES[name], BODIES[name], Amendment()) == (BODIES[name], False)


@pytest.mark.parametrize(
    ("name", "more", "kept"),
    [
        ("openai.chat", {"max_tokens": 50}, {"max_tokens": 50}),
        ("openai.chat", {"max_completion_tokens": 5000}, {"max_completion_tokens": 100}),
        ("openai.chat", {"max_completion_tokens": 50, "max_tokens": 5000}, {"max_completion_tokens": 50, "max_tokens": 100}),
        ("openai.chat", {"max_tokens": None}, {"max_tokens": 100}),
        ("openai.chat", {"temperature": 0}, {"temperature": 0}),
        ("openai.chat", {"temperature": None}, {"temperature": 0.2}),
        ("openai.chat", {"stop": "\n"}, {"stop": "\n"}),
        ("openai.completions", {"max_tokens": 101}, {"max_tokens": 100}),
        ("anthropic.messages", {"max_tokens": 99}, {"max_tokens": 99}),
        ("anthropic.messages", {}, {"max_tokens": 100, "stop_sequences": ["END"], "system": "Be brief."}),
        ("anthropic.messages", {"system": "Mine."}, {"system": "Mine."}),
        ("anthropic.messages", {"system": []}, {"system": "Be brief."}),
        ("ollama.chat", {"options": {"num_predict": -1, "mirostat": 1}}, {"options": {"num_predict": 100, "mirostat": 1, "temperature": 0.2, "top_p": 0.5, "stop": ["END"]}}),
        ("ollama.chat", {"options": {"num_predict": 7, "temperature": 1, "top_p": 1, "stop": []}}, {"options": {"num_predict": 7, "temperature": 1, "top_p": 1, "stop": []}}),
        ("ollama.generate", {"system": "Mine."}, {"system": "Mine."}),
        ("ollama.generate", {"system": ""}, {"system": "Be brief."}),
        ("native.complete", {"temperature": 1.5, "max_tokens": 200}, {"temperature": 1.5, "max_tokens": 100}),
    ],
)  # fmt: skip
def test_what_the_caller_says_stays_within_the_bound(name: str, more: dict[str, Any], kept: dict[str, Any]) -> None:
    body, _ = amended(WIRES[name], BODIES[name] | more)
    assert {key: body[key] for key in kept} == kept


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("name", ["openai.chat", "ollama.chat", "native.complete"])
def test_a_system_message_of_the_callers_stands(name: str, role: str) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": role, "content": "Mine."}]
    body, is_prompted = amended(WIRES[name], BODIES[name] | {"messages": messages})
    assert not is_prompted
    assert body["messages"] == messages


def test_a_raw_question_gets_no_system_prompt() -> None:
    body, is_prompted = amended(ollama.GENERATE, BODIES["ollama.generate"] | {"raw": True})
    assert not is_prompted
    assert "system" not in body


def test_a_message_that_thinks_is_not_sampled() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    body, _ = amended(anthropic.MESSAGES, BODIES["anthropic.messages"] | thinking)
    assert not {"temperature", "top_p", "stop_sequences"} & set(body)


def test_the_heat_of_other_dialects_fits_anthropics_scale() -> None:
    body, _ = amended(anthropic.MESSAGES, BODIES["anthropic.messages"], Amendment(sampling=Sampling(temperature=1.7)))
    assert body["temperature"] == 1.0


@pytest.mark.parametrize("messages", [[1, 2], "x", {"a": 1}])
def test_messages_that_are_none_are_refused_as_such(messages: object) -> None:
    """Ollama's glance leaves messages unread."""
    with pytest.raises(InvalidField):
        amended(ollama.CHAT, {"model": "m", "messages": messages})


@pytest.mark.parametrize("wire", [openai.EMBEDDINGS, ollama.EMBED, ollama.EMBEDDINGS])
def test_embeddings_are_left_alone(wire: Wire) -> None:
    body = b'{"model": "task/x", "input": "hello"}'
    assert wire.operation is Operation.EMBED
    assert wire.amend(body, FULL).body is body


@given(
    name=st.sampled_from(sorted(BODIES)),
    most=st.integers(1, 10**6),
    asked=st.none() | st.integers(1, 10**7),
)
def test_no_answer_may_be_longer_than_the_route_says(name: str, most: int, asked: int | None) -> None:
    wire, body = WIRES[name], dict(BODIES[name])
    if asked is not None:
        key = "options" if name.startswith("ollama") else "max_tokens"
        body[key] = {"num_predict": asked} if key == "options" else asked
    done = wire.amend(msgspec.json.encode(body), Amendment(max_tokens=most))
    wanted = wire.peek(done.body).max_tokens
    assert wanted is not None
    assert wanted <= most
    if asked is not None:
        assert wanted == min(asked, most)


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ({"max_tokens": 7}, {"max_completion_tokens": 7}),
        ({"max_tokens": 9, "max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ({"max_tokens": 9, "max_completion_tokens": None}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ({}, {}),
    ],
)
def test_the_bound_is_respelled_for_models_that_refuse_the_usual_spelling(
    sent: dict[str, Any], passed: dict[str, Any]
) -> None:
    chat = {"model": "gpt-5", "messages": [], "odd": {"kept": 1}}
    assert json.loads(respell_limit(json.dumps({**chat, **sent}).encode())) == {**chat, **passed}
