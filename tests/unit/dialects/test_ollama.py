"""Ollama's dialect in its corners: refusals, relaying, loading, errors, and properties over generated conversations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.capability import Capability
from junto.core.chat import (
    ChatRequest,
    EmbedRequest,
    Format,
    Image,
    Message,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.completion import Completion, fold, unfold
from junto.core.errors import (
    FailureKind,
    InvalidField,
    MalformedBody,
    RateLimited,
    Unsupported,
    UpstreamFailure,
)
from junto.core.events import Event, Failure
from junto.core.usage import Usage
from junto.dialects.ollama import CHAT, EMBED, EMBEDDINGS, GENERATE
from junto.dialects.ollama.residency import Residency, render_residency, residency_of
from junto.dialects.wire import Rendering
from tests.unit.dialects import conversations as some

RENDERING = Rendering(id="req_1", model="m", created=1_700_000_000)


def body(**fields: Any) -> bytes:
    """A body as a caller writes it."""
    return json.dumps({"model": "m", **fields}).encode()


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (b"{}", "model"),
        (b'{"model":""}', "model"),
        (b'{"model":null}', "model"),
        (body(stream="yes"), "stream"),
        (body(messages=[{"role": "user"}, {"role": 7}]), "messages[1].role"),
        (body(messages=[{"role": "wizard"}]), "messages[0].role"),
        (body(messages=[{"role": "user", "content": [1]}]), "messages[0].content"),
        (body(messages={"role": "user"}), "messages"),
        (body(tools=[{"function": {}}]), "tools[0].function.name"),
        (body(options={"temperature": "hot"}), "options.temperature"),
        (body(options={"seed": 1.5}), "options.seed"),
        (body(options={"stop": [1]}), "options.stop"),
        (body(think="deeply"), "think"),
        (body(format=3), "format"),
    ],
)
def test_a_wrong_field_is_named(bad: bytes, param: str) -> None:
    """422, with the field's path."""
    with pytest.raises(InvalidField) as caught:
        CHAT.parse_request(bad)
    assert (caught.value.param, caught.value.status) == (param, 422)


@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"[]", b'"m"', b'{"model":"m"} x', b'{"model":"m","x":"\xff"}', b'{"model":"m","x":' + b"[" * 50_000],
)
@pytest.mark.parametrize("wire", [CHAT, GENERATE, EMBED, EMBEDDINGS], ids=lambda wire: wire.name)
def test_what_is_no_json_object_is_malformed(bad: bytes, wire: Any) -> None:
    """400 from the glance, the parser and the relay alike."""
    for read in (wire.peek, wire.parse_request, lambda data: wire.relay_request(data, "other")):
        with pytest.raises(MalformedBody):
            read(bad)


@pytest.mark.parametrize("wire", [CHAT, GENERATE, EMBED], ids=lambda wire: wire.name)
def test_a_missing_model_is_named_by_the_glance(wire: Any) -> None:
    """422 on `model`, before anything else is looked at."""
    with pytest.raises(InvalidField) as caught:
        wire.peek(b"{}")
    assert caught.value.param == "model"


def test_the_glance_of_a_plain_question() -> None:
    """Nothing is needed but chat, and streaming is the default."""
    head = CHAT.peek(body(messages=[{"role": "user", "content": "hi"}], think=False, format="json", tools=[]))
    assert (head.needs, head.stream, head.max_tokens) == (Capability.CHAT, True, None)
    assert CHAT.peek(body(stream=False)).stream is False
    assert CHAT.peek(body(options={"num_predict": -1})).max_tokens is None
    metadata = CHAT.peek(body(metadata={"sensitivity": "public", "n": 1})).metadata
    assert metadata == {"sensitivity": "public"}


def test_a_word_that_looks_like_a_picture_is_none() -> None:
    """A tool's parameter called `images` does not make the request one for eyes."""
    tool = {"function": {"name": "f", "parameters": {"properties": {"images": {"type": "array"}}}}}
    assert CHAT.peek(body(messages=[{"role": "user", "content": "hi"}], tools=[tool])).needs == (
        Capability.CHAT | Capability.TOOLS
    )
    assert Capability.VISION in GENERATE.peek(body(prompt="hi", images=["aaaa"])).needs


def test_a_relayed_body_keeps_what_nobody_knows() -> None:
    """Only the model changes; with the same model the very object comes back."""
    data = b'{"model":"a","novel":{"x": 1.0},"messages":[]}'
    assert CHAT.relay_request(data, "a") is data
    changed = CHAT.relay_request(data, "b")
    assert changed == b'{"model":"b","novel":{"x": 1.0},"messages":[]}'


