"""The SSE decoder reads what the standard allows, however it is split, and holds no more than its bound."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.dialects.sse import EventTooLarge, ServerSentEvent, SseDecoder


def decode(*chunks: bytes, most_bytes: int = 1000) -> list[tuple[str, bytes]]:
    """The whole stream's events as plain pairs."""
    decoder = SseDecoder(most_bytes)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [(event.name, event.data) for event in events + decoder.end()]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", [("", b"one"), ("", b"two")]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [("", b"one"), ("", b"two")]),
        (b"data: one\r\rdata: two\r\r", [("", b"one"), ("", b"two")]),
        (b"\xef\xbb\xbfdata: one\n\n", [("", b"one")]),
        (b"\xef\xbb\xbf\n\ndata: one\n\n", [("", b"one")]),
        (b": a comment\n\n:\n\ndata: one\n\n", [("", b"one")]),
        (b"data: one\ndata: two\n\n", [("", b"one\ntwo")]),
        (b"data:one\n\n", [("", b"one")]),
        (b"data:  one \n\n", [("", b" one ")]),
        (b"data\n\n", [("", b"")]),
        (b"event: ping\ndata: {}\n\ndata: {}\n\n", [("ping", b"{}"), ("", b"{}")]),
        (b"event: ping\n\ndata: {}\n\n", [("", b"{}")]),
        (b"id: 7\nretry: 10\nnonsense: 1\ndata: one\n\n", [("", b"one")]),
        (b"data: a: b\n\n", [("", b"a: b")]),
        (b"data: [DONE]", [("", b"[DONE]")]),
        (b"data: [DONE]\n", [("", b"[DONE]")]),
        (b"", []),
    ],
)
def test_reads_each_form_of_the_standard(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    """Each form that the standard allows is read."""
    assert decode(stream) == expected


@given(
    stream=st.lists(
        st.sampled_from(
            [
                b"data: a",
                b"data: \xc3\xa4",
                b"event: e",
                b"\n",
                b"\n\n",
                b"\r",
                b"\r\n",
                b":x",
                b"\xef\xbb\xbf",
                b"d",
                b"",
            ]
        ),
        max_size=20,
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 80), max_size=10),
)
def test_the_split_makes_no_difference(stream: bytes, cuts: list[int]) -> None:
    """How the bytes are split makes no difference."""
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[low:high] for low, high in pairwise(edges)]
    assert decode(*chunks) == decode(stream) == decode(*(stream[at : at + 1] for at in range(len(stream))))


def test_an_event_comes_as_soon_as_its_blank_line_even_when_that_is_a_bare_cr() -> None:
    """An event comes as soon as its blank line does, even when that is a bare CR."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: one\r\n\r") == [ServerSentEvent("", b"one")]
    assert decoder.feed(b"\ndata: two\n\n") == [ServerSentEvent("", b"two")]


def test_a_line_without_an_end_is_bounded() -> None:
    """A line without an end is refused at the bound."""
    decoder = SseDecoder(100)
    decoder.feed(b"data: " + b"x" * 90)
    with pytest.raises(EventTooLarge):
        decoder.feed(b"x" * 10)


def test_an_event_of_many_lines_is_bounded() -> None:
    """An event of many lines is refused at the bound."""
    decoder = SseDecoder(100)
    for _ in range(9):
        decoder.feed(b"data: 0123456789\n")
    with pytest.raises(EventTooLarge):
        decoder.feed(b"data: 0123456789ab\n")


def test_many_events_are_not_one_large_one() -> None:
    """The bound is for one event, not for the stream."""
    assert len(decode(b"data: 0123456789\n\n" * 100, most_bytes=20)) == 100
