"""Anthropic's dialect in its corners: refusals, relaying, thinking, errors, and properties over generated conversations."""

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
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.completion import Completion, Embeddings, fold, unfold
from junto.core.errors import (
    BudgetExceeded,
    DeadlinePassed,
    FailureKind,
    InvalidField,
    MalformedBody,
    Unsupported,
    UpstreamFailed,
    UpstreamFailure,
)
from junto.core.events import Event, Failure, Finish, FinishReason, Start, TextDelta, ToolCallDelta, ToolCallStart
from junto.core.usage import Usage
from junto.dialects.anthropic import MESSAGES
from junto.dialects.wire import Rendering
from tests.unit.dialects import conversations as some

RENDERING = Rendering(id="msg_1", model="m", created=1_700_000_000)
OLD, NEW = "claude-sonnet-4-5-20250929", "claude-opus-4-7"


def body(**fields: Any) -> bytes:
    """A body as a caller writes it."""
    return json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    ).encode()


def said(*blocks: dict[str, Any], role: str = "user") -> bytes:
    """A body with one message of these blocks."""
    return body(messages=[{"role": role, "content": list(blocks)}])


def written(request: ChatRequest, model: str = OLD) -> dict[str, Any]:
    """The body that an upstream gets."""
    wire: dict[str, Any] = json.loads(MESSAGES.render_request(request, model, some.WHOLE))
    return wire


def asking(*parts: Any, **fields: Any) -> ChatRequest:
    """A request with one question."""
    return ChatRequest(model="m", messages=(Message(Role.USER, parts or (Text("hi"),)),), **fields)


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (b"{}", "model"),
        (body(model=""), "model"),
        (b'{"model":"m"}', "messages"),
        (body(max_tokens="9"), "max_tokens"),
        (body(max_tokens=-1), "max_tokens"),
        (body(messages=[{"role": "wizard", "content": ""}]), "messages[0].role"),
        (body(messages=[{"role": "user"}]), "messages[0].content"),
        (said({"type": "text"}), "messages[0].content[0].text"),
        (said({"text": "hi"}), "messages[0].content[0].type"),
        (said({"type": "image", "source": {"type": "base64"}}), "messages[0].content[0].source.data"),
        (said({"type": "image", "source": "x"}), "messages[0].content[0].source"),
        (said({"type": "tool_use", "id": "x", "name": "f", "input": []}), "messages[0].content[0].input"),
        (said({"type": "tool_result", "content": "x"}), "messages[0].content[0].tool_use_id"),
        (
            said({"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": 1}]}),
            "messages[0].content[0].content[0].text",
        ),
        (body(tools=[{"name": "f"}]), "tools[0].input_schema"),
        (body(tool_choice={"type": "tool"}), "tool_choice"),
        (body(thinking={"type": "enabled"}), "thinking.budget_tokens"),
        (body(output_config={"effort": "heroic"}), "output_config.effort"),
        (body(output_format={"type": "xml"}), "output_format"),
        (body(temperature="hot"), "temperature"),
    ],
)
def test_a_wrong_field_is_named(bad: bytes, param: str) -> None:
    """422, with the field's path."""
    with pytest.raises(InvalidField) as caught:
        MESSAGES.parse_request(bad)
    assert (caught.value.param, caught.value.status) == (param, 422)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"[]",
        b'{"model":"m","messages":[]} x',
        b'{"model":"m","x":"\xff"}',
        b'{"model":"m","x":' + b"[" * 50_000,
    ],
)
def test_what_is_no_json_object_is_malformed(bad: bytes) -> None:
    """400 from the glance, the parser and the relay alike."""
    for read in (MESSAGES.peek, MESSAGES.parse_request, lambda data: MESSAGES.relay_request(data, "other")):
        with pytest.raises(MalformedBody):
            read(bad)


