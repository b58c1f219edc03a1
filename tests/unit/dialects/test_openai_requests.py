"""OpenAI's requests: what routing reads, what a relay rewrites, what a translation carries over and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import msgspec
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
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.errors import InvalidField, InvalidRequest, MalformedBody, Unsupported
from junto.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS
from tests.unit.dialects.conversations import (
    STREAMED,
    WHOLE,
    chat_in,
    choices,
    conversations,
    formats,
    names,
    objects,
    samplings,
    tools,
    words,
)
from tests.unit.dialects.openai_streams import body

IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}


def single_results(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation as this wire has it: each tool result is a message of its own."""
    return tuple(
        Message(Role.TOOL, (part,)) if message.role is Role.TOOL else message
        for message in messages
        for part in (message.parts if message.role is Role.TOOL else message.parts[:1])
    )


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """A canonical request in the form that this wire can hold."""
    offered = draw(tools)
    extras = draw(st.dictionaries(names.map("x_".__add__), objects, max_size=2))
    return ChatRequest(
        model="m",
        messages=single_results(draw(conversations())),
        tools=offered,
        tool_choice=draw(choices) if offered else None,
        format=draw(st.one_of(formats, st.just(Format("json")))),
        reasoning=draw(st.one_of(st.none(), st.sampled_from(["none", "low", "high"]).map(Reasoning))),  # type: ignore[arg-type]
        sampling=draw(samplings),
        stream=draw(st.booleans()),
        user=draw(st.one_of(st.none(), words)),
        extras_of="openai" if extras else "",
        extras=extras,
    )


@given(request=requests())
def test_a_request_survives_the_wire(request: ChatRequest) -> None:
    """What is rendered for an upstream reads as the same request."""
    assert CHAT.parse_request(CHAT.render_request(request, "m", request.stream)) == request


@given(request=requests(), model=words)
def test_peek_and_parse_agree(request: ChatRequest, model: str) -> None:
    """The head that routing reads is that of the request."""
    rendered = CHAT.render_request(request, model, request.stream)
    head = CHAT.peek(rendered)
    assert (head.model, head.stream, head.max_tokens) == (model, request.stream, request.sampling.max_tokens)
    assert (Capability.TOOLS in head.needs) == bool(request.tools)
    assert (Capability.VISION in head.needs) == (b"image_url" in rendered)
    assert head.wants_usage


def test_the_head_says_what_is_needed() -> None:
    """Each feature that a model may lack is seen."""
    head = CHAT.peek(
        body(
            messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE_PART]}],
            tools=[{"type": "function", "function": {"name": "f"}}],
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
            reasoning_effort="high",
            max_tokens=7,
            max_completion_tokens=5,
            stream=True,
            metadata={"sensitivity": "confidential", "number": 1, "task_type": "t"},
        )
    )
    every = Capability.CHAT | Capability.TOOLS | Capability.VISION | Capability.JSON_SCHEMA | Capability.REASONING
    assert head.needs == every
    assert (head.stream, head.max_tokens, head.wants_usage) == (
        True,
        7,
        False,
    )  # some upstreams go by one, some by the other
    assert head.metadata == {"sensitivity": "confidential", "task_type": "t"}


def test_a_plain_request_needs_a_chat_only() -> None:
    """Words that look like features are only words."""
    head = CHAT.peek(body(messages=[{"role": "user", "content": '"type":"image_url" tools'}], reasoning_effort="none"))
    assert head.needs == Capability.CHAT
    assert (head.stream, head.wants_usage, head.metadata, head.max_tokens) == (False, True, {}, None)


