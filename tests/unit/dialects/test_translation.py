"""What a caller says in one dialect arrives in another, as far as that wire can say it; answers and streams come back."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import (
    ChatRequest,
    Format,
    Image,
    Message,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.completion import Completion, fold, unfold
from junto.core.errors import FailureKind, Overloaded, UpstreamFailure
from junto.core.events import Event, FinishReason
from junto.dialects.anthropic import MESSAGES
from junto.dialects.ollama import CHAT as OLLAMA
from junto.dialects.openai import CHAT as OPENAI
from junto.dialects.wire import Rendering, Wire
from tests.unit.dialects import conversations as some

RENDERING = Rendering(id="req_1", model="m", created=1_700_000_000)
WIRES = (OPENAI, MESSAGES, OLLAMA)
PAIRS = [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].name}") for pair in permutations(WIRES, 2)]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWER = {"type": "object", "properties": {"t": {"type": "number"}}, "additionalProperties": False}
CALL = ToolCall("call_abc", "get_weather", '{"city":"Paris"}')
ASKED = (
    Message(Role.SYSTEM, (Text("Be brief."),)),
    Message(Role.USER, (Text("How warm is it here?"), Image(data=some.PNG, media_type="image/png"))),
    Message(Role.ASSISTANT, (Thinking("That is Paris."), Text("Let me look."), CALL)),
    Message(Role.TOOL, (ToolResult("call_abc", (Text("21 degrees"),)),)),
)


def from_openai() -> ChatRequest:
    """A conversation with everything in it, as an OpenAI client writes it."""
    function = {"name": "get_weather", "description": "Weather", "parameters": WEATHER}
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{some.PNG}"}}
    call = {"id": "call_abc", "type": "function", "function": {"name": CALL.name, "arguments": CALL.arguments}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "How warm is it here?"}, picture]},
        {
            "role": "assistant",
            "reasoning_content": "That is Paris.",
            "content": "Let me look.",
            "tool_calls": [call],
        },
        {"role": "tool", "tool_call_id": "call_abc", "content": "21 degrees"},
    ]
    body = {
        "model": "m",
        "messages": messages,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER}},
        "reasoning_effort": "high",
        "max_completion_tokens": 4096,
        "temperature": 0.5,
        "stop": ["END"],
        "user": "u-1",
        "seed": 7,
        "stream": True,
    }
    return some.chat_in(OPENAI, json.dumps(body).encode())


def over(wire: Wire, request: ChatRequest, model: str = "m") -> ChatRequest:
    """The request as the other side of that wire understands it."""
    return some.chat_in(wire, wire.render_request(request, model, request.stream))


def without(messages: tuple[Message, ...], kind: type) -> tuple[Message, ...]:
    """The conversation without parts of that kind."""
    return tuple(
        Message(message.role, tuple(part for part in message.parts if not isinstance(part, kind)))
        for message in messages
    )


def test_openai_reaches_anthropic() -> None:
    """Everything but the seed, and thinking that nobody signed; the sampling gives way to the thinking."""
    request = from_openai()
    there = over(MESSAGES, request, "claude-opus-4-7")
    assert there.messages == without(ASKED, Thinking)
    assert there.tools == request.tools
    assert there.tool_choice == ToolChoice("auto", parallel=False)
    assert there.format == Format("json_schema", ANSWER)
    assert there.reasoning == Reasoning(effort="high")
    assert there.sampling == Sampling(max_tokens=4096, stop=("END",))
    assert (there.user, there.stream, there.extras) == ("u-1", True, {})


def test_openai_reaches_ollama() -> None:
    """Everything but the choice among tools and the user."""
    request = from_openai()
    there = over(OLLAMA, request)
    assert there.messages[:3] == ASKED[:3]
    assert there.messages[3] == Message(Role.TOOL, (ToolResult("call_abc", (Text("21 degrees"),), name="get_weather"),))
    assert there.tools == request.tools
    assert there.format == Format("json_schema", ANSWER)
    assert there.reasoning == Reasoning(effort="high")
    assert there.sampling == Sampling(max_tokens=4096, stop=("END",), temperature=0.5, seed=7)
    assert (there.stream, there.extras) == (True, {})


def test_anthropic_reaches_openai() -> None:
    """A turn that mixes results with words becomes a result and a turn of the user."""
    blocks = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "21 degrees"},
        {"type": "text", "text": "And tomorrow?"},
    ]
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thought, use]},
        {"role": "user", "content": blocks},
    ]
    body = {"model": "m", "max_tokens": 5, "system": "Be brief.", "messages": turns}
    there = over(OPENAI, some.chat_in(MESSAGES, json.dumps(body).encode()))
    assert there.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("hi"),)),
        Message(Role.ASSISTANT, (Thinking("Hm."), ToolCall("toolu_1", "get_weather", '{"city": "Paris"}'))),
        Message(Role.TOOL, (ToolResult("toolu_1", (Text("21 degrees"),)),)),
        Message(Role.USER, (Text("And tomorrow?"),)),
    )


def test_ollama_reaches_anthropic_turn_after_turn() -> None:
    """Calls without ids are numbered through, so the pairs stay pairs where ids must be unique."""
    call = {"function": {"name": "f", "arguments": {}}}
    turn = [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": "ok"}]
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, *turn, *turn], "keep_alive": "5m"}
    there = over(MESSAGES, some.chat_in(OLLAMA, json.dumps(body).encode()))
    parts = [part for message in there.messages for part in message.parts]
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    assert calls == ["call_0", "call_1"] == [part.call_id for part in parts if isinstance(part, ToolResult)]
    assert there.extras == {}


def answered(wire: Wire, completion: Completion) -> Completion:
    """The answer as a client of that wire reads it."""
    answer = wire.parse_response(wire.render_response(completion, RENDERING))
    assert isinstance(answer, Completion)
    return answer


def streamed(wire: Wire, events: list[Event], marks: list[int]) -> list[Event]:
    """The stream as a client of that wire reads it, cut into pieces."""
    data, parser = wire.event_renderer(RENDERING).render(events), wire.event_parser()
    return [event for piece in some.cut(data, marks) for event in parser.feed(piece)] + parser.end()


def meant(completion: Completion) -> list[object]:
    """The parts, with arguments as values: escapes of characters may be spelled either way."""
    return [
        (part.id, part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part
        for part in completion.parts
    ]


@pytest.mark.parametrize(("upstream", "caller"), PAIRS)
@given(completion=some.completions(signed=False), marks=some.cuts)
def test_an_answer_passes_from_any_wire_to_any(
    upstream: Wire, caller: Wire, completion: Completion, marks: list[int]
) -> None:
    """Whole and streamed: thinking, words, calls with ids and arguments, reason and usage."""
    for answer in (
        answered(caller, answered(upstream, completion)),
        fold(streamed(caller, streamed(upstream, list(unfold(completion)), marks), marks)),
    ):
        assert meant(answer) == meant(completion)
        assert answer.reason is completion.reason
        assert answer.usage is not None
        assert completion.usage is not None
        assert (answer.usage.prompt, answer.usage.output) == (completion.usage.prompt, completion.usage.output)
        assert answer.usage.cache_read == completion.usage.cache_read


@pytest.mark.parametrize("reason", FinishReason)
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_reasons_survive_where_there_is_a_word(wire: Wire, reason: FinishReason) -> None:
    """Ollama has no word for a filter, and tells tool calls by their being there."""
    calls = (CALL,) if reason is FinishReason.TOOL_CALLS else ()
    answer = answered(wire, Completion(parts=(Text("x"), *calls), reason=reason))
    filtered = wire is OLLAMA and reason is FinishReason.CONTENT_FILTER
    assert answer.reason is (FinishReason.STOP if filtered else reason)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@given(st.integers(0, 4))
def test_a_stream_that_broke_off_ends_with_an_error(wire: Wire, kept: int) -> None:
    """However far it came, the error's bytes are read as a failure by whoever speaks the wire, and are no answer to a tap."""
    events = list(unfold(Completion(parts=(Thinking("a"), Text("b"), CALL))))[: kept + 1]
    renderer = wire.event_renderer(RENDERING)
    data = renderer.render(events) + renderer.error(Overloaded("Try later."))
    with pytest.raises(UpstreamFailure):
        fold(wire.event_parser().feed(data))
    tap = wire.stream_tap(some.STREAMED)
    assert b"Try later." not in tap.feed(data)
    assert isinstance(tap.failure, FailureKind)