@pytest.mark.parametrize(
    ("only_there", "param"),
    [
        (said({"type": "document", "source": {"type": "url", "url": "x"}}), "messages[0].content[0].type"),
        (said({"type": "search_result", "source": "https://x", "content": []}), "messages[0].content[0].type"),
        (said({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages[0].content[0].source.type"),
        (body(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "tools[0].type"),
    ],
)
def test_what_only_anthropic_can_do_is_not_translated(only_there: bytes, param: str) -> None:
    """Documents, files and server tools are refused by name, but the glance lets them by for a relay."""
    with pytest.raises(Unsupported) as caught:
        MESSAGES.parse_request(only_there)
    assert caught.value.param == param
    assert MESSAGES.peek(only_there).model == "m"


def test_the_glance_of_a_plain_question() -> None:
    """Nothing is needed but chat; whole is the default; adaptive thinking is no need."""
    head = MESSAGES.peek(body(thinking={"type": "adaptive"}, tools=[], output_config={"effort": "low"}))
    assert (head.needs, head.stream, head.max_tokens) == (Capability.CHAT, False, 9)
    assert MESSAGES.peek(b'{"model":"m"}').max_tokens is None
    with pytest.raises(InvalidField) as caught:
        MESSAGES.peek(body(max_tokens=-5))
    assert caught.value.param == "max_tokens"


def test_a_picture_in_a_tool_result_needs_eyes() -> None:
    """Base64 is not counted as words; a tool's parameter called `source` is no picture."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 40_000}}
    head = MESSAGES.peek(said({"type": "tool_result", "tool_use_id": "x", "content": [picture]}))
    assert Capability.VISION in head.needs
    assert 1000 < head.prompt_tokens < 1100
    assert Capability.VISION not in MESSAGES.peek(body(tools=[{"name": "f", "input_schema": {"source": 1}}])).needs


def test_a_relayed_body_keeps_what_nobody_knows() -> None:
    """Only the model changes, and metadata meant for Junto goes; otherwise the very object comes back."""
    data = b'{"model":"a","novel":{"x": 1.0},"metadata":{"user_id":"u"}}'
    assert MESSAGES.relay_request(data, "a") is data
    assert MESSAGES.relay_request(data, "b") == b'{"model":"b","novel":{"x": 1.0},"metadata":{"user_id":"u"}}'
    ours = b'{"model":"a","metadata":{"user_id":"u","sensitivity":"public"}}'
    assert MESSAGES.relay_request(ours, "a") == b'{"model":"a","metadata":{"user_id":"u"}}'
    assert MESSAGES.relay_request(b'{"model":"a","metadata":{"task_type":"t"}}', "a") == b'{"model":"a"}'
    spoken = b'{"model":"a","messages":["sensitivity"]}'
    assert MESSAGES.relay_request(spoken, "a") is spoken
    assert MESSAGES.relay_request(b'{"model":"a","Model":"b"}', "a") == b'{"model":"a"}'


def test_turns_alternate_and_results_come_first() -> None:
    """Same sides are merged, a late system message becomes the user's, empty turns disappear."""
    request = ChatRequest(
        model="m",
        messages=(
            Message(Role.SYSTEM, (Text("one"),)),
            Message(Role.SYSTEM, (Text("two"),)),
            Message(Role.USER, (Text("hi"),)),
            Message(Role.ASSISTANT, (Thinking("unsigned"), ToolCall("c.1", "f", ""), ToolCall("c2", "g", "no json"))),
            Message(Role.USER, (Text("by the way"),)),
            Message(Role.TOOL, (ToolResult("c.1", (Text("a"), Text("b"))),)),
            Message(Role.TOOL, (ToolResult("c2"),)),
            Message(Role.SYSTEM, (Text("be brief"),)),
            Message(Role.ASSISTANT, (Text(""),)),
            Message(Role.USER, (Text("go on"),)),
        ),
    )
    wire = written(request)
    assert [block["text"] for block in wire["system"]] == ["one", "two"]
    assert wire["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c_1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {"_raw": "no json"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c_1",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
                {"type": "tool_result", "tool_use_id": "c2"},
                {"type": "text", "text": "by the way"},
                {"type": "text", "text": "be brief"},
                {"type": "text", "text": "go on"},
            ],
        },
    ]


def test_ids_that_come_again_are_told_apart() -> None:
    """Servers that number the calls of each answer from zero produce the same id twice."""
    turn = (Message(Role.ASSISTANT, (ToolCall("call_0", "f"),)), Message(Role.TOOL, (ToolResult("call_0"),)))
    turns = written(ChatRequest(model="m", messages=turn * 2))["messages"]
    ids = [block.get("id") or block.get("tool_use_id") for message in turns for block in message["content"]]
    assert ids == ["call_0", "call_0", "call_0_2", "call_0_2"]


def test_pictures_are_sent_as_they_are() -> None:
    """Data with its type, data URLs as data, other URLs as URLs."""
    inline = Image(url="data:image/gif;base64,R0lGOD")
    content = written(asking(Image(data="AAAA"), inline, Image(url="https://example.org/a.png")))["messages"][0][
        "content"
    ]
    assert [block["source"] for block in content] == [
        {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        {"type": "base64", "media_type": "image/gif", "data": "R0lGOD"},
        {"type": "url", "url": "https://example.org/a.png"},
    ]


@pytest.mark.parametrize(
    ("model", "reasoning", "max_tokens", "expected"),
    [
        (OLD, None, None, (None, None, 8192)),
        (OLD, Reasoning(effort="none"), 100, ({"type": "disabled"}, None, 100)),
        (OLD, Reasoning(), None, ({"type": "enabled", "budget_tokens": 8192}, None, 16384)),
        (OLD, Reasoning(effort="high"), 8000, ({"type": "enabled", "budget_tokens": 4000}, None, 8000)),
        (OLD, Reasoning(effort="minimal"), 100_000, ({"type": "enabled", "budget_tokens": 1024}, None, 100_000)),
        (OLD, Reasoning(budget=3000), 3000, ({"type": "enabled", "budget_tokens": 2999}, None, 3000)),
        (OLD, Reasoning(budget=10), None, ({"type": "enabled", "budget_tokens": 1024}, None, 9216)),
        (OLD, Reasoning(effort="low"), 500, ({"type": "disabled"}, None, 500)),
        ("qwen3:8b", Reasoning(effort="low"), None, ({"type": "enabled", "budget_tokens": 2048}, None, 10240)),
        (NEW, Reasoning(effort="minimal"), 500, ({"type": "adaptive"}, "low", 500)),
        (NEW, Reasoning(budget=3000), None, ({"type": "adaptive"}, "medium", 8192)),
        (NEW, Reasoning(), None, ({"type": "adaptive"}, None, 8192)),
        ("claude-opus-4-20250514", Reasoning(), None, ({"type": "enabled", "budget_tokens": 8192}, None, 16384)),
        ("claude-sonnet-4-6", Reasoning(budget=20_000), None, ({"type": "adaptive"}, "high", 8192)),
    ],
)
def test_thinking_suits_the_model(
    model: str,
    reasoning: Reasoning | None,
    max_tokens: int | None,
    expected: tuple[dict[str, Any] | None, str | None, int],
) -> None:
    """Older models and other servers get a budget below the limit, newer ones an effort."""
    wire = written(asking(reasoning=reasoning, sampling=Sampling(max_tokens=max_tokens)), model)
    effort = wire.get("output_config", {}).get("effort")
    assert (wire.get("thinking"), effort, wire["max_tokens"]) == expected


def test_thinking_gives_way_where_it_would_be_refused() -> None:
    """To a forced tool, and in a tool turn whose signed thinking is not at hand."""
    tool, forced = Tool("f", {}), ToolChoice("required", "f")
    wire = written(asking(reasoning=Reasoning(), tools=(tool,), tool_choice=forced), NEW)
    assert (wire["thinking"], wire["tool_choice"]) == ({"type": "disabled"}, {"type": "tool", "name": "f"})
    call, result = ToolCall("c", "f"), Message(Role.TOOL, (ToolResult("c"),))
    unsigned = (Message(Role.ASSISTANT, (call,)), result)
    signed = (Message(Role.ASSISTANT, (Thinking("x", "sig"), call)), result)
    kinds = [
        written(ChatRequest(model="m", messages=turns, reasoning=Reasoning()), model)["thinking"]["type"]
        for turns, model in ((unsigned, OLD), (signed, OLD), (unsigned, NEW))
    ]
    assert kinds == ["disabled", "enabled", "adaptive"]


def test_sampling_that_would_be_refused_is_left_out() -> None:
    """No temperature while thinking, never one above 1, and not both temperature and top_p."""
    hot = Sampling(temperature=1.7, top_p=0.5, top_k=3, seed=1, stop=("x",))
    plain = written(asking(sampling=hot))
    assert {"temperature": 1.0, "top_k": 3, "stop_sequences": ["x"]}.items() <= plain.items()
    assert not {"top_p", "seed"} & plain.keys()
    thinking = written(asking(sampling=hot, reasoning=Reasoning()))
    assert not {"temperature", "top_p", "top_k"} & thinking.keys()
    assert written(asking(sampling=Sampling(top_p=0.5)))["top_p"] == 0.5


def test_any_json_is_asked_for_in_words() -> None:
    """The wire has a word for schemas only."""
    assert written(asking(format=Format("json")))["system"] == "Answer with a single JSON object and nothing else."
    system = Message(Role.SYSTEM, (Text("Hi."),))
    both = written(ChatRequest(model="m", messages=(system,), format=Format("json")))["system"]
    assert both == "Hi.\n\nAnswer with a single JSON object and nothing else."


def test_thinking_s_display_is_kept() -> None:
    """What the core has no word for is an extra of this dialect, and of no other."""
    request = some.chat_in(MESSAGES, body(thinking={"type": "adaptive", "display": "omitted"}))
    assert written(request, NEW)["thinking"] == {"type": "adaptive", "display": "omitted"}
    foreign = asking(extras_of="ollama", extras={"keep_alive": 1})
    assert "keep_alive" not in written(foreign)


def test_embeddings_do_not_exist() -> None:
    """Neither asked for nor answered."""
    with pytest.raises(Unsupported):
        MESSAGES.render_request(EmbedRequest(model="m", inputs=("a",)), "m", some.WHOLE)
    with pytest.raises(Unsupported):
        MESSAGES.render_response(Embeddings(vectors=()), RENDERING)


def wire_error(kind: str, words: str) -> bytes:
    """An error as Anthropic sends it."""
    return json.dumps({"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_x"}).encode()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, wire_error("invalid_request_error", "prompt is too long: 2 > 1 maximum"), FailureKind.CONTEXT_LENGTH),
        (400, wire_error("invalid_request_error", "max_tokens: required"), FailureKind.REJECTED),
        (400, wire_error("billing_error", "no credit"), FailureKind.CREDENTIALS),
        (401, wire_error("authentication_error", "invalid x-api-key"), FailureKind.CREDENTIALS),
        (403, b"", FailureKind.CREDENTIALS),
        (404, wire_error("not_found_error", "model: x"), FailureKind.MODEL_MISSING),
        (413, b"<html>", FailureKind.CONTEXT_LENGTH),
        (429, wire_error("rate_limit_error", "slow"), FailureKind.THROTTLED),
        (500, wire_error("api_error", "oops"), FailureKind.SERVER),
        (503, b"\xff", FailureKind.BUSY),
        (529, wire_error("overloaded_error", "Overloaded"), FailureKind.BUSY),
        (502, b'{"error":"a string"}', FailureKind.SERVER),
    ],
)
def test_an_error_status_means_something(status: int, text: bytes, kind: FailureKind) -> None:
    """Read from status and words, and never raising."""
    failure = MESSAGES.parse_error(status, text)
    assert (failure.kind, failure.status) == (kind, status)


