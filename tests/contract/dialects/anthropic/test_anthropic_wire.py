"""Anthropic's dialect against transcripts of the wire, and against what the official SDK sends and makes of Junto's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from junto.core.capability import Capability
from junto.core.chat import (
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
from junto.core.errors import FailureKind, Overloaded, UnknownModel, UpstreamFailure
from junto.core.events import FinishReason, TextDelta
from junto.core.usage import Usage
from junto.dialects.anthropic import MESSAGES, parse_count_tokens, render_count
from junto.dialects.wire import Rendering
from tests.unit.dialects import conversations as some

WIRE = Path(__file__).parent / "wire"
RENDERING = Rendering(id="req_1", model="mine", created=1_700_000_000)
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds/+=="
USAGE = Usage(input=472, cache_read=300, cache_write=12, output=89, reasoning=40)
ANSWER = Completion(
    parts=(
        Thinking("Hm.", SIGNATURE),
        Thinking(redacted="opaque=="),
        Text("Bonjour"),
        ToolCall("toolu_1", "get_weather", '{"city":"Paris"}'),
    ),
    reason=FinishReason.TOOL_CALLS,
    usage=USAGE,
)


def read(name: str) -> bytes:
    """A transcript."""
    return (WIRE / name).read_bytes()


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    """The official SDK, its network replaced by a function."""
    return anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )


def test_a_request_with_everything_is_understood() -> None:
    """System, pictures, opaque thinking, calls and results arrive in order; results become messages of their own."""
    request = some.chat_in(MESSAGES, read("request.json"))
    assert request.messages == (
        Message(
            Role.SYSTEM,
            (Text("You are a weather clerk."), Text("Long rules.", {"type": "ephemeral", "ttl": "1h"})),
        ),
        Message(
            Role.USER,
            (
                Image(data="iVBORw0KGgoAAAANSUhEUg==", media_type="image/png"),
                Image(url="https://example.org/cat.jpg"),
                Text("What is the weather where this was taken?"),
            ),
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("The tower is in Paris.", SIGNATURE),
                Thinking(
                    redacted="EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpPkNRj2YfWXGmKDxH4mPnZ5sQ7vB=="
                ),
                Text("Let me look."),
                ToolCall("toolu_01A", "get_weather", '{"city": "Paris", "days": 2}'),
                ToolCall("toolu_01B", "get_map", "{}"),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("toolu_01A", (Text("21 degrees"),)),
                ToolResult(
                    "toolu_01B", (Text("no map"), Image(data="/9j/4AAQ", media_type="image/jpeg")), is_error=True
                ),
            ),
        ),
        Message(Role.USER, (Text("And tomorrow?"),)),
    )
    assert [tool.strict for tool in request.tools] == [True, None]
    assert request.tool_choice == ToolChoice("auto", parallel=False)
    assert request.reasoning == Reasoning(budget=2048)
    schema = {"type": "object", "properties": {"t": {"type": "number"}}, "additionalProperties": False}
    assert request.format == Format("json_schema", schema)
    assert request.sampling == Sampling(max_tokens=4096, stop=("END",))
    assert (request.user, request.stream) == ("u-17", True)
    assert (request.extras_of, request.extras) == ("anthropic", {"service_tier": "auto"})


def test_a_request_is_written_as_it_was() -> None:
    """Parsed and rendered it says the same, with two words less: what was meant for Junto, and a type that is implied."""
    wire = json.loads(read("request.json"))
    del wire["metadata"]["sensitivity"], wire["tools"][1]["type"]
    request = MESSAGES.parse_request(read("request.json"))
    assert json.loads(MESSAGES.render_request(request, "claude-sonnet-4-5", some.STREAMED)) == wire


def test_the_glance_sees_what_the_request_needs() -> None:
    """Peek tells model, stream, abilities and limits without decoding the rest."""
    head = MESSAGES.peek(read("request.json"))
    assert (head.model, head.stream, head.max_tokens, head.wants_usage) == ("claude-sonnet-4-5", True, 4096, True)
    every = Capability.CHAT | Capability.TOOLS | Capability.VISION | Capability.JSON_SCHEMA | Capability.REASONING
    assert head.needs == every
    assert 3000 < head.prompt_tokens < 3900  # three pictures and two kilobytes
    assert head.metadata == {"user_id": "u-17", "sensitivity": "internal"}


def test_a_streamed_answer_reads_like_the_whole_one() -> None:
    """The same answer, streamed and whole, is the same completion, opaque parts byte for byte."""
    parser = MESSAGES.event_parser()
    streamed = fold([*parser.feed(read("stream.sse")), *parser.end()])
    assert streamed == MESSAGES.parse_response(read("response.json"))
    assert streamed == Completion(
        parts=(
            Thinking("The user wants the weather.", SIGNATURE),
            Thinking(redacted="EmwKAhgBEgy3va3pzix"),
            Text("Okay, “é” \n!"),
            ToolCall("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather", '{"location": "San Francisco"}'),
            ToolCall("toolu_02", "get_map", "{}"),
        ),
        reason=FinishReason.TOOL_CALLS,
        usage=USAGE,
        model="claude-sonnet-4-5-20250929",
        id="msg_01XFDUDYJgAACzvnptvVoYEL",
    )


def test_an_error_in_the_stream_is_a_failure_and_does_not_pass() -> None:
    """Overloaded is BUSY; what was used so far is known, the error's event stays inside."""
    whole = read("overloaded.sse")
    with pytest.raises(UpstreamFailure) as caught:
        fold(MESSAGES.event_parser().feed(whole))
    assert (caught.value.kind, caught.value.usage) == (FailureKind.BUSY, Usage(input=25, output=1))
    tap = MESSAGES.stream_tap(some.STREAMED)
    assert tap.feed(whole) == whole[: whole.index(b"event: error")]
    assert (tap.failure, tap.finished, tap.usage) == (FailureKind.BUSY, False, Usage(input=25, output=1))
    assert (tap.feed(b"event: ping\n\n"), tap.end()) == (b"", b"")


