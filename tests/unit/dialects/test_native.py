"""Junto's own dialect: the shapes that callers rely on, and both directions between two Juntos."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.capability import Capability
from junto.core.chat import ChatRequest, Message, Role, Sampling, Text, ToolCall
from junto.core.completion import Completion, fold, unfold
from junto.core.errors import AllBackendsDown, FailureKind, InvalidField, InvalidRequest, UpstreamFailure
from junto.core.events import Failure, Finish, FinishReason
from junto.core.usage import Usage
from junto.dialects.native import COMPLETE, COMPLETE_STREAM
from junto.dialects.wire import Rendering
from tests.unit.dialects.conversations import STREAMED, WHOLE, completions, cut, cuts, tools, words
from tests.unit.dialects.openai_streams import body, events_of, passed

RENDERING = Rendering(id="", model="m", created=0)
ANSWER = Completion(parts=(Text("hello"),), usage=Usage(input=7, cache_read=2, output=3), model="m")


def answers() -> st.SearchStrategy[Completion]:
    """Answers as this wire can hold them: no thinking, no cached tokens apart, a reason told by the calls."""

    def fitted(answer: Completion) -> Completion:
        usage = answer.usage or Usage()
        return Completion(
            parts=tuple(part for part in answer.parts if isinstance(part, Text | ToolCall)),
            reason=FinishReason.TOOL_CALLS if answer.tool_calls else FinishReason.STOP,
            usage=Usage(input=usage.prompt, output=usage.output),
            model="m",
        )

    return completions(signed=False).map(fitted)


def test_a_request_is_read() -> None:
    """Every field of the wire reaches the core or routing; the path decides about the stream."""
    asked = body(
        tools=[{"type": "function", "function": {"name": "f"}}],
        tenant_id="t1",
        sensitivity="confidential",
        task_type="email",
        metadata={"sensitivity": "public", "trace": "x", "n": 1},
        max_tokens=9,
        temperature=0.5,
    )
    head = COMPLETE.peek(asked)
    assert (head.model, head.stream, head.max_tokens) == ("m", False, 9)
    assert head.needs == Capability.CHAT | Capability.TOOLS
    assert head.metadata == {"sensitivity": "confidential", "trace": "x", "tenant_id": "t1", "task_type": "email"}
    request = COMPLETE.parse_request(asked)
    assert isinstance(request, ChatRequest)
    assert request.messages == (Message(Role.USER, (Text("hi"),)),)
    assert request.sampling == Sampling(max_tokens=9, temperature=0.5)
    assert COMPLETE_STREAM.peek(asked).stream
    assert COMPLETE_STREAM.parse_request(asked) == msgspec.structs.replace(request, stream=True)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 1}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"sensitivity": 1}, "sensitivity"),
        ({"base_url": "http://example.org"}, "base_url"),
    ],
)
def test_a_wrong_or_unknown_field_is_refused(fields: dict[str, Any], param: str) -> None:
    """The wire is Junto's own: what it does not know is a mistake."""
    for read in (COMPLETE.peek, COMPLETE_STREAM.parse_request):
        with pytest.raises(InvalidField) as caught:
            read(body(**fields))
        assert caught.value.status == 422
        assert caught.value.param == param


def test_broken_json_is_malformed() -> None:
    """A 400, as everywhere."""
    with pytest.raises(InvalidRequest) as caught:
        COMPLETE.peek(b"{")
    assert caught.value.status == 400


@given(text=words, offered=tools, limit=st.integers(1, 100))
def test_a_request_survives_between_two_juntos(text: str, offered: tuple[Any, ...], limit: int) -> None:
    """What one renders the other reads."""
    request = ChatRequest(
        model="m", messages=(Message(Role.USER, (Text(text),)),), tools=offered, sampling=Sampling(max_tokens=limit)
    )
    assert COMPLETE.parse_request(COMPLETE.render_request(request, "m", WHOLE)) == request
    streamed = COMPLETE_STREAM.parse_request(COMPLETE_STREAM.render_request(request, "m", STREAMED))
    assert streamed == msgspec.structs.replace(request, stream=True)
    relayed = COMPLETE.relay_request(COMPLETE.render_request(request, "m", WHOLE), "other")
    assert COMPLETE.parse_request(relayed) == msgspec.structs.replace(request, model="other")


def test_the_answer_has_exactly_the_promised_fields() -> None:
    """Content, model, real usage, tool calls."""
    assert json.loads(COMPLETE.render_response(ANSWER, RENDERING)) == {
        "content": "hello",
        "model": "m",
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        "tool_calls": [],
    }


