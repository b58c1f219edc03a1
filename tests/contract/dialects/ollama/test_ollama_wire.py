"""Ollama's dialect against transcripts of the wire, and against what the official client makes of Junto's answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import ollama
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
    ToolResult,
)
from junto.core.completion import Completion, Embeddings, fold
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.events import FinishReason, Timing
from junto.core.sensitivity import Locality
from junto.core.usage import Usage
from junto.dialects.ollama import CHAT, EMBED, EMBEDDINGS, GENERATE, catalog
from junto.dialects.wire import Rendering
from tests.unit.dialects import conversations as some

WIRE = Path(__file__).parent / "wire"
RENDERING = Rendering(id="req_1", model="mine", created=1_700_000_000)
ANSWER = Completion(
    parts=(Thinking("Hm."), Text("Bonjour"), ToolCall("call_a", "get_weather", '{"city":"Paris"}')),
    reason=FinishReason.TOOL_CALLS,
    usage=Usage(input=20, cache_read=6, output=9),
    timing=Timing(total=10, load=1, prompt=2, output=7),
)


def read(name: str) -> bytes:
    """A transcript."""
    return (WIRE / name).read_bytes()


def test_a_request_with_everything_is_understood() -> None:
    """Every field that the core has a word for arrives there, the others are kept as extras."""
    request = some.chat_in(CHAT, read("chat_request.json"))
    assert request.messages == (
        Message(Role.SYSTEM, (Text("Answer briefly."),)),
        Message(
            Role.USER,
            (
                Text("What is on this picture, and how warm is it there?"),
                Image(data="iVBORw0KGgoAAAANSUhEUg==", media_type="image/png"),
            ),
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("The tower is in Paris."),
                ToolCall("call_0", "get_weather", '{"city": "Paris", "unit": "celsius"}'),
            ),
        ),
        Message(Role.TOOL, (ToolResult("call_0", (Text("21 degrees"),), name="get_weather"),)),
    )
    assert request.tools[0].parameters["required"] == ["city"]
    assert request.format == Format(
        "json_schema", {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    )
    assert request.reasoning == Reasoning()
    assert request.sampling == Sampling(temperature=0.2, max_tokens=128, stop=("END",), top_k=40)
    assert request.stream is True
    assert (request.extras_of, request.extras) == ("ollama", {"keep_alive": "10m", "options": {"num_ctx": 8192}})


def test_the_glance_sees_what_the_request_needs() -> None:
    """Peek tells model, stream, abilities and limits without decoding the rest."""
    head = CHAT.peek(read("chat_request.json"))
    assert (head.model, head.stream, head.max_tokens, head.wants_usage) == ("qwen3:8b", True, 128, True)
    every = Capability.CHAT | Capability.TOOLS | Capability.VISION | Capability.JSON_SCHEMA | Capability.REASONING
    assert head.needs == every
    assert 1100 < head.prompt_tokens < 1400


def test_a_streamed_answer_reads_like_the_whole_one() -> None:
    """The same answer, streamed and whole, is the same completion."""
    parser = CHAT.event_parser()
    streamed = fold([*parser.feed(read("chat_stream.ndjson")), *parser.end()])
    assert streamed == CHAT.parse_response(read("chat_response.json"))
    assert streamed.parts == (
        Thinking("Let me see."),
        Text("Bonjour “é”"),
        ToolCall("call_0", "get_weather", '{"city":"Paris"}'),
    )
    assert streamed.reason is FinishReason.TOOL_CALLS
    assert streamed.usage == Usage(input=26, output=282)
    assert streamed.timing == Timing(total=4883583458, load=1334875, prompt=342546000, output=4535599000)


def test_cached_tokens_are_counted_once() -> None:
    """The cached part of the prompt is taken out of the input."""
    parser = GENERATE.event_parser()
    answer = fold(parser.feed(read("generate_stream.ndjson")))
    assert answer.text == "The sky"
    assert (answer.reason, answer.usage) == (FinishReason.LENGTH, Usage(input=16, cache_read=10, output=259))


def test_an_error_in_the_stream_is_a_failure_and_does_not_pass() -> None:
    """The upstream's words stay inside, the text before them is relayed."""
    whole = read("chat_error.ndjson")
    parser, tap = CHAT.event_parser(), CHAT.stream_tap(some.STREAMED)
    with pytest.raises(UpstreamFailure) as caught:
        fold(parser.feed(whole))
    assert caught.value.kind is FailureKind.SERVER
    assert tap.feed(whole) == whole.split(b"\n")[0] + b"\n"
    assert (tap.failure, tap.finished, tap.feed(b"{}\n"), tap.end()) == (FailureKind.SERVER, False, b"", b"")


def test_a_relayed_stream_passes_untouched_and_is_read() -> None:
    """The tap hands on the very bytes, and knows at the end what was used."""
    whole, tap = read("chat_stream.ndjson"), CHAT.stream_tap(some.STREAMED)
    passed = [tap.feed(line) for line in whole.splitlines(keepends=True)]
    assert b"".join(passed) == whole
    assert (tap.finished, tap.failure, tap.finish_reason) == (True, None, "tool_calls")
    assert tap.usage == Usage(input=26, output=282)
    assert 20 <= tap.output_characters <= 200
    assert tap.feed(b'{"done":false}\n') == b""