def test_an_image_does_not_count_by_its_bytes() -> None:
    """The estimate of the prompt leaves out base64."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert CHAT.peek(body(messages=[{"role": "user", "content": [picture]}])).prompt_tokens < 2000


@pytest.mark.parametrize(
    ("wire", "bad", "error", "param"),
    [
        (CHAT, b"", MalformedBody, None),
        (CHAT, b"[]", MalformedBody, None),
        (CHAT, b'{"model":', MalformedBody, None),
        (CHAT, body(x=1)[:-1] + b',"y":"\xff"}', MalformedBody, None),
        (CHAT, body(x=1)[:-1] + b',"y":' + b"[" * 10_000 + b"]" * 10_000 + b"}", MalformedBody, None),
        (CHAT, body(x=1)[:-1] + b',"tools":[' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"]}", MalformedBody, None),
        (CHAT, b'{"messages":[{"role":"user","content":"x"}]}', InvalidField, "model"),
        (CHAT, b'{"model":"m"}', InvalidField, "messages"),
        (CHAT, body(model=5), InvalidField, "model"),
        (CHAT, body(model=""), InvalidField, "model"),
        (CHAT, body(messages=[]), InvalidField, "messages"),
        (CHAT, body(messages="x"), InvalidField, "messages"),
        (CHAT, body(messages=[{"role": 5, "content": "x"}]), InvalidField, "messages[0].role"),
        (CHAT, body(messages=[{"role": "user", "content": 5}]), InvalidField, "messages[0].content"),
        (CHAT, body(messages=[{"content": "x"}]), InvalidField, "messages[0].role"),
        (CHAT, body(stream="yes"), InvalidField, "stream"),
        (CHAT, body(max_tokens=0), InvalidField, "max_tokens"),
        (CHAT, body(max_completion_tokens=-1), InvalidField, "max_completion_tokens"),
        (CHAT, body(max_tokens=1.5), InvalidField, "max_tokens"),
        (CHAT, body(metadata=[]), InvalidField, "metadata"),
        (CHAT, body(tools={}), InvalidField, "tools"),
        (COMPLETIONS, b'{"model":"m"}', InvalidField, "prompt"),
        (COMPLETIONS, b'{"model":"m","prompt":{}}', InvalidField, "prompt"),
        (EMBEDDINGS, b'{"model":"m"}', InvalidField, "input"),
        (EMBEDDINGS, b'{"model":"m","input":[]}', InvalidField, "input"),
        (EMBEDDINGS, b'{"model":"m","input":[1.5]}', InvalidField, "input[0]"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    wire: Any, bad: bytes, error: type[InvalidRequest], param: str | None
) -> None:
    """Broken JSON is a 400, a wrong field a 422 that names it; nothing crashes."""
    with pytest.raises(error) as caught:
        wire.peek(bad)
    assert caught.value.param == param
    assert caught.value.status == (422 if error is InvalidField else 400)
    with pytest.raises(InvalidRequest):
        wire.parse_request(bad)


def test_a_relayed_request_that_fits_is_the_same_object() -> None:
    """Nothing is copied when the model keeps its name and no usage has to be asked for."""
    for unchanged in (
        body(),
        body(messages=[{"role": "user", "content": 'ä "model":"other"'}]),
        body(stream=True, stream_options={"include_usage": True}),
        body(stream=False, stream_options=None),
    ):
        assert CHAT.relay_request(unchanged, "m") is unchanged


def test_a_relayed_request_keeps_all_but_the_model() -> None:
    """Unknown fields, number spellings and escapes go through as they were written."""
    before = (
        b'{ "temperature": 0.10, "big":12345678901234567890123, "model" :"m","x":{"a": [1e2,  -0.0], "b":"\\u00e4"}}'
    )
    after = CHAT.relay_request(before, 'up/"1"')
    assert json.loads(after) == {**json.loads(before), "model": 'up/"1"'}
    for kept in (b"0.10", b"12345678901234567890123", b'{"a": [1e2,  -0.0], "b":"\\u00e4"}'):
        assert kept in after


@pytest.mark.parametrize(
    "options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False, "x": 1}}]
)
def test_a_relayed_stream_asks_for_usage(options: dict[str, Any]) -> None:
    """Settlement needs it whether or not the caller does; other options stay."""
    sent = json.loads(CHAT.relay_request(body(stream=True, **options), "m"))
    assert sent["stream_options"] == {**(options.get("stream_options") or {}), "include_usage": True}
    assert "stream_options" not in json.loads(CHAT.relay_request(body(stream=False), "other"))


@pytest.mark.parametrize(
    "sly",
    [
        b'{"model":"forbidden","messages":[{"role":"user","content":"x"}],"model":"m"}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"Model":"forbidden"}',
        b'{"mod\\u0065l":"forbidden","messages":[{"role":"user","content":"x"}],"model":"m"}',
        b'{"model":"forbidden","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"m"}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"me\xc5\xbf\xc5\xbfages":["forbidden"]}',
    ],
)
def test_a_field_cannot_mean_two_things(sly: bytes) -> None:
    """Repeated and look-alike keys are gone before an upstream can prefer the other one."""
    assert CHAT.peek(sly).model == "m"
    sent = CHAT.relay_request(sly, "m")
    assert b"forbidden" not in sent
    assert CHAT.peek(sent).model == "m"


def test_every_form_of_a_message_is_read() -> None:
    """Roles, parts, images, reasoning, calls and results become the core's words."""
    request = chat_in(
        CHAT,
        body(
            messages=[
                {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "boss"},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "See", "cache_control": {"type": "e"}}, IMAGE_PART],
                },
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}}],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "42"},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "reasoning": "so"},
                {"role": "assistant", "refusal": "Never.", "content": ""},
            ]
        ),
    )
    assert request.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),), "boss"),
        Message(Role.USER, (Text("See", {"type": "e"}), Image(data="iVBORw0K", media_type="image/png"))),
        Message(Role.USER, (Image(url="https://e.org/a.png", detail="low"),)),
        Message(Role.ASSISTANT, (Thinking("hm"), ToolCall("c1", "f", '{"a":1}'))),
        Message(Role.TOOL, (ToolResult("c1", (Text("42"),)),)),
        Message(Role.ASSISTANT, (Thinking("so"), Text("No."))),
        Message(Role.ASSISTANT, (Text("Never."),)),
    )


