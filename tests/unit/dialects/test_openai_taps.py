"""OpenAI's taps pass what may pass, untouched, and remember what settlement needs, however the bytes are split."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import FailureKind
from junto.core.usage import MOST_TOKENS, Usage
from junto.dialects.openai import CHAT, EMBEDDINGS
from junto.dialects.openai.taps import StreamTap
from tests.unit.dialects.conversations import cut, cuts
from tests.unit.dialects.openai_streams import ASKED, DONE, NOT_ASKED, STREAM, USAGE, chunk, passed, sse, usage_chunk

FINISHED = Usage(input=9, output=5)
SECRET = b"the upstream's own words"
ERROR = sse({"error": {"message": SECRET.decode(), "type": "server_error", "code": None}})

pieces = st.lists(
    st.sampled_from(
        [
            chunk({"content": "word"}),
            chunk({"content": 'a "usage":{ and [DONE]\n\n'}),
            chunk({"content": "x"}, usage=None),
            chunk({}, "stop"),
            chunk({}, "stop", usage=USAGE),
            usage_chunk(),
            ERROR,
            DONE,
            b"\n",
            b": comment\n\n",
            b"data: nothing\n\n",
            chunk({"content": "crlf"}).replace(b"\n", b"\r\n"),
            DONE.replace(b"\n", b"\r\n"),
            b"event: message\n" + chunk({"content": "named"}),
            b"error: {}\n\n",
            b"<html>",
        ]
    ),
    max_size=8,
)


@given(stream=pieces.map(b"".join), marks=cuts, wants_usage=st.booleans())
def test_the_split_makes_no_difference(stream: bytes, marks: list[int], *, wants_usage: bool) -> None:
    """However a stream is cut, the same bytes pass and the same things are remembered."""

    def outcome(parts: list[bytes]) -> tuple[object, ...]:
        tap = CHAT.stream_tap(wants_usage)
        return passed(tap, *parts), tap.finished, tap.failure, tap.usage, tap.finish_reason

    whole = outcome([stream])
    assert outcome(cut(stream, marks)) == whole
    assert outcome([stream[at : at + 1] for at in range(len(stream))]) == whole
    assert SECRET not in whole[0]  # type: ignore[operator]


def test_a_good_stream_passes_byte_for_byte() -> None:
    """With usage asked for nothing changes, and usage and finish reason are known afterwards."""
    tap = CHAT.stream_tap(ASKED)
    assert passed(tap, STREAM) == STREAM
    assert (tap.finished, tap.failure, tap.usage, tap.finish_reason) == (True, None, FINISHED, "stop")


def test_chunks_pass_as_the_same_object() -> None:
    """What does not have to change is not copied."""
    tap = CHAT.stream_tap(ASKED)
    chunks = [
        chunk({"role": "assistant"}),
        chunk({"content": "one"}),
        chunk({"content": "one"}) + chunk({"content": "two"}),
        chunk({"content": "one"}).replace(b"\n", b"\r\n"),
        chunk({}, "stop"),
        usage_chunk(),
        DONE,
    ]
    for piece in chunks:
        assert tap.feed(piece) is piece


def test_usage_that_nobody_asked_for_is_stripped_but_known() -> None:
    """The usage-only chunk is left out; a usage beside a choice stays where it is."""
    tap = CHAT.stream_tap(NOT_ASKED)
    assert passed(tap, STREAM) == STREAM.replace(usage_chunk(), b"")
    assert tap.usage == FINISHED
    tap = CHAT.stream_tap(NOT_ASKED)
    mixed = chunk({}, "stop", usage=USAGE) + DONE
    assert passed(tap, mixed) == mixed
    assert tap.usage == FINISHED


def test_nothing_passes_after_done() -> None:
    """What follows the end is not relayed."""
    tap = CHAT.stream_tap(ASKED)
    assert tap.feed(DONE + chunk({"content": "more"})) == DONE
    assert tap.feed(chunk({"content": "more"})) == b""
    assert tap.end() == b""


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (ERROR, FailureKind.SERVER),
        (sse({"error": SECRET.decode()}), FailureKind.SERVER),
        (sse({"error": {"message": SECRET.decode(), "code": 429}}), FailureKind.THROTTLED),
        (sse({"error": {"message": SECRET.decode(), "code": "context_length_exceeded"}}), FailureKind.CONTEXT_LENGTH),
        (sse({"choices": [{"error": {"message": SECRET.decode()}, "finish_reason": "error"}]}), FailureKind.SERVER),
        (b"event: error\ndata: " + SECRET + b"\n\n", FailureKind.SERVER),
        (b"error: " + SECRET + b"\n\n", FailureKind.SERVER),
        (b'data: {"error" \n' + SECRET + b"\n\n", FailureKind.PROTOCOL),
        (SECRET + b"\n\n", FailureKind.PROTOCOL),
    ],
)
def test_an_error_never_passes(piece: bytes, kind: FailureKind) -> None:
    """An error in a stream that has begun ends it; what came before has passed, its own text has not."""
    before = chunk({"content": "so far"})
    tap = CHAT.stream_tap(ASKED)
    assert passed(tap, before + piece) == before
    assert tap.failure is kind
    assert tap.feed(chunk({"content": "after"})) == b""
    assert not tap.finished


@pytest.mark.parametrize(
    "said",
    [b'"' + SECRET + b'"', b"7", b"null", b"[done]", b'{"choices":[{"delta"', b'{"a":' * 9, b'{"a":1} ' + SECRET],
)
@pytest.mark.parametrize("began", [True, False])
def test_an_event_that_is_no_object_never_passes(said: bytes, *, began: bool) -> None:
    """A client would fail on it with an error of its own."""
    before = chunk({"content": "so far"}) if began else b""
    tap = CHAT.stream_tap(ASKED)
    assert passed(tap, before, b"data: " + said + b"\n\n") == before
    assert tap.failure is FailureKind.PROTOCOL


@pytest.mark.parametrize(
    "body", [b'{"error":{"message":"no"}}', b"<!doctype html><html>", b"Internal Server Error", b"[1,2,3]"]
)
def test_what_does_not_look_like_a_stream_is_refused_at_its_first_bytes(body: bytes) -> None:
    """A page or an object where a stream should be is a protocol failure, at once."""
    tap = CHAT.stream_tap(ASKED)
    assert tap.feed(body) == b""
    assert tap.failure is FailureKind.PROTOCOL


@pytest.mark.parametrize("start", [b": ping\n\n", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"event: x\n", b"id: 1\n"])
def test_what_a_stream_may_begin_with_is_not_taken_for_a_page(start: bytes) -> None:
    """Comments, a BOM, blank lines and other fields may come first."""
    tap = CHAT.stream_tap(ASKED)
    stream = start + STREAM
    assert passed(tap, *(stream[at : at + 1] for at in range(len(stream)))) == stream
    assert tap.finished


def test_a_missing_done_is_made_up_for() -> None:
    """A stream that said why it stopped is whole, even when its last line end is missing."""
    tap = CHAT.stream_tap(ASKED)
    last = chunk({}, "length")
    assert passed(tap, last[:-2]) == last + DONE
    assert (tap.finished, tap.finish_reason) == (True, "length")


def test_a_done_without_its_line_end_is_completed() -> None:
    """A marker at the very end of the body counts."""
    tap = CHAT.stream_tap(ASKED)
    assert passed(tap, chunk({"content": "x"}), b"data: [DONE]") == chunk({"content": "x"}) + DONE
    assert tap.finished


@pytest.mark.parametrize("rest", [b"", chunk({"content": "cut"})[:-20], chunk({}, "stop")[:-5], b"dat"])
def test_an_answer_that_is_cut_short_is_a_reset(rest: bytes) -> None:
    """Without a finish reason the end of the body is a failure, and half an event does not pass."""
    tap = CHAT.stream_tap(ASKED)
    assert passed(tap, chunk({"content": "so far"}), rest) == chunk({"content": "so far"})
    assert tap.failure is FailureKind.RESET


def test_an_event_without_an_end_is_bounded() -> None:
    """Over 8 MiB without a line end nothing more is kept."""
    tap = CHAT.stream_tap(ASKED)
    piece = b"x" * (1 << 20)
    assert tap.feed(chunk({"content": "x"}))
    assert tap.feed(b"data: ") == b""
    for _ in range(9):
        tap.feed(piece)
    assert tap.failure is FailureKind.TOO_LARGE


def test_insane_usage_counts_as_nothing() -> None:
    """Negative and mistyped counts become 0, absurd ones the most there is, each by itself."""
    tap = CHAT.stream_tap(ASKED)
    tap.feed(usage_chunk({"prompt_tokens": -5, "completion_tokens": 10**30, "total_tokens": "x"}))
    assert tap.usage == Usage(output=MOST_TOKENS)
    tap.feed(usage_chunk({"prompt_tokens": 7, "completion_tokens": None}))
    assert tap.usage == Usage(input=7)


def test_output_is_estimated_from_what_passed() -> None:
    """Text, reasoning and arguments count; beyond what is kept, in proportion."""
    tap = CHAT.stream_tap(ASKED)
    tap.feed(chunk({"content": "12345"}))
    tap.feed(chunk({"reasoning_content": "123"}))
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    tap.feed(chunk({"tool_calls": [call]}))
    assert tap.output_characters == 10
    tap = CHAT.stream_tap(ASKED)
    for _ in range(5000):
        tap.feed(chunk({"content": "0123456789"}))
    assert 49_000 < tap.output_characters < 51_000
    assert isinstance(tap, StreamTap)
    assert sum(map(len, tap._passed)) < 300_000


def whole(**fields: object) -> bytes:
    """The body of an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    return json.dumps({"id": "c1", "choices": [choice], "usage": USAGE, **fields}).encode()


