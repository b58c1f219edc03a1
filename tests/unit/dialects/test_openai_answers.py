"""OpenAI's answers: whole and streamed, as the many servers that imitate it send them, and as Junto gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import Text, Thinking, ToolCall
from junto.core.completion import Completion, Embeddings, fold, unfold
from junto.core.errors import AllBackendsDown, FailureKind, InvalidField, UpstreamFailed, UpstreamFailure
from junto.core.events import Failure, Finish, FinishReason, Start, TextDelta, ToolCallStart
from junto.core.usage import MOST_TOKENS, Usage
from junto.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS
from junto.dialects.openai.usage import parse_usage, render_usage
from junto.dialects.wire import Rendering
from tests.unit.dialects.conversations import completions, cut, cuts, usages
from tests.unit.dialects.openai_streams import (
    DONE,
    RENDERING,
    STREAM,
    USAGE,
    chunk,
    events_of,
    sse,
    usage_chunk,
)

if TYPE_CHECKING:
    from junto.core.events import Event

USED = Usage(input=9, output=5)


def answers() -> st.SearchStrategy[Completion]:
    """Answers as this wire can hold them, with the id they are rendered under."""
    return completions(signed=False).map(lambda answer: msgspec.structs.replace(answer, id=RENDERING.id))


def streamed(answer: Completion, rendering: Rendering = RENDERING) -> bytes:
    """The answer as a stream."""
    return CHAT.event_renderer(rendering).render(list(unfold(answer)))


def calls_of(*deltas: list[dict[str, Any]], finish: str = "stop") -> tuple[ToolCall, ...]:
    """The tool calls that these deltas make."""
    stream = b"".join(chunk({"tool_calls": delta}) for delta in deltas) + chunk({}, finish) + DONE
    answer = fold(events_of(stream))
    assert answer.reason is FinishReason.TOOL_CALLS
    return answer.tool_calls


@given(answer=answers())
def test_a_whole_answer_survives_the_wire(answer: Completion) -> None:
    """What is rendered for a caller reads as the same answer."""
    assert CHAT.parse_response(CHAT.render_response(answer, RENDERING)) == answer


@given(answer=answers(), marks=cuts)
def test_a_stream_folds_to_the_whole(answer: Completion, marks: list[int]) -> None:
    """Streamed, in any pieces, the answer is the same as whole."""
    stream = streamed(answer)
    assert fold(events_of(*cut(stream, marks))) == answer
    assert fold(events_of(*(stream[at : at + 1] for at in range(len(stream))))) == answer


@given(answer=answers())
def test_a_rendered_stream_is_what_the_tap_takes_for_good(answer: Completion) -> None:
    """One Junto may relay what another has rendered."""
    tap = CHAT.stream_tap(True)  # noqa: FBT003
    stream = streamed(answer)
    assert tap.feed(stream) is stream
    assert (tap.finished, tap.usage, tap.finish_reason) == (True, answer.usage, answer.reason.value)


odd_pieces = st.lists(
    st.sampled_from(
        [
            STREAM,
            chunk({"content": "x"}),
            chunk({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
            chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
            chunk({}, "stop"),
            usage_chunk(),
            sse({"error": {"message": "no"}}),
            sse({"choices": [{"delta": None}]}),
            b"data: {\n\n",
            b"data: 5\n\n",
            b"event: error\ndata: x\n\n",
            b": comment\r\n\r\n",
            b"\xff\xfe\n",
            DONE,
        ]
    ),
    max_size=5,
).map(b"".join)


@given(stream=odd_pieces, marks=cuts)
def test_a_parser_ends_once_whatever_it_is_fed(stream: bytes, marks: list[int]) -> None:
    """In any pieces the same events come, and exactly one of them, the last, ends the answer."""
    events = events_of(stream)
    assert events == events_of(*cut(stream, marks))
    assert [isinstance(event, Finish | Failure) for event in events] == [False] * (len(events) - 1) + [True]
    starts = [isinstance(event, Start) for event in events]
    assert sum(starts) == starts[:1].count(True)


def test_a_stream_becomes_events_one_by_one() -> None:
    """Empty deltas say nothing; Finish carries reason and usage."""
    assert events_of(STREAM) == [
        Start("up", "c1"),
        TextDelta('Say "usage" and '),
        TextDelta("[DONE], \u00e4\n\nthen"),
        Finish(FinishReason.STOP, USED),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        chunk({"content": "x"}) + chunk({}, "stop", usage=USAGE) + DONE,
        chunk({"content": "x"}) + chunk({}, "stop") + usage_chunk() + DONE,
        chunk({"content": "x"}) + chunk({}, "stop") + usage_chunk(),
        chunk({"content": "x"}, usage={"prompt_tokens": 9, "completion_tokens": 1})
        + chunk({}, "stop", usage=USAGE)
        + DONE,
        usage_chunk() + chunk({"content": "x"}, "stop", usage=None) + DONE,
        sse({"id": "", "choices": [], "prompt_filter_results": []})
        + chunk({"content": "x"}, "stop")
        + usage_chunk()
        + DONE,
        chunk({"content": "x"}, "stop") + usage_chunk()[:-2],
        (chunk({"content": "x"}, "stop") + usage_chunk() + DONE).replace(b"\n", b"\r\n"),
    ],
)
def test_usage_and_end_are_found_wherever_they_are(stream: bytes) -> None:
    """Beside the finish, on each chunk, after it, with or without [DONE]."""
    assert fold(events_of(stream)) == Completion(parts=(Text("x"),), usage=USED, model="up", id="c1")


@pytest.mark.parametrize(
    "deltas",
    [
        # as OpenAI does
        [
            [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
            [{"index": 0, "function": {"arguments": '{"x":'}}],
            [{"index": 0, "function": {"arguments": "1}"}}],
            [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}],
            [{"index": 1, "function": {"arguments": "{}"}}],
        ],
        # whole calls in one chunk, without an index
        [
            [
                {"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "function": {"name": "g", "arguments": "{}"}},
            ]
        ],
        # arguments as objects
        [
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}],
            [{"index": 1, "id": "b", "function": {"name": "g", "arguments": {}}}],
        ],
        # the index is always 0
        [
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}],
            [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}],
        ],
        # id and name are repeated, or null
        [
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":'}}],
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "1}"}}],
            [{"index": 1, "id": "b", "function": {"name": "g", "arguments": None}}],
            [{"index": 1, "id": None, "function": {"name": None, "arguments": "{}"}}],
        ],
        # the name comes late
        [
            [{"index": 0, "id": "a", "function": {"arguments": '{"x":1}'}}],
            [{"index": 0, "function": {"name": "f"}}],
            [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}],
        ],
        # no index, pieces follow their call
        [
            [{"id": "a", "function": {"name": "f"}}],
            [{"function": {"arguments": '{"x":1}'}}],
            [{"id": "b", "function": {"name": "g"}}],
            [{"id": "b", "function": {"arguments": "{}"}}],
        ],
    ],
)
def test_tool_calls_are_put_together_however_they_come(deltas: list[list[dict[str, Any]]]) -> None:
    """Every way in which servers stream calls makes the same two calls."""
    assert calls_of(*deltas) == (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}"))


def test_calls_without_ids_get_the_same_ids_streamed_and_whole() -> None:
    """An id that has to be made up is stable, and differs from call to call."""
    first, second = (
        {"function": {"name": "f", "arguments": "{}"}},
        {"function": {"name": "f", "arguments": '{"x":1}'}},
    )
    calls = calls_of([first], [second])
    message = {"role": "assistant", "content": None, "tool_calls": [first, second]}
    whole = json.dumps({"id": "c1", "model": "up", "choices": [{"message": message, "finish_reason": "stop"}]})
    assert CHAT.parse_response(whole.encode()).parts == calls  # type: ignore[union-attr]
    assert len({call.id for call in calls}) == 2
    assert all(call.id.startswith("call_") for call in calls)


def test_a_function_call_of_before_tools_is_a_tool_call() -> None:
    """Old servers stream one function call in its own field."""
    stream = chunk({"function_call": {"name": "f", "arguments": '{"x"'}}) + chunk(
        {"function_call": {"arguments": ":1}"}}
    )
    (call,) = fold(events_of(stream + chunk({}, "function_call") + DONE)).tool_calls
    assert (call.name, call.arguments) == ("f", '{"x":1}')


def test_interleaved_calls_are_refused() -> None:
    """No event can say more of a call after the next one has begun."""
    one = [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]
    two = [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]
    late = [{"index": 0, "function": {"arguments": "}"}}]
    events = events_of(b"".join(chunk({"tool_calls": delta}) for delta in (one, two, late)))
    assert isinstance(events[-1], Failure)
    assert events[-1].kind is FailureKind.PROTOCOL


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_heard_under_either_name(field: str) -> None:
    """Streamed and whole."""
    expected = (Thinking("hm"), Text("x"))
    assert fold(events_of(chunk({field: "hm"}) + chunk({"content": "x"}, "stop") + DONE)).parts == expected
    whole = {"id": "c", "choices": [{"message": {"content": "x", field: "hm"}, "finish_reason": "stop"}]}
    assert CHAT.parse_response(json.dumps(whole).encode()).parts == expected  # type: ignore[union-attr]


def test_content_in_parts_is_heard() -> None:
    """Mistral sends thinking and text as parts of the content."""
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}, 5]
    whole = {"id": "c", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    assert CHAT.parse_response(json.dumps(whole).encode()).parts == (Thinking("hm"), Text("x"))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("eos", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
def test_every_finish_reason_means_something(word: str | None, reason: FinishReason) -> None:
    """Words that are not known are a stop."""
    whole = {"id": "c", "choices": [{"message": {"content": "x"}, "finish_reason": word}]}
    assert CHAT.parse_response(json.dumps(whole).encode()).reason is reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"", FailureKind.RESET),
        (chunk({"content": "x"}), FailureKind.RESET),
        (chunk({"content": "x"}) + chunk({}, "stop")[:-9], FailureKind.RESET),
        (chunk({"content": "x"})[:-9], FailureKind.RESET),
        (b"<html>", FailureKind.PROTOCOL),
        (b'{"id":"c"}', FailureKind.PROTOCOL),
        (b"data: secret\n\n", FailureKind.PROTOCOL),
        (b'data: {"choices":[{"delta":' + b"[" * 100_000 + b"\n\n", FailureKind.PROTOCOL),
        (sse({"error": {"message": "secret"}}), FailureKind.SERVER),
        (sse({"error": {"message": "maximum context length", "code": 400}}), FailureKind.CONTEXT_LENGTH),
        (b'event: error\ndata: {"message":"secret"}\n\n', FailureKind.SERVER),
        (b"data: " + b"x" * (9 << 20), FailureKind.TOO_LARGE),
    ],
)
def test_what_is_no_answer_ends_in_a_failure(stream: bytes, kind: FailureKind) -> None:
    """Nothing raises; the last event says what went wrong, without the upstream's words."""
    last = events_of(stream)[-1]
    assert isinstance(last, Failure)
    assert last.kind is kind
    assert "secret" not in last.detail