def test_functions_of_before_tools_are_read() -> None:
    """A function call and its result are matched by name."""
    request = chat_in(
        CHAT,
        body(
            messages=[
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "42"},
            ],
            functions=[{"name": "f", "parameters": {"type": "object"}}],
            function_call={"name": "f"},
        ),
    )
    call, result = request.messages[1].parts[0], request.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.tool_choice == ToolChoice("required", "f")


@pytest.mark.parametrize(
    ("fields", "choice", "offered"),
    [
        ({}, None, ["f", "g"]),
        ({"tool_choice": "none"}, ToolChoice("none"), ["f", "g"]),
        ({"tool_choice": "required"}, ToolChoice("required"), ["f", "g"]),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False), ["f", "g"]),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}}, ToolChoice("required", "g"), ["f", "g"]),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
                }
            },
            ToolChoice("required"),
            ["g"],
        ),
    ],
)
def test_every_choice_among_tools_is_read(
    fields: dict[str, Any], choice: ToolChoice | None, offered: list[str]
) -> None:
    """Modes, a forced function, a subset and parallelism."""
    given_tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    request = chat_in(CHAT, body(tools=given_tools, **fields))
    assert request.tool_choice == choice
    assert [tool.name for tool in request.tools] == offered


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}]},
            "messages[0].tool_calls[0].type",
        ),
    ],
)
def test_what_no_other_wire_can_do_is_relayed_or_refused(fields: dict[str, Any], param: str) -> None:
    """Such a request passes on relay; translated, it is refused with the field's name, not quietly weakened."""
    asked = body(**fields)
    assert CHAT.peek(asked).model == "m"
    assert CHAT.relay_request(asked, "m") is asked
    with pytest.raises(Unsupported) as caught:
        CHAT.parse_request(asked)
    assert caught.value.param == param


@pytest.mark.parametrize("url", ["data:image/png,raw", "data:;base64,AAAA", "data:image/png;base64", "data:"])
def test_a_data_url_must_say_what_it_is(url: str) -> None:
    """A picture needs base64 and a media type."""
    with pytest.raises(InvalidField) as caught:
        CHAT.parse_request(
            body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
        )
    assert caught.value.param == "messages[0].content[0].image_url.url"


def test_images_of_tools_follow_the_answers() -> None:
    """Tools may answer in text only here, so their images come right after, in the user's name."""
    image = Image(data="AAAA", media_type="image/png")
    messages = (
        Message(Role.USER, (Text("look"),)),
        Message(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))),
        Message(Role.TOOL, (ToolResult("a", (image,)), ToolResult("b", (Text("done"),)))),
        Message(Role.USER, (Text("and?"),)),
    )
    sent = json.loads(CHAT.render_request(ChatRequest(model="m", messages=messages), "m", WHOLE))["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert isinstance(sent[2]["content"], str)
    assert sent[4]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning("minimal"), "minimal"),
        (Reasoning(), "medium"),
        (Reasoning(budget=1024), "low"),
        (Reasoning(budget=8000), "medium"),
        (Reasoning(budget=32_000), "high"),
    ],
)
def test_a_budget_of_thinking_becomes_an_effort(reasoning: Reasoning, effort: str) -> None:
    """Here are words where others have numbers."""
    request = ChatRequest(model="m", messages=(Message(Role.USER, (Text("x"),)),), reasoning=reasoning)
    assert json.loads(CHAT.render_request(request, "m", WHOLE))["reasoning_effort"] == effort