def test_a_whole_answer_passes_as_the_same_object() -> None:
    """Usage, finish reason and length are read on the way."""
    tap = CHAT.whole_tap()
    body = whole()
    assert tap.feed(body) is body
    assert tap.end() == b""
    assert (tap.finished, tap.usage, tap.finish_reason, tap.output_characters) == (True, FINISHED, "stop", 5)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.PROTOCOL),
        (b"<html>", FailureKind.PROTOCOL),
        (b"[]", FailureKind.PROTOCOL),
        (b"{}", FailureKind.PROTOCOL),
        (b'{"choices":[]}', FailureKind.PROTOCOL),
        (b'{"choices":' + b"[" * 100_000, FailureKind.PROTOCOL),
        (b'{"error":{"message":"no","code":"rate_limit_exceeded"}}', FailureKind.THROTTLED),
        (b'{"error":"no"}', FailureKind.SERVER),
    ],
)
def test_what_is_no_answer_does_not_pass(body: bytes, kind: FailureKind) -> None:
    """Pages, empty objects and errors in a 200 are failures."""
    tap = CHAT.whole_tap()
    assert tap.feed(body) == b""
    assert tap.failure is kind


def test_embeddings_must_have_data() -> None:
    """An embeddings answer is told by its data, not by choices."""
    tap = EMBEDDINGS.whole_tap()
    body = b'{"object":"list","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}'
    assert tap.feed(body) is body
    assert tap.usage == Usage(input=3)
    tap = EMBEDDINGS.whole_tap()
    assert tap.feed(whole()) == b""
    assert tap.failure is FailureKind.PROTOCOL


def test_a_stream_may_break_off_after_any_byte() -> None:
    """What passed is always whole events of the original, and the end is told: finished, or a failure."""
    complete = STREAM.index(b'"finish_reason":"stop"')
    for length in range(len(STREAM)):
        tap = CHAT.stream_tap(ASKED)
        out = passed(tap, STREAM[:length])
        assert tap.finished != (tap.failure is not None)
        assert tap.finished == (length > complete and b'"finish_reason":"stop"' in out)
        assert STREAM.startswith(out.removesuffix(DONE))
        assert out == b"" or out.endswith(b"\n\n")
