"""OpenAI's dialect against transcripts of the wire, as OpenAI and its imitators send them. The values are verified by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from junto.core.capability import Capability
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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.completion import Completion, Embeddings, fold
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.events import FinishReason
from junto.core.usage import Usage
from junto.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS
from junto.dialects.wire import Wire
from tests.unit.dialects.openai_streams import ASKED, NOT_ASKED, events_of, passed

WIRE = Path(__file__).parent / "wire"
STREAMS = {
    "openai_tools.sse": Completion(
        parts=(ToolCall("call_one", "get_weather", '{"city": "Paris"}'), ToolCall("call_two", "get_time", "{}")),
        reason=FinishReason.TOOL_CALLS,
        usage=Usage(input=64, cache_read=16, output=34),
        model="gpt-4.1-2025-04-14",
        id="chatcmpl-9",
    ),
    "deepseek_reasoning.sse": Completion(
        parts=(Thinking("Count the letters."), Text("Three r\u2019s.")),
        usage=Usage(input=18, output=240, reasoning=220),
        model="deepseek-reasoner",
        id="8c1d",
    ),
    # Gemini numbers both calls 0 and counts its thinking beside the completion: 135 = 60 + 20 + 55.
    "gemini_tools.sse": Completion(
        parts=(
            ToolCall("function-call-1", "get_weather", '{"city":"Paris"}'),
            ToolCall("function-call-2", "get_weather", '{"city":"Rome"}'),
        ),
        reason=FinishReason.TOOL_CALLS,
        usage=Usage(input=60, output=75, reasoning=55),
        model="gemini-2.5-flash",
        id="pxd",
    ),
    "llama_cpp.sse": Completion(
        parts=(Text("Hi"),),
        reason=FinishReason.LENGTH,
        usage=Usage(input=31, output=2),
        model="smol.gguf",
        id="chatcmpl-L",
    ),
    "text_completion.sse": Completion(
        parts=(Text("Once upon"),),
        reason=FinishReason.LENGTH,
        usage=Usage(input=3, output=2),
        model="text",
        id="cmpl-7",
    ),
}


def read(name: str) -> bytes:
    """A transcript."""
    return (WIRE / name).read_bytes()


def test_a_request_with_everything_is_understood() -> None:
    """Every field that the core has a word for arrives there, the others are kept as extras."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert CHAT.parse_request(read("chat_request.json")) == ChatRequest(
        model="gpt-4o",
        messages=(
            Message(Role.SYSTEM, (Text("Answer briefly."),)),
            Message(
                Role.USER,
                (
                    Text("What is on this picture, and how warm is it there?"),
                    Image(data="/9j/4AAQSkZJRg==", media_type="image/jpeg", detail="low"),
                ),
                "ada",
            ),
            Message(
                Role.ASSISTANT,
                (Thinking("The tower is in Paris."), ToolCall("call_abc", "get_weather", '{"city": "Paris"}')),
            ),
            Message(Role.TOOL, (ToolResult("call_abc", (Text("21 degrees"),)),)),
        ),
        tools=(Tool("get_weather", {**schema, "required": ["city"]}, "The weather in a city.", strict=True),),
        tool_choice=ToolChoice("required", "get_weather", parallel=False),
        format=Format("json_schema", schema, "place", strict=True),
        reasoning=Reasoning("low"),
        sampling=Sampling(
            max_tokens=256,
            temperature=0.2,
            top_p=0.9,
            seed=7,
            stop=("END", "STOP"),
            presence_penalty=0.5,
            frequency_penalty=-0.5,
        ),
        stream=True,
        user="user-1",
        extras_of="openai",
        extras={"logit_bias": {"50256": -100}, "service_tier": "auto"},
    )


def test_the_head_of_it_says_what_it_needs() -> None:
    """The hot path sees the same request by its head."""
    head = CHAT.peek(read("chat_request.json"))
    assert head.needs == (
        Capability.CHAT | Capability.TOOLS | Capability.VISION | Capability.JSON_SCHEMA | Capability.REASONING
    )
    assert (head.model, head.stream, head.max_tokens, head.wants_usage) == ("gpt-4o", True, 256, True)
    assert head.metadata == {"sensitivity": "internal", "task_type": "sight"}


def test_a_whole_answer_is_understood() -> None:
    """Words, calls and usage in disjoint classes."""
    answer = CHAT.parse_response(read("chat_response.json"))
    assert answer == Completion(
        parts=(Text("Let me look."), ToolCall("call_abc", "get_weather", '{"city":"Paris"}')),
        reason=FinishReason.TOOL_CALLS,
        usage=Usage(input=195, cache_read=1024, output=110, reasoning=64),
        model="gpt-4.1-2025-04-14",
        id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    )
    tap = CHAT.whole_tap()
    tap.feed(read("chat_response.json"))
    assert tap.usage == answer.usage


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_understood(name: str) -> None:
    """Each server's way of streaming folds to the answer it means."""
    assert fold(events_of(read(name))) == STREAMS[name]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_relayed_untouched(name: str) -> None:
    """The tap reads the same usage as the parser, and changes nothing but for line ends at the very end."""
    for wants_usage in (ASKED, NOT_ASKED):
        tap = CHAT.stream_tap(wants_usage)
        out = passed(tap, read(name))
        assert (tap.finished, tap.usage) == (True, STREAMS[name].usage)
        assert fold(events_of(out)).parts == STREAMS[name].parts
        if wants_usage:
            assert out.splitlines() == read(name).splitlines()


def test_an_error_in_the_middle_ends_the_stream() -> None:
    """What had come is kept, the upstream's words are not."""
    stream = read("openrouter_error.sse")
    with pytest.raises(UpstreamFailure) as caught:
        fold(events_of(stream))
    assert caught.value.kind is FailureKind.SERVER
    tap = CHAT.stream_tap(ASKED)
    out = passed(tap, stream)
    assert tap.failure is FailureKind.SERVER
    assert b"Half" in out
    assert b"disconnected" not in out


def test_vectors_are_understood_in_both_forms() -> None:
    """As numbers, and as base64 of little-endian floats."""
    assert EMBEDDINGS.parse_response(read("embeddings_response.json")) == Embeddings(
        vectors=((0.5, -0.25, 1.0), (1.0, -2.0)), usage=Usage(input=8), model="text-embedding-3-small"
    )


@pytest.mark.parametrize("name", ["error_context.json", "error_llama_cpp.json"])
@pytest.mark.parametrize("wire", [CHAT, COMPLETIONS])
def test_a_prompt_that_is_too_long_is_told_apart(name: str, wire: Wire) -> None:
    """Routing may then try a model with more room."""
    assert wire.parse_error(400, read(name)).kind is FailureKind.CONTEXT_LENGTH