def test_a_failure_carries_the_usage_so_far() -> None:
    """Tokens that were counted before the end are charged."""
    last = events_of(chunk({"content": "x"}, usage=USAGE) + sse({"error": "no"}))[-1]
    assert isinstance(last, Failure)
    assert last.usage == USED


@given(usage=usages, reasoning=st.integers(0, 100), written=st.integers(0, 100))
def test_usage_survives_the_wire(usage: Usage, reasoning: int, written: int) -> None:
    """Rendered and parsed, each class keeps its tokens."""
    full = msgspec.structs.replace(usage, reasoning=min(reasoning, usage.output), cache_write=written)
    assert parse_usage(render_usage(full)) == full


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 60},
            },
            Usage(input=40, cache_read=60, output=20),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": 30,
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(input=10, output=20, reasoning=15),
        ),
        # xAI, Gemini: reasoning is beside the completion, only the total tells
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(input=10, output=35, reasoning=15),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 15}},
            Usage(input=10, output=20, reasoning=15),
        ),
        # DeepSeek
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
            Usage(input=2, cache_read=8, output=5),
        ),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 60}}, Usage(cache_read=10)),
        ({"prompt_tokens": 10, "prompt_tokens_details": None, "completion_tokens": True}, Usage(input=10)),
        ({"prompt_tokens": 10.0, "completion_tokens": float("nan")}, Usage(input=10)),
        ({}, Usage()),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_counted_once_per_class(wire: object, usage: Usage | None) -> None:
    """However a server keeps its books, the classes are disjoint."""
    assert parse_usage(wire) == usage