def test_the_stream_has_exactly_the_promised_lines() -> None:
    """Chunks of text, then done."""
    stream = COMPLETE_STREAM.event_renderer(RENDERING).render(list(unfold(ANSWER)))
    assert [json.loads(line) for line in stream.splitlines()] == [
        {"type": "chunk", "text": "hello"},
        {"type": "done", "usage": {"prompt_tokens": 9, "completion_tokens": 3}, "model": "m"},
    ]


@given(answer=answers(), marks=cuts)
def test_an_answer_survives_whole_and_streamed(answer: Completion, marks: list[int]) -> None:
    """In any pieces, and past a tap untouched."""
    whole = COMPLETE.render_response(answer, RENDERING)
    assert COMPLETE.parse_response(whole) == answer
    tap = COMPLETE.whole_tap()
    assert tap.feed(whole) is whole
    assert (tap.finished, tap.usage, tap.finish_reason) == (True, answer.usage, answer.reason.value)
    stream = COMPLETE_STREAM.event_renderer(RENDERING).render(list(unfold(answer)))
    got = fold(events_of(*cut(stream, marks), wire=COMPLETE_STREAM))
    assert (got.parts, got.reason, got.usage) == (answer.parts, answer.reason, answer.usage)
    tap = COMPLETE_STREAM.stream_tap(True)  # noqa: FBT003
    assert passed(tap, *cut(stream, marks)) == stream
    assert (tap.finished, tap.usage, tap.output_characters) == (True, answer.usage, len(answer.text))


def test_every_provider_down_is_a_plain_sentence() -> None:
    """Byte for byte, whole and in a stream."""
    down = AllBackendsDown("internal words", reasons=["a: refused"])
    assert COMPLETE.render_error(down) == b'{"error":"All providers unavailable"}'
    line = COMPLETE_STREAM.event_renderer(RENDERING).error(down)
    assert line == b'{"type":"error","message":"All providers unavailable"}\n'


def test_other_errors_are_objects() -> None:
    """Param and reasons are there where they say something."""
    assert json.loads(COMPLETE.render_error(InvalidField("bad", param="n", reasons=["r"]))) == {
        "error": {
            "type": "invalid_request_error",
            "code": "invalid_field",
            "message": "bad",
            "param": "n",
            "reasons": ["r"],
        }
    }
    line = COMPLETE_STREAM.event_renderer(RENDERING).error(InvalidField("bad"))
    assert json.loads(line) == {"type": "error", "message": "bad", "code": "invalid_field"}


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b'{"type":"chunk","text":"x"}\n{"type":"error","message":"secret"}\n', FailureKind.SERVER),
        (b'{"type":"chunk","text":"x"}\n', FailureKind.RESET),
        (b'{"type":"chunk","text":"x"}\n{"type":"do', FailureKind.PROTOCOL),
        (b"<html>\n", FailureKind.PROTOCOL),
        (b"x" * (9 << 20), FailureKind.TOO_LARGE),
    ],
)
def test_a_stream_that_fails_is_told(stream: bytes, kind: FailureKind) -> None:
    """Parser and tap agree, and the other Junto's words do not pass."""
    last = events_of(stream, wire=COMPLETE_STREAM)[-1]
    assert isinstance(last, Failure)
    assert last.kind is kind
    tap = COMPLETE_STREAM.stream_tap(True)  # noqa: FBT003
    assert b"secret" not in passed(tap, stream)
    assert tap.failure is kind


def test_nothing_counts_after_done() -> None:
    """The first end is the end."""
    stream = (
        b'{"type":"done","model":"m","usage":{"prompt_tokens":1,"completion_tokens":2}}\n{"type":"chunk","text":"x"}\n'
    )
    assert isinstance(events_of(stream, wire=COMPLETE_STREAM)[-1], Finish)
    tap = COMPLETE_STREAM.stream_tap(True)  # noqa: FBT003
    assert passed(tap, stream) == stream.splitlines(keepends=True)[0]


def test_an_error_where_an_answer_should_be_is_a_failure() -> None:
    """Nothing of it passes."""
    page = b'{"error":"All providers unavailable"}'
    with pytest.raises(UpstreamFailure):
        COMPLETE.parse_response(page)
    tap = COMPLETE.whole_tap()
    assert tap.feed(page) == b""
    assert tap.failure is FailureKind.PROTOCOL
    assert COMPLETE.parse_error(503, page).kind is FailureKind.BUSY
