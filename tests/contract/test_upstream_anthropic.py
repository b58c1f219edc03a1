"""The Anthropic emulator speaks to the real SDK, thinking and signatures included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import ThinkingConfigEnabledParam, ToolParam

from tests.upstreams import AnthropicEmulator, Call, Fail, Gate, OllamaEmulator, Scripted, Usage

MODEL = "claude-test"
TOOL: ToolParam = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}},
}
THINKING: ThinkingConfigEnabledParam = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
def server() -> Iterator[AnthropicEmulator]:
    """Run the emulator with a key."""
    with AnthropicEmulator(api_key="secret") as running:
        yield running


@pytest.fixture
def client(server: AnthropicEmulator) -> Iterator[anthropic.Anthropic]:
    """Make the real SDK's client for it."""
    with anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0, timeout=10) as made:
        yield made


def said(text: str) -> list[Any]:
    """Make a conversation of one message."""
    return [{"role": "user", "content": text}]


def test_a_message_whole_and_streamed_is_the_same(client: anthropic.Anthropic) -> None:
    """The SDK's accumulated stream equals the whole answer in content, reason and usage."""
    whole = client.messages.create(model=MODEL, max_tokens=100, system="be kind", messages=said("good day"))
    with client.messages.stream(model=MODEL, max_tokens=100, system="be kind", messages=said("good day")) as stream:
        final = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert whole.content[0].text == "You said: good day"
    assert (whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens) == ("end_turn", 4, 4)
    assert final.content[0].type == "text"
    assert final.content[0].text == whole.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 4)