def test_a_stream_for_a_caller_has_the_right_frame() -> None:
    """A role first, a finish, usage only when asked for, and the end marker."""
    answer = Completion(parts=(Text("x"), ToolCall("a", "f", "")), reason=FinishReason.TOOL_CALLS, usage=USED)
    quiet = streamed(answer, msgspec.structs.replace(RENDERING, include_usage=False))
    assert quiet.endswith(DONE)
    chunks = [json.loads(line.removeprefix(b"data: ")) for line in quiet.split(b"\n\n")[:-2]]
    assert {(c["id"], c["object"], c["created"], c["model"]) for c in chunks} == {
        ("answer-1", "chat.completion.chunk", 1_760_000_000, "m")
    }
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert deltas[:2] == [{"role": "assistant", "content": ""}, {"content": "x"}]
    assert deltas[3] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, None, None, None, "tool_calls"]
    assert streamed(answer).count(b'"choices":[]') == 1


def test_a_failure_is_told_by_error_alone() -> None:
    """The renderer leaves a Failure's words to whoever knows more of it; no end marker follows an error."""
    renderer = CHAT.event_renderer(RENDERING)
    assert renderer.render([Failure(FailureKind.RESET, "upstream words")]) == b""
    told = renderer.error(UpstreamFailed("The answer broke off."))
    assert json.loads(told.removeprefix(b"data: ")) == {
        "error": {"message": "The answer broke off.", "type": "api_error", "param": None, "code": "upstream_failed"}
    }


