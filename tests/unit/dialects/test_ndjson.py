"""Lines come out whole, however they were cut, and none is held beyond its bound."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.dialects.ndjson import LineDecoder, LineHold, LineTooLong, on_one_line
from tests.unit.dialects.conversations import cut, cuts


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=6), cuts)
def test_cutting_makes_no_difference(lines: list[bytes], marks: list[int]) -> None:
    """The lines of the pieces are the lines of the whole, without blank ones."""
    data = b"\n".join(lines)
    decoder = LineDecoder()
    found = [line for piece in cut(data, marks) for line in decoder.feed(piece)] + decoder.end()
    assert found == [line.strip() for line in lines if line.strip()]


@given(st.binary(max_size=60), cuts)
def test_holding_back_loses_nothing(data: bytes, marks: list[int]) -> None:
    """What was taken ends with a line end, and with the rest it is all there was."""
    hold = LineHold()
    taken = [hold.take(piece) for piece in cut(data, marks)]
    assert all(piece.endswith(b"\n") for piece in taken if piece)
    assert b"".join(taken) + hold.rest() == data


def test_whole_lines_are_not_copied() -> None:
    """The same object comes back while nothing is held."""
    data = b'{"done":false}\n'
    assert LineHold().take(data) is data


def test_a_line_over_the_bound_is_refused() -> None:
    """The bound counts the incomplete line only."""
    hold = LineHold(most_bytes=4)
    assert hold.take(b"a long line\nabcd") == b"a long line\n"
    with pytest.raises(LineTooLong):
        hold.take(b"e")


@given(st.text())
def test_nothing_in_a_line_looks_like_its_end(text: str) -> None:
    """Clients that split with `str.splitlines` see one line, and the same text in it."""
    line = on_one_line(msgspec.json.encode(text))
    assert line.decode().splitlines() == [line.decode()]
    assert msgspec.json.decode(line) == text