def test_a_model_cannot_be_smuggled_past_the_check() -> None:
    """Ollama reads field names without regard to case, so other spellings do not pass; nor does a second one."""
    smuggled = b'{"model":"a","Model":"secret","MODEL":"secret","messages":[]}'
    assert CHAT.relay_request(smuggled, "a") == b'{"model":"a","messages":[]}'
    assert CHAT.relay_request(b'{"model":"x","model":"a"}', "a") == b'{"model":"a"}'
    assert some.chat_in(CHAT, smuggled).extras == {}


@pytest.mark.parametrize(
    ("fields", "chat", "expected"),
    [
        ({"messages": []}, True, Residency.LOAD),
        ({"keep_alive": "5m"}, True, Residency.LOAD),
        ({"keep_alive": 0}, True, Residency.UNLOAD),
        ({"keep_alive": "0s"}, False, Residency.UNLOAD),
        ({"prompt": "", "keep_alive": -1}, False, Residency.LOAD),
        ({"prompt": "hi", "keep_alive": 0}, False, None),
        ({"messages": [{"role": "user", "content": "hi"}]}, True, None),
    ],
)
def test_an_empty_question_loads_or_unloads(fields: dict[str, Any], chat: Any, expected: Residency | None) -> None:
    """An empty question loads, with keep_alive 0 it unloads."""
    assert residency_of(body(**fields), chat=chat) is expected


def test_the_answer_to_loading() -> None:
    """One object that is done, with the reason."""
    assert json.loads(render_residency(Residency.UNLOAD, RENDERING, chat=False)) == {
        "model": "m",
        "created_at": "2023-11-14T22:13:20Z",
        "response": "",
        "done": True,
        "done_reason": "unload",
    }
    assert json.loads(render_residency(Residency.LOAD, RENDERING, chat=True))["message"]["role"] == "assistant"


def test_what_only_an_ollama_can_do_is_not_translated() -> None:
    """Raw prompts, suffixes, templates and contexts are refused by name."""
    for name, value in {"raw": True, "suffix": "x", "template": "x", "context": [1]}.items():
        with pytest.raises(Unsupported) as caught:
            GENERATE.parse_request(body(prompt="hi", **{name: value}))
        assert caught.value.param == name


def test_generate_is_a_question_with_a_system_message() -> None:
    """Prompt, system and images become messages, and back."""
    request = some.chat_in(GENERATE, body(prompt="hi", system="be kind", images=["/9j/AAA"], stream=False))
    assert request.messages == (
        Message(Role.SYSTEM, (Text("be kind"),)),
        Message(Role.USER, (Text("hi"), Image(data="/9j/AAA", media_type="image/jpeg"))),
    )
    assert GENERATE.parse_request(GENERATE.render_request(request, "m", some.WHOLE)) == request
    with pytest.raises(Unsupported):
        GENERATE.render_request(ChatRequest(model="m", messages=(request.messages[1],) * 2), "m", some.WHOLE)


def test_an_image_elsewhere_is_refused() -> None:
    """A URL is not fetched; a data URL is data."""
    elsewhere = Message(Role.USER, (Image(url="https://example.org/cat.png"),))
    with pytest.raises(Unsupported, match="base64"):
        CHAT.render_request(ChatRequest(model="m", messages=(elsewhere,)), "m", some.WHOLE)
    inline = Message(Role.USER, (Image(url="data:image/png;base64,iVBORw0KGgo="),))
    wire = json.loads(CHAT.render_request(ChatRequest(model="m", messages=(inline,)), "m", some.WHOLE))
    assert wire["messages"][0]["images"] == ["iVBORw0KGgo="]


def test_a_choice_of_no_tools_leaves_them_out() -> None:
    """The wire has no word for the choice."""
    request = ChatRequest(model="m", messages=(), tools=(Tool("f", {}),), tool_choice=ToolChoice("none"))
    assert "tools" not in json.loads(CHAT.render_request(request, "m", some.WHOLE))