def test_errors_have_openai_s_shape() -> None:
    """Reasons are added where there are any."""
    assert json.loads(CHAT.render_error(InvalidField("bad", param="n"))) == {
        "error": {"message": "bad", "type": "invalid_request_error", "param": "n", "code": "invalid_field"}
    }
    down = json.loads(CHAT.render_error(AllBackendsDown("down", reasons=["a: refused"])))
    assert down["error"]["reasons"] == ["a: refused"]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"error": {"message": "bad", "type": "invalid_request_error"}}, FailureKind.REJECTED),
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, FailureKind.CONTEXT_LENGTH),
        (400, {"error": {"message": "This model's maximum context length is 10 tokens."}}, FailureKind.CONTEXT_LENGTH),
        (400, {"error": {"message": "x", "type": "exceed_context_size_error"}}, FailureKind.CONTEXT_LENGTH),
        (400, {"object": "error", "message": "Please reduce the length of the messages."}, FailureKind.CONTEXT_LENGTH),
        (422, {"detail": "prompt is too long"}, FailureKind.CONTEXT_LENGTH),
        (400, {"error": {"message": "x", "code": "model_not_found"}}, FailureKind.MODEL_MISSING),
        (401, {"error": {"message": "Incorrect API key"}}, FailureKind.CREDENTIALS),
        (403, {}, FailureKind.CREDENTIALS),
        (404, {"error": {"message": "x"}}, FailureKind.MODEL_MISSING),
        (409, {}, FailureKind.REJECTED),
        (429, {"error": {"code": "insufficient_quota"}}, FailureKind.THROTTLED),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], FailureKind.THROTTLED),
        (
            413,
            {"error": {"message": "too many tokens per minute", "code": "rate_limit_exceeded"}},
            FailureKind.THROTTLED,
        ),
        (500, {"error": "boom"}, FailureKind.SERVER),
        (502, {}, FailureKind.SERVER),
        (503, {}, FailureKind.BUSY),
        (529, {}, FailureKind.BUSY),
        (302, {}, FailureKind.PROTOCOL),
    ],
)
def test_an_error_status_means_something(status: int, said: Any, kind: FailureKind) -> None:
    """Codes first, then known sentences, then the status."""
    failure = CHAT.parse_error(status, json.dumps(said).encode())
    assert (failure.kind, failure.status) == (kind, status)