def test_junto_errors_have_anthropic_s_types() -> None:
    """By status: a budget is billing, a deadline a timeout, a broken upstream an api_error, a wrong field invalid."""
    errors = [BudgetExceeded("x"), DeadlinePassed("x"), UpstreamFailed("x"), InvalidField("x")]
    types = [json.loads(MESSAGES.render_error(error))["error"]["type"] for error in errors]
    assert types == ["billing_error", "timeout_error", "api_error", "invalid_request_error"]


@pytest.mark.parametrize(
    "page",
    [
        b"<html>\n\n<body>502</body>\n\n",
        b"502 Bad Gateway",
        b'data: {"choices":[]}\n\n',
        b"data: [DONE]\n\n",
        b'{"type":"message"}\n',
    ],
)
def test_a_page_is_not_a_stream(page: bytes) -> None:
    """Nothing passes, from the parser comes a failure."""
    parser, tap = MESSAGES.event_parser(), MESSAGES.stream_tap(some.STREAMED)
    events = [*parser.feed(page), *parser.end()]
    assert len(events) == 1
    assert isinstance(events[0], Failure)
    assert tap.feed(page) + tap.end() == b""
    assert tap.failure is FailureKind.PROTOCOL


def test_a_page_is_not_an_answer_either() -> None:
    """PROTOCOL for what is no message, the error's kind for an error, RESET for nothing."""
    for page, kind in ((b"<html>", "protocol"), (b'{"type":"list"}', "protocol"), (wire_error("x", "y"), "server")):
        tap = MESSAGES.whole_tap()
        assert (tap.feed(page), tap.failure) == (b"", FailureKind(kind))
        with pytest.raises(UpstreamFailure) as caught:
            MESSAGES.parse_response(page)
        assert caught.value.kind == kind
    empty = MESSAGES.whole_tap()
    assert (empty.end(), empty.failure) == (b"", FailureKind.RESET)


