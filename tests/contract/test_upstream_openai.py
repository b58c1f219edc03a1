"""The OpenAI emulator speaks to the real SDK: if this fails, the flow tests prove nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.upstreams import Call, Fail, Gate, OpenAIEmulator, Script, Scripted, Usage

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris"]}, "days": {"type": "integer"}},
    "required": ["city"],
}


@pytest.fixture
def server() -> Iterator[OpenAIEmulator]:
    """Run the emulator with a key."""
    with OpenAIEmulator(api_key="secret") as running:
        yield running


@pytest.fixture
def client(server: OpenAIEmulator) -> Iterator[openai.OpenAI]:
    """Make the real SDK's client for it."""
    with openai.OpenAI(base_url=server.base_url, api_key="secret", max_retries=0, timeout=10) as made:
        yield made


def test_a_chat_is_echoed_with_usage(client: openai.OpenAI) -> None:
    """An unplanned chat says back what it heard and counts words."""
    answer = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "good morning"}])
    assert answer.choices[0].message.content == "You said: good morning"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 4)


def test_a_stream_carries_text_finish_and_usage(client: openai.OpenAI) -> None:
    """A stream has a role, deltas, a finish reason and, asked for, usage in a last chunk without choices."""
    stream = client.chat.completions.create(
        model="gpt-test",
        messages=[{"role": "user", "content": "good morning"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said: good morning"
    )
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6


def test_a_tool_named_by_the_user_is_called(client: openai.OpenAI) -> None:
    """The accumulated stream of a tool call has its name and whole arguments."""
    with client.chat.completions.stream(
        model="gpt-test",
        messages=[{"role": "user", "content": "please use get_weather"}],
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}],
    ) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Paris", "days": 7}
    assert final.choices[0].finish_reason == "tool_calls"


def test_a_schema_is_filled(client: openai.OpenAI) -> None:
    """A JSON schema in the request gets JSON that fits it."""
    answer = client.chat.completions.create(
        model="gpt-test",
        messages=[{"role": "user", "content": "fill it"}],
        response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}},
    )
    assert json.loads(answer.choices[0].message.content or "") == {"city": "Paris", "days": 7}


def test_a_planned_answer_comes_before_the_default(server: OpenAIEmulator, client: openai.OpenAI) -> None:
    """Thinking, tool calls, usage and finish reason are those of the plan."""
    server.script.plan(
        Scripted(
            text="done",
            thinking="let me see",
            tool_calls=(Call("look", {"at": "it"}, id="call_7"),),
            usage=Usage(input=10, output=5, cache_read=90, reasoning=3),
        )
    )
    answer = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}])
    message = answer.choices[0].message
    assert message.content == "done"
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == "let me see"
    assert message.tool_calls is not None
    assert message.tool_calls[0].id == "call_7"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 100
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 90


def test_embeddings_are_the_same_in_both_encodings(client: openai.OpenAI) -> None:
    """The SDK asks for base64 by itself; floats give the same vectors up to 32-bit rounding."""
    packed = client.embeddings.create(model="embed-test", input=["one", "two"])
    plain = client.embeddings.create(model="embed-test", input=["one", "two"], encoding_format="float")
    assert len(packed.data) == 2
    assert len(packed.data[0].embedding) == 64
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)


def test_lists_and_legacy_completions(client: openai.OpenAI) -> None:
    """Models are listed, one can be read, and the legacy endpoint answers."""
    assert [model.id for model in client.models.list()] == ["gpt-test", "gpt-test-mini", "embed-test"]
    assert client.models.retrieve("gpt-test").owned_by == "emulator"
    answer = client.completions.create(model="gpt-test", prompt="once", max_tokens=2)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("You said:", "length")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_failures_are_the_sdks_own_errors(
    server: OpenAIEmulator, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    """Each status becomes the exception that the SDK has for it, with Retry-After where planned."""
    server.script.plan(Scripted(fail=Fail(status=status, message="no", retry_after="3")))
    with pytest.raises(error, match="no") as caught:
        client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}])
    assert caught.value.response.headers["retry-after"] == "3"


def test_an_error_inside_a_stream_is_raised(server: OpenAIEmulator, client: openai.OpenAI) -> None:
    """The text before a mid-stream error arrives, then the SDK raises it."""
    server.script.plan(Scripted(text="one two three", fail=Fail(after=2, message="broke")))
    stream = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}], stream=True)
    heard: list[str] = []
    with pytest.raises(openai.APIError, match="broke"):
        heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert server.script.inferences[0].pieces_sent == 2


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_broken_connection_is_a_connection_error(server: OpenAIEmulator, client: openai.OpenAI, how: str) -> None:
    """RST and an early FIN look like what they are to the SDK."""
    server.script.plan(Scripted(text="one two", fail=Fail(how="reset" if how == "reset" else "close")))
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}])


def test_a_caller_that_leaves_is_noticed(server: OpenAIEmulator, client: openai.OpenAI) -> None:
    """Closing a stream half way marks its request as abandoned."""
    server.script.plan(Scripted(text="one two three", gate=Gate(), gate_after=1))
    stream = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}], stream=True)
    next(stream)
    next(stream)
    stream.close()
    assert server.script.inferences[0].wait_abandoned()
    assert not server.script.inferences[0].finished.is_set()


def test_a_killed_server_refuses_and_comes_back_on_its_port(server: OpenAIEmulator, client: openai.OpenAI) -> None:
    """A stream under way breaks, new calls are refused, and after a restart the same address answers."""
    server.script.plan(Scripted(text="one two three", gate=Gate(), gate_after=1))
    stream = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}], stream=True)
    next(stream)
    port = server.port
    server.kill()
    with pytest.raises(openai.APIError):
        list(stream)
    with pytest.raises(openai.APIConnectionError):
        client.models.list()
    server.restart()
    assert server.port == port
    assert client.models.list().data


def test_a_script_can_break_a_list(server: OpenAIEmulator, client: openai.OpenAI) -> None:
    """A plan for a path applies to requests that carry no content too."""
    server.script.plan_at("/v1/models", Scripted(fail=Fail(status=503)))
    with pytest.raises(openai.InternalServerError):
        client.models.list()
    assert client.models.list().data


def test_two_servers_may_share_a_script() -> None:
    """Requests to both are in one order of events."""
    script = Script(Scripted(text="first"), Scripted(text="second"))
    said = []
    with OpenAIEmulator(script) as one, OpenAIEmulator(script) as two:
        for server in (one, two):
            with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
                answer = client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "go"}])
                said.append(answer.choices[0].message.content)
    assert said == ["first", "second"]
    assert len(script.inferences) == 2
    assert script.remaining == 0