@given(status=st.integers(300, 599), garbage=st.binary(max_size=60))
def test_an_error_body_may_be_anything(status: int, garbage: bytes) -> None:
    """Garbage is never raised about, and never quoted."""
    assert CHAT.parse_error(status, garbage).status == status
    assert CHAT.parse_error(status, b"[" * 100_000).detail == ""


def test_an_upstream_s_words_are_not_kept() -> None:
    """They may repeat the prompt; its code, if it looks like one, is enough for a log."""
    said = {"error": {"message": "your prompt: secret", "type": "bad secret words", "code": "some_code"}}
    assert CHAT.parse_error(400, json.dumps(said).encode()).detail == "some_code"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":5}']
)
def test_a_whole_that_is_no_answer_is_a_failure(body: bytes) -> None:
    """Each of them is a protocol failure and nothing else."""
    with pytest.raises(UpstreamFailure) as caught:
        CHAT.parse_response(body)
    assert caught.value.kind is FailureKind.PROTOCOL


def test_an_error_in_a_200_is_a_failure() -> None:
    """Some servers send their errors with the wrong status."""
    with pytest.raises(UpstreamFailure) as caught:
        CHAT.parse_response(b'{"error":{"message":"no","code":429}}')
    assert caught.value.kind is FailureKind.THROTTLED


def test_a_text_completion_survives_whole_and_streamed() -> None:
    """Words only: thinking and calls have no place."""
    answer = Completion(parts=(Text("once"),), reason=FinishReason.LENGTH, usage=USED, model="m", id="answer-1")
    assert COMPLETIONS.parse_response(COMPLETIONS.render_response(answer, RENDERING)) == answer
    events: list[Event] = [*unfold(answer)]
    events[1:1] = [ToolCallStart(0, "a", "f")]
    stream = COMPLETIONS.event_renderer(RENDERING).render(events)
    assert fold(events_of(stream, wire=COMPLETIONS)) == answer
    tap = COMPLETIONS.stream_tap(True)  # noqa: FBT003
    assert tap.feed(stream) is stream
    assert (tap.usage, tap.finish_reason, tap.output_characters) == (USED, "length", 4)


@given(vectors=st.lists(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=4).map(tuple), max_size=3).map(tuple))
def test_vectors_survive_as_numbers_and_as_base64(vectors: tuple[tuple[float, ...], ...]) -> None:
    """Both forms hold the same 32-bit floats."""
    answer = Embeddings(vectors=vectors, usage=Usage(input=3), model="m")
    packed = msgspec.structs.replace(RENDERING, base64=True)
    assert EMBEDDINGS.parse_response(EMBEDDINGS.render_response(answer, RENDERING)) == answer
    assert EMBEDDINGS.parse_response(EMBEDDINGS.render_response(answer, packed)) == answer


def test_base64_is_little_endian_floats() -> None:
    """1.0 and -2.0, by hand."""
    answer = Embeddings(vectors=((1.0, -2.0),))
    packed = msgspec.structs.replace(RENDERING, base64=True)
    rendered = json.loads(EMBEDDINGS.render_response(answer, packed))
    assert rendered["data"] == [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAMA="}]


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    """A server may send them in any order."""
    body = b'{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}'
    assert EMBEDDINGS.parse_response(body) == Embeddings(vectors=((1.0,), (2.0,)))


@pytest.mark.parametrize(
    "data", ["5", '[{"embedding":"AAA"}]', '[{"embedding":"AAAAAAA="}]', '[{"embedding":[null]}]', "null"]
)
def test_vectors_that_cannot_be_read_are_a_failure(data: str) -> None:
    """Each of them is a protocol failure and nothing else."""
    with pytest.raises(UpstreamFailure) as caught:
        EMBEDDINGS.parse_response(f'{{"data":{data}}}'.encode())
    assert caught.value.kind is FailureKind.PROTOCOL


@pytest.mark.parametrize("absurd", [10**12, 10**30, 1e300, float("inf")])
def test_an_absurd_count_is_the_most_there_is_and_spoils_no_other(absurd: float) -> None:
    """Nobody believes it at settlement; as nothing it would have been free."""
    counts = {"prompt_tokens": 10, "completion_tokens": absurd, "prompt_tokens_details": {"cached_tokens": absurd}}
    assert parse_usage(counts) == Usage(input=10, output=MOST_TOKENS)