def test_an_event_without_end_is_too_large() -> None:
    """Nothing is held beyond 8 MiB."""
    piece = b"data: " + b"x" * (1 << 20)
    tap, parser = MESSAGES.stream_tap(some.STREAMED), MESSAGES.event_parser()
    events = [event for _ in range(9) for event in parser.feed(piece)]
    assert b"".join(tap.feed(piece) for _ in range(9)) == b""
    assert tap.failure is FailureKind.TOO_LARGE
    assert [event.kind for event in events if isinstance(event, Failure)] == [FailureKind.TOO_LARGE]


def test_deltas_of_several_calls_find_their_block() -> None:
    """Each call is a block of its own; text after thinking closes the block before it."""
    renderer = MESSAGES.event_renderer(RENDERING)
    events: list[Event] = [
        Start("x"),
        TextDelta("a"),
        ToolCallStart(0, "c0", "f"),
        ToolCallStart(1, "c1", "g"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallDelta(1, "{}"),
        Finish(FinishReason.TOOL_CALLS, Usage(output=1)),
    ]
    lines = renderer.render(events).decode().split("\n\n")
    deltas = [json.loads(line.split("data: ")[1]) for line in lines if "input_json_delta" in line]
    assert [(delta["index"], delta["delta"]["partial_json"]) for delta in deltas] == [(1, '{"a":1}'), (2, "{}")]


requests = st.builds(
    ChatRequest,
    model=st.just(OLD),
    messages=some.conversations(signed=True).map(lambda turns: tuple(map(nameless, turns))),
    tools=some.tools,
    tool_choice=st.none(),
    format=some.formats,
    sampling=some.samplings,
    stream=st.booleans(),
    user=st.one_of(st.none(), some.words),
)


def nameless(message: Message) -> Message:
    """The message as this wire can hold it: tool results have no names."""
    parts = tuple(
        ToolResult(part.call_id, part.content, part.is_error) if isinstance(part, ToolResult) else part
        for part in message.parts
    )
    return Message(message.role, parts)


def merged(messages: tuple[Message, ...]) -> list[tuple[Role, tuple[Any, ...]]]:
    """The conversation as turns of one role, however they were cut."""
    turns: list[tuple[Role, tuple[Any, ...]]] = []
    for message in messages:
        if turns and turns[-1][0] is message.role:
            turns[-1] = (message.role, turns[-1][1] + message.parts)
        else:
            turns.append((message.role, message.parts))
    return turns


@given(requests, st.one_of(st.none(), st.sampled_from([Reasoning(effort="none"), Reasoning(budget=1024)])))
def test_a_request_survives_the_wire(request: ChatRequest, reasoning: Reasoning | None) -> None:
    """Rendered and parsed again it is the same request, and the glance agrees with it."""
    wire = MESSAGES.render_request(request, OLD, request.stream)
    again = some.chat_in(MESSAGES, wire)
    assert merged(again.messages) == merged(request.messages)
    for name in ("model", "tools", "format", "sampling", "stream", "user", "extras"):
        assert getattr(again, name) == getattr(request, name), name
    head = MESSAGES.peek(wire)
    assert (head.stream, head.max_tokens) == (request.stream, request.sampling.max_tokens)
    assert (Capability.TOOLS in head.needs) == bool(request.tools)
    thinking = asking(reasoning=reasoning)
    assert some.chat_in(MESSAGES, MESSAGES.render_request(thinking, OLD, some.WHOLE)).reasoning == reasoning


def events_of(data: bytes, marks: list[int]) -> list[Event]:
    """All events of a stream that arrives in these pieces."""
    parser = MESSAGES.event_parser()
    return [event for piece in some.cut(data, marks) for event in parser.feed(piece)] + parser.end()


@given(some.completions(signed=True), some.cuts)
def test_an_answer_survives_as_a_stream_and_whole(completion: Completion, marks: list[int]) -> None:
    """However the bytes are cut, the stream folds to what the whole answer says."""
    renderer = MESSAGES.event_renderer(RENDERING)
    stream = b"".join(renderer.render([event]) for event in unfold(completion))
    whole = MESSAGES.parse_response(MESSAGES.render_response(completion, RENDERING))
    assert fold(events_of(stream, marks)) == whole
    assert isinstance(whole, Completion)
    assert (whole.parts, whole.reason, whole.usage) == (completion.parts, completion.reason, completion.usage)


@given(some.completions(signed=True), some.cuts, st.integers(0, 100_000), st.booleans())
def test_a_tap_passes_the_answer_in_any_pieces(
    completion: Completion,
    marks: list[int],
    shorter: int,
    carriage_returns: bool,  # noqa: FBT001 - drawn
) -> None:
    """All of it passes and is counted; cut short, only whole events pass and it is a failure."""
    stream = MESSAGES.event_renderer(RENDERING).render(list(unfold(completion)))
    blank = b"\n\n"
    if carriage_returns:
        stream, blank = stream.replace(b"\n", b"\r\n"), b"\r\n\r\n"
    tap = MESSAGES.stream_tap(some.STREAMED)
    assert b"".join([*map(tap.feed, some.cut(stream, marks)), tap.end()]) == stream
    assert (tap.finished, tap.failure) == (True, None)
    assert (tap.usage, tap.finish_reason) == (completion.usage, completion.reason.value)
    short, broken = stream[: shorter % (len(stream) - 8)], MESSAGES.stream_tap(some.STREAMED)
    passed = b"".join([*map(broken.feed, some.cut(short, marks)), broken.end()])
    assert broken.failure in {FailureKind.RESET, FailureKind.PROTOCOL}
    end = short.rfind(blank)
    assert passed == (short[: end + len(blank)] if end >= 0 else b"")