def test_fields_of_another_dialect_are_not_sent() -> None:
    """Extras are rendered only by the dialect they came from, and never over Junto's own fields."""
    request = ChatRequest(model="m", messages=(Message(Role.USER, (Text("x"),)),), extras={"seed_of": 1, "model": "x"})
    assert "seed_of" not in json.loads(CHAT.render_request(request, "m", WHOLE))
    own = msgspec.structs.replace(request, extras_of="openai")
    sent = json.loads(CHAT.render_request(own, "m", STREAMED))
    assert (sent["seed_of"], sent["model"], sent["stream_options"]) == (1, "m", {"include_usage": True})


def test_a_prompt_is_a_conversation_of_one_message() -> None:
    """Legacy completions become a chat and back."""
    request = COMPLETIONS.parse_request(b'{"model":"m","prompt":["Once"],"max_tokens":5,"stop":"x","user":"u"}')
    assert request == ChatRequest(
        model="m",
        messages=(Message(Role.USER, (Text("Once"),)),),
        sampling=Sampling(max_tokens=5, stop=("x",)),
        user="u",
    )
    assert COMPLETIONS.parse_request(COMPLETIONS.render_request(request, "m", WHOLE)) == request


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "suffix": "z"}, "suffix"),
        ({"prompt": "a", "logprobs": 0}, "logprobs"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "n": 3}, "n"),
    ],
)
def test_what_is_more_than_a_prompt_is_relayed_or_refused(fields: dict[str, Any], param: str) -> None:
    """Several prompts, token ids, echo, suffix and logprobs have no place in a conversation."""
    asked = json.dumps({"model": "m", **fields}, separators=(",", ":")).encode()
    assert COMPLETIONS.peek(asked).model == "m"
    assert COMPLETIONS.relay_request(asked, "m") is asked
    with pytest.raises(Unsupported) as caught:
        COMPLETIONS.parse_request(asked)
    assert caught.value.param == param


def test_a_conversation_is_no_prompt() -> None:
    """A chat that is more than one text cannot be sent as a completion."""
    request = ChatRequest(model="m", messages=(Message(Role.SYSTEM, (Text("x"),)), Message(Role.USER, (Text("y"),))))
    with pytest.raises(Unsupported):
        COMPLETIONS.render_request(request, "m", WHOLE)


@given(
    inputs=st.lists(words, min_size=1, max_size=4).map(tuple),
    dimensions=st.one_of(st.none(), st.integers(1, 4096)),
    base64=st.booleans(),
    user=st.one_of(st.none(), words),
)
def test_an_embeddings_request_survives_the_wire(
    inputs: tuple[str, ...], dimensions: int | None, user: str | None, *, base64: bool
) -> None:
    """What is rendered for an upstream reads as the same request."""
    extras = {"user": user} if user else {}
    request = EmbedRequest(
        model="m",
        inputs=inputs,
        dimensions=dimensions,
        base64=base64,
        extras_of="openai" if extras else "",
        extras=extras,
    )
    assert EMBEDDINGS.parse_request(EMBEDDINGS.render_request(request, "m", WHOLE)) == request


def test_embeddings_take_one_text_and_relay_token_ids() -> None:
    """A single text is a list of one; token ids mean nothing to another model."""
    one = EMBEDDINGS.parse_request(b'{"model":"m","input":"x"}')
    assert one == EmbedRequest(model="m", inputs=("x",))
    ids = b'{"model":"m","input":[[1,2],[3]]}'
    assert EMBEDDINGS.peek(ids).needs == Capability.EMBEDDINGS
    assert EMBEDDINGS.relay_request(ids, "m") is ids
    with pytest.raises(Unsupported):
        EMBEDDINGS.parse_request(ids)


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": "a", "n": 3}, 3),
        ({"prompt": "a", "n": 3, "best_of": 5}, 5),
        ({"prompt": ["a", "b"], "n": 3}, 6),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": []}, 1),
    ],
)
def test_the_head_of_a_completion_says_how_many_are_generated(fields: dict[str, object], answers: int) -> None:
    assert COMPLETIONS.peek(json.dumps({"model": "m", **fields}).encode()).answers == answers


def test_the_number_of_answers_has_one_spelling_only() -> None:
    """`N` beside `n` would be the one that counts to a reader without regard to case."""
    relayed = CHAT.relay_request(body(n=1, N=100), "m")
    assert (b'"n":1' in relayed, b'"N"' in relayed) == (True, False)