def test_results_find_their_calls() -> None:
    """By id, by name, or by order, and unknown ones keep what they said."""
    calls: list[dict[str, Any]] = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g")]
    messages = [
        {"role": "assistant", "tool_calls": [*calls, {"id": "own", "function": {"name": "h", "arguments": "{}"}}]},
        {"role": "tool", "content": "of g", "tool_name": "g"},
        {"role": "tool", "content": "of h", "tool_call_id": "own"},
        {"role": "tool", "content": "of f"},
        {"role": "tool", "content": "of none"},
    ]
    parsed = some.chat_in(CHAT, body(messages=messages)).messages
    assert [call.id for call in parsed[0].parts if isinstance(call, ToolCall)] == ["call_0", "call_1", "own"]
    assert [message.parts[0] for message in parsed[1:]] == [
        ToolResult("call_1", (Text("of g"),), name="g"),
        ToolResult("own", (Text("of h"),), name="h"),
        ToolResult("call_0", (Text("of f"),), name="f"),
        ToolResult("call_3", (Text("of none"),)),
    ]


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, b'{"error":"model \'x\' not found"}', FailureKind.MODEL_MISSING),
        (400, b'{"error":"x does not support tools"}', FailureKind.REJECTED),
        (400, b'{"error":"input length exceeds the context length"}', FailureKind.CONTEXT_LENGTH),
        (503, b'{"error":"server busy, please try again."}', FailureKind.BUSY),
        (500, b"<html>", FailureKind.SERVER),
        (401, b"", FailureKind.CREDENTIALS),
        (429, b"\xff", FailureKind.THROTTLED),
        (418, b'{"error":{"message":"tea"}}', FailureKind.REJECTED),
    ],
)
def test_an_error_status_means_something(status: int, text: bytes, kind: FailureKind) -> None:
    """Read from status and words, and never raising."""
    failure = CHAT.parse_error(status, text)
    assert (failure.kind, failure.status) == (kind, status)


def test_junto_errors_read_as_ollama_s() -> None:
    """The message with its reasons."""
    error = RateLimited("Slow down.", reasons=["10 a minute"])
    assert CHAT.render_error(error) == b'{"error":"Slow down. 10 a minute"}'
    assert CHAT.event_renderer(RENDERING).error(error) == b'{"error":"Slow down. 10 a minute"}\n'


@pytest.mark.parametrize("page", [b"<html>\n<body>502</body>\n", b"502 Bad Gateway\n", b"[]\n", b"null\n"])
def test_a_page_is_not_an_answer(page: bytes) -> None:
    """PROTOCOL from the parser and from both taps; nothing passes."""
    (event,) = CHAT.event_parser().feed(page)
    assert isinstance(event, Failure)
    assert event.kind is FailureKind.PROTOCOL
    for tap in (CHAT.stream_tap(some.STREAMED), CHAT.whole_tap(), EMBED.whole_tap()):
        assert (tap.feed(page), tap.failure) == (b"", FailureKind.PROTOCOL)
    with pytest.raises(UpstreamFailure):
        CHAT.parse_response(page)


def test_a_line_without_end_is_too_large() -> None:
    """Nothing is held beyond 8 MiB."""
    piece = b"x" * (1 << 20)
    tap, parser = CHAT.stream_tap(some.STREAMED), CHAT.event_parser()
    for _ in range(9):
        assert tap.feed(piece) == b""
        events = parser.feed(piece)
    assert tap.failure is FailureKind.TOO_LARGE
    assert events == [Failure(FailureKind.TOO_LARGE, "a line is over 8388608 bytes")]
    assert parser.end() == []


def test_whole_taps_read_usage_and_errors() -> None:
    """A whole answer passes as the same object once it proved to be one."""
    tap, answer = CHAT.whole_tap(), body(done=True, done_reason="length", prompt_eval_count=3, eval_count=4)
    assert tap.feed(answer) is answer
    assert (tap.finished, tap.finish_reason, tap.usage) == (True, "length", Usage(input=3, output=4))
    failed = CHAT.whole_tap()
    assert (failed.feed(b'{"error":"secret"}'), failed.failure) == (b"", FailureKind.SERVER)
    vectors = EMBED.whole_tap()
    assert vectors.feed(b'{"embeddings":[[1]],"prompt_eval_count":5}') != b""
    assert (vectors.finished, vectors.usage) == (True, Usage(input=5))
    empty = CHAT.whole_tap()
    assert (empty.end(), empty.failure) == (b"", FailureKind.RESET)