def test_a_stream_has_the_events_in_their_order(client: anthropic.Anthropic) -> None:
    """Start, blocks with deltas, message_delta with usage, stop; the SDK drops the ping."""
    stream = client.messages.create(model=MODEL, max_tokens=2000, thinking=THINKING, messages=said("why"), stream=True)
    kinds = [getattr(getattr(event, "delta", None), "type", event.type) for event in stream]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["thinking_delta"] * 3,
        "signature_delta",
        "content_block_stop",
        "content_block_start",
        *["text_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_is_accepted_back_only_with_its_signature(client: anthropic.Anthropic) -> None:
    """A replayed thinking block must be byte-exact; a changed one is 400."""
    first = client.messages.create(model=MODEL, max_tokens=2000, thinking=THINKING, messages=said("why"))
    assert first.content[0].type == "thinking"
    replayed: list[Any] = [*said("why"), {"role": "assistant", "content": first.content}, *said("and")]
    again = client.messages.create(model=MODEL, max_tokens=2000, messages=replayed)
    assert again.content[0].type == "text"
    assert again.content[0].text == "You said: and"
    first.content[0].signature += "A"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        client.messages.create(model=MODEL, max_tokens=2000, messages=replayed)


def test_a_tool_is_called_and_its_result_told(client: anthropic.Anthropic) -> None:
    """A tool the user names is called in a stream, and its result is said back."""
    asked = said("use get_weather")
    with client.messages.stream(
        model=MODEL,
        max_tokens=100,
        tools=[TOOL],
        messages=asked,
    ) as stream:
        call = stream.get_final_message()
    block = call.content[0]
    assert block.type == "tool_use"
    assert (block.name, block.input, call.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "rain"}]}
    told: list[Any] = [*asked, {"role": "assistant", "content": call.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=told)
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "The tool said: rain"


def test_planned_usage_keeps_cached_tokens_apart(server: AnthropicEmulator, client: anthropic.Anthropic) -> None:
    """Cache reads and writes are beside the input tokens, whole and streamed."""
    planned = Scripted(
        text="ok",
        tool_calls=(Call("f", {"a": [1, 2]}, id="toolu_7"),),
        usage=Usage(input=5, output=6, cache_read=70, cache_write=8),
    )
    server.script.plan(planned, planned)
    whole = client.messages.create(model=MODEL, max_tokens=9, messages=said("x"))
    with client.messages.stream(model=MODEL, max_tokens=9, messages=said("x")) as stream:
        final = stream.get_final_message()
    for usage in (whole.usage, final.usage):
        assert (usage.input_tokens, usage.output_tokens) == (5, 6)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (70, 8)
    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[1].type == "tool_use"
    assert (final.content[1].id, final.content[1].input) == ("toolu_7", {"a": [1, 2]})


def test_a_schema_is_filled_and_images_are_counted(client: anthropic.Anthropic) -> None:
    """Structured output fits its schema, and an image is noticed."""
    schema: dict[str, object] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    shaped = client.messages.create(
        model=MODEL,
        max_tokens=9,
        messages=said("x"),
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert shaped.content[0].type == "text"
    assert json.loads(shaped.content[0].text) == {"n": 7}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    content: Any = [image, {"type": "text", "text": "what"}]
    seen = client.messages.create(model=MODEL, max_tokens=99, messages=[{"role": "user", "content": content}])
    assert seen.content[0].type == "text"
    assert seen.content[0].text == "You said: what (and showed 1 image)"


def test_tokens_are_counted_and_models_listed(client: anthropic.Anthropic) -> None:
    """The two endpoints without inference."""
    counted = client.messages.count_tokens(model=MODEL, system="one two", messages=said("three"))
    assert counted.input_tokens == 3
    assert [model.id for model in client.models.list()] == ["claude-test", "claude-test-mini"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_failures_have_anthropics_shape(
    server: AnthropicEmulator, client: anthropic.Anthropic, status: int, kind: str
) -> None:
    """Each status comes with the error type that belongs to it."""
    server.script.plan(Scripted(fail=Fail(status=status, message="no", retry_after="3")))
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=MODEL, max_tokens=9, messages=said("x"))
    assert caught.value.status_code == status
    assert caught.value.body == {
        "type": "error",
        "error": {"type": kind, "message": "no"},
        "request_id": "req_emulated",
    }
    assert caught.value.response.headers["retry-after"] == "3"


def test_key_and_version_are_required(server: AnthropicEmulator) -> None:
    """A wrong key is 401, a missing version 400."""
    with (
        anthropic.Anthropic(base_url=server.url, api_key="wrong", max_retries=0) as wrong,
        pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"),
    ):
        wrong.models.list()
    omitted: Any = {"anthropic-version": anthropic.omit}
    with (
        anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0) as silent,
        pytest.raises(anthropic.BadRequestError, match="header is required"),
    ):
        silent.models.list(extra_headers=omitted)


def test_an_error_event_inside_a_stream_is_raised(server: AnthropicEmulator, client: anthropic.Anthropic) -> None:
    """The text before arrives; then the SDK raises what the event says."""
    server.script.plan(Scripted(text="one two three", fail=Fail(after=2, status=529, message="Overloaded")))
    heard: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        client.messages.stream(model=MODEL, max_tokens=9, messages=said("x")) as stream,
    ):
        heard.extend(stream.text_stream)
    assert heard == ["one", " two"]


def test_a_caller_that_leaves_is_noticed(server: AnthropicEmulator, client: anthropic.Anthropic) -> None:
    """Closing a stream half way marks its request as abandoned."""
    server.script.plan(Scripted(text="one two", gate=Gate(), gate_after=1))
    with client.messages.stream(model=MODEL, max_tokens=9, messages=said("x")) as stream:
        next(stream)
    assert server.script.inferences[0].wait_abandoned()


def test_ollama_speaks_this_wire_too() -> None:
    """The Ollama emulator serves `/v1/messages` on its port, out of the same memory."""
    with OllamaEmulator() as ollama:
        with anthropic.Anthropic(base_url=ollama.url, api_key="any", max_retries=0) as client:
            answer = client.messages.create(model="llama3.2", max_tokens=99, messages=said("hi"))
        assert answer.content[0].type == "text"
        assert answer.content[0].text == "You said: hi"
        assert ollama.resident == ["llama3.2:latest"]