def test_a_relayed_stream_passes_untouched_and_is_read() -> None:
    """The tap hands on the very objects, and knows at the end what was used."""
    whole, tap = read("stream.sse"), MESSAGES.stream_tap(some.STREAMED)
    pieces = [event + b"\n\n" for event in whole.split(b"\n\n")[:-1]]
    assert all(tap.feed(piece) is piece for piece in pieces)
    assert (tap.finished, tap.failure, tap.finish_reason, tap.usage) == (True, None, "tool_calls", USAGE)
    assert 60 < tap.output_characters < 120
    assert tap.feed(b"event: ping\ndata: {}\n\n") == b""


def test_the_official_sdk_reads_a_whole_answer() -> None:
    """Every part, the reason and the usage."""
    body = MESSAGES.render_response(ANSWER, RENDERING)
    sdk = client(lambda _: httpx2.Response(200, content=body, headers={"content-type": MESSAGES.whole_type}))
    message = sdk.messages.create(model="mine", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert [block.type for block in message.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert (message.id, message.model, message.stop_reason) == ("msg_1", "mine", "tool_use")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (472, 300)
    assert MESSAGES.parse_response(body) == Completion(
        parts=ANSWER.parts, reason=ANSWER.reason, usage=USAGE, model="mine", id="msg_1"
    )


def test_the_official_sdk_reads_a_stream() -> None:
    """Its accumulated message is the whole answer, with the usage that came at the end."""
    body = MESSAGES.event_renderer(RENDERING).render(list(unfold(ANSWER)))
    sdk = client(lambda _: httpx2.Response(200, content=body, headers={"content-type": MESSAGES.stream_type}))
    with sdk.messages.stream(model="mine", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
        message = stream.get_final_message()
    whole = json.loads(MESSAGES.render_response(ANSWER, RENDERING))
    said = message.model_dump(mode="json", exclude_none=True)
    for block in said["content"]:
        block.pop("parsed_output", None)
    assert said["content"] == whole["content"]
    assert (said["stop_reason"], said["usage"]) == ("tool_use", whole["usage"])


def test_the_official_sdk_raises_the_right_errors() -> None:
    """Errors before the stream by status, errors within it by their event."""
    missing = UnknownModel("There is no model x.", reasons=["near: y"])
    sdk = client(lambda _: httpx2.Response(404, content=MESSAGES.render_error(missing)))
    question: Any = {"model": "mine", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(anthropic.NotFoundError, match="near: y"):
        sdk.messages.create(**question)
    renderer = MESSAGES.event_renderer(RENDERING)
    body = renderer.render([TextDelta("Bon")]) + renderer.error(Overloaded("All backends are busy."))
    broken = client(lambda _: httpx2.Response(200, content=body, headers={"content-type": MESSAGES.stream_type}))
    with pytest.raises(anthropic.APIStatusError, match="All backends are busy"):
        list(broken.messages.create(**question, stream=True))


def test_what_the_official_sdk_sends_is_understood() -> None:
    """Also a body for counting tokens, which has no limit."""
    seen: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.read())
        return httpx2.Response(200, content=render_count(14))

    counted = client(answer).messages.count_tokens(
        model="mine", system="Be kind.", messages=[{"role": "user", "content": "hi"}]
    )
    assert counted.input_tokens == 14
    request = parse_count_tokens(seen[0])
    assert [message.text for message in request.messages] == ["Be kind.", "hi"]
    assert request.sampling.max_tokens is None