def test_the_official_client_reads_a_whole_answer() -> None:
    """ollama-python validates Junto's answer and finds every part in it."""
    answer = ollama.ChatResponse.model_validate_json(CHAT.render_response(ANSWER, RENDERING))
    assert (answer.model, answer.created_at, answer.done, answer.done_reason) == (
        "mine",
        "2023-11-14T22:13:20Z",
        True,
        "stop",
    )
    assert (answer.message.content, answer.message.thinking) == ("Bonjour", "Hm.")
    assert answer.message.tool_calls
    assert answer.message.tool_calls[0].function.arguments == {"city": "Paris"}
    assert (answer.prompt_eval_count, answer.eval_count, answer.total_duration) == (26, 9, 10)
    generated = ollama.GenerateResponse.model_validate_json(GENERATE.render_response(ANSWER, RENDERING))
    assert (generated.response, generated.thinking, generated.done) == ("Bonjour", "Hm.", True)


def test_the_official_client_reads_embeddings() -> None:
    """Both embeddings endpoints answer in their own shape."""
    vectors = Embeddings(vectors=((0.5, -1.0), (1.0, 0.25)), usage=Usage(input=4))
    embed = ollama.EmbedResponse.model_validate_json(EMBED.render_response(vectors, RENDERING))
    assert (embed.embeddings, embed.prompt_eval_count) == ([[0.5, -1.0], [1.0, 0.25]], 4)
    legacy = ollama.EmbeddingsResponse.model_validate_json(EMBEDDINGS.render_response(vectors, RENDERING))
    assert legacy.embedding == [0.5, -1.0]
    assert EMBED.parse_response(EMBED.render_response(vectors, RENDERING)) == Embeddings(
        vectors=vectors.vectors, usage=vectors.usage, model="mine"
    )


def test_the_official_client_reads_the_catalog() -> None:
    """Tags, running models and details survive reading and writing, and ollama-python accepts them."""
    tags = catalog.parse_tags(read("tags.json"))
    listed = ollama.ListResponse.model_validate_json(catalog.render_tags(tags))
    assert [model.model for model in listed.models] == [tag.name for tag in tags]
    assert listed.models[0].details
    assert (listed.models[0].size, listed.models[0].details.parameter_size) == (4683075271, "7.6B")
    running = catalog.parse_ps(read("ps.json"))
    processes = ollama.ProcessResponse.model_validate_json(catalog.render_ps(running))
    assert (processes.models[0].size_vram, processes.models[0].context_length) == (5137025024, 4096)
    assert msgspec.json.decode(catalog.render_ps(running)) == msgspec.json.decode(read("ps.json"))
    shown = catalog.parse_show(read("show.json"))
    details = ollama.ShowResponse.model_validate_json(catalog.render_show(shown))
    assert details.modelinfo
    assert details.modelinfo["llama.context_length"] == 8192
    assert details.capabilities == ["completion", "vision", "tools", "insert"]
    assert catalog.parse_version(catalog.render_version("0.40.1")) == "0.40.1"


def test_bare_models_are_readable_too() -> None:
    """A model of which only the name is known is listed in a form that clients accept."""
    listed = ollama.ListResponse.model_validate_json(catalog.render_tags([catalog.Tag(name="auto")]))
    assert listed.models[0].details
    assert (listed.models[0].model, listed.models[0].details.family) == ("auto", "")
    processes = ollama.ProcessResponse.model_validate_json(catalog.render_ps([catalog.Running(name="auto")]))
    assert processes.models[0].name == "auto"
    shown = ollama.ShowResponse.model_validate_json(catalog.render_show(catalog.Shown()))
    assert (shown.modelinfo, shown.capabilities) == ({}, [])


def test_a_tag_that_answers_from_elsewhere_is_found_out() -> None:
    """By its remote host, its remote model or its name; a plain tag proves nothing."""
    tags = catalog.parse_tags(read("tags.json"))
    assert [catalog.attested_locality(tag) for tag in tags] == [None, Locality.CLOUD, Locality.CLOUD, Locality.CLOUD]
    assert catalog.attested_locality(catalog.Tag(name="X-Cloud:latest")) is Locality.CLOUD
    assert catalog.shown_locality(catalog.Shown(remote_model="gpt-oss:120b")) is Locality.CLOUD
    assert catalog.shown_locality(catalog.parse_show(read("show.json"))) is None


def test_details_tell_abilities_and_context() -> None:
    """Capabilities and the architecture's own context length come out of `/api/show`."""
    shown = catalog.parse_show(read("show.json"))
    able = catalog.capability_of(shown.capabilities)
    assert able == Capability.CHAT | Capability.JSON_SCHEMA | Capability.VISION | Capability.TOOLS
    assert catalog.capability_names(able) == ("completion", "tools", "vision")
    assert shown.context_length == 8192
    assert catalog.capability_of(None) is None
    assert catalog.Shown().context_length is None