def test_embeddings_requests_survive() -> None:
    """One input or many, with dimensions and options."""
    request = EMBED.parse_request(body(input=["a", "b"], dimensions=3, truncate=True))
    assert request == EmbedRequest(
        model="m", inputs=("a", "b"), dimensions=3, extras_of="ollama", extras={"truncate": True}
    )
    assert EMBED.parse_request(EMBED.render_request(request, "m", some.WHOLE)) == request
    legacy = EMBEDDINGS.parse_request(body(prompt="a"))
    assert legacy == EmbedRequest(model="m", inputs=("a",)) == EMBED.parse_request(body(input="a"))
    assert EMBEDDINGS.parse_request(EMBEDDINGS.render_request(legacy, "m", some.WHOLE)) == legacy
    with pytest.raises(Unsupported):
        EMBEDDINGS.render_request(request, "m", some.WHOLE)


def per_result(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation in this wire's normal form: each tool result is a message."""
    flat: list[Message] = []
    for message in messages:
        if message.role is Role.TOOL:
            flat += [Message(Role.TOOL, (part,)) for part in message.parts]
        else:
            flat.append(message)
    return tuple(flat)


reasonings = st.one_of(
    st.none(), st.just(Reasoning()), st.builds(Reasoning, effort=st.sampled_from(["none", "low", "medium", "high"]))
)


requests = st.builds(
    ChatRequest,
    model=st.just("m"),
    messages=some.conversations().map(per_result),
    tools=some.tools,
    format=st.one_of(some.formats, st.just(Format("json"))),
    reasoning=reasonings,
    sampling=some.samplings,
    stream=st.booleans(),
)


@given(requests)
def test_a_request_survives_the_wire(request: ChatRequest) -> None:
    """Rendered and parsed again it is the same request, and the glance agrees with it."""
    wire = CHAT.render_request(request, "m", request.stream)
    assert CHAT.parse_request(wire) == request
    head = CHAT.peek(wire)
    assert (head.model, head.stream, head.max_tokens) == ("m", request.stream, request.sampling.max_tokens)
    assert (Capability.TOOLS in head.needs) == bool(request.tools)


def events_of(data: bytes, marks: list[int]) -> list[Event]:
    """All events of a stream that arrives in these pieces."""
    parser = CHAT.event_parser()
    return [event for piece in some.cut(data, marks) for event in parser.feed(piece)] + parser.end()


@given(some.completions(signed=False), some.cuts)
def test_an_answer_survives_as_a_stream_and_whole(completion: Completion, marks: list[int]) -> None:
    """However the bytes are cut, the stream folds to what the whole answer says."""
    renderer = CHAT.event_renderer(RENDERING)
    stream = b"".join(renderer.render([event]) for event in unfold(completion))
    whole = CHAT.parse_response(CHAT.render_response(completion, RENDERING))
    assert fold(events_of(stream, marks)) == whole
    assert (whole.parts, whole.reason, whole.usage) == (completion.parts, completion.reason, completion.usage)


@given(some.completions(signed=False), some.cuts, st.integers(0, 100_000))
def test_a_tap_passes_the_answer_in_any_pieces(completion: Completion, marks: list[int], shorter: int) -> None:
    """All of it passes and is counted; cut short, only complete objects pass and it is a failure."""
    stream = CHAT.event_renderer(RENDERING).render(list(unfold(completion)))
    tap = CHAT.stream_tap(some.STREAMED)
    assert b"".join([*map(tap.feed, some.cut(stream, marks)), tap.end()]) == stream
    assert (tap.finished, tap.failure) == (True, None)
    assert (tap.usage, tap.finish_reason) == (completion.usage, completion.reason.value)
    short, broken = stream[: shorter % (len(stream) - 1)], CHAT.stream_tap(some.STREAMED)
    passed = b"".join([*map(broken.feed, some.cut(short, marks)), broken.end()])
    assert broken.failure in {FailureKind.RESET, FailureKind.PROTOCOL}
    assert passed == stream[: stream.rfind(b"\n", 0, len(short) + 1) + 1]


def test_a_stream_that_breaks_off_before_the_last_brace_of_a_line_passes_nothing_of_that_line() -> None:
    line = b'{"model":"m","message":{"role":"assistant","content":"a"},"done":false}\n'
    tap = CHAT.stream_tap(some.STREAMED)
    assert b"".join([tap.feed(line), tap.feed(line[:-2]), tap.end()]) == line
    assert tap.failure is FailureKind.RESET


def test_a_model_cannot_be_smuggled_by_an_escaped_key() -> None:
    """A second key that only an escape tells apart is gone before any server can prefer it."""
    smuggled = b'{"mod\\u0065l":"secret:cloud","model":"a","messages":[]}'
    assert b"secret" not in CHAT.relay_request(smuggled, "a")
