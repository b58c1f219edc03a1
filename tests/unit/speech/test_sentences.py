"""Where a text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.speech.sentences import FIRST, LONGEST, split


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met Mrs. Jones at St. Paul's.", ["Dr. Smith met Mrs. Jones at St. Paul's."]),
        ("It cost $3.50, i.e. little. Version 1.2.3 is out.", ["It cost $3.50, i.e. little.", "Version 1.2.3 is out."]),
        ("See https://a.b/c?d=e.f! It is there.", ["See https://a.b/c?d=e.f!", "It is there."]),
        ("Well... maybe. Well... Maybe… No.", ["Well... maybe.", "Well...", "Maybe…", "No."]),
        (
            "J. K. Rowling wrote. It was I. Then No. 5 came on Jan. 5.",
            ["J. K. Rowling wrote.", "It was I.", "Then No. 5 came on Jan. 5."],
        ),
        (
            "We meet at 3 p.m. on Monday. He sat. She said no. Good.",
            ["We meet at 3 p.m. on Monday.", "He sat.", "She said no.", "Good."],
        ),
        ('"Really?" she said. (Yes!) "No."', ['"Really?" she said.', "(Yes!)", '"No."']),
        ("你好。世界！很好吗？是的", ["你好。", "世界！", "很好吗？", "是的"]),  # noqa: RUF001  the marks of that script
        ("Title\n\nText that goes\non here.\n- one\n- two", ["Title", "Text that goes on here.", "- one", "- two"]),
        ("1. First. 2. Second.", ["1. First.", "2. Second."]),
        ("Chapter One\nIt began.", ["Chapter One", "It began."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_at_its_sentences(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


def test_a_long_first_sentence_begins_with_a_clause_so_that_its_sound_begins_soon() -> None:
    clause = "it went on and on, " * 12
    first, *_ = split(f"First of all, {clause}until the end.")
    assert len(first) <= FIRST
    assert first.endswith(",")


def test_a_long_sentence_is_cut_at_clauses_then_words_then_anywhere() -> None:
    assert all(piece.endswith(("word,", "end.")) for piece in split("word word word, " * 60 + "end."))
    assert {piece.replace("word", "").strip() for piece in split("word " * 200)} == {""}
    assert [len(piece) for piece in split("x" * 700)] == [LONGEST, LONGEST, 700 - 2 * LONGEST]


_WRITTEN = st.text(st.sampled_from("aB1 .,!?…\n\"'()-:;。、字é"), max_size=400)


@given(st.one_of(st.text(max_size=400), _WRITTEN), st.integers(1, 60), st.integers(1, 60))
def test_nothing_is_lost_but_blanks_and_no_piece_is_too_long(text: str, longest: int, first: int) -> None:
    pieces = split(text, longest=longest, first=first)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert all(piece == piece.strip() and "\n" not in piece for piece in pieces)


@pytest.mark.parametrize("row", [".", ".!", '."', "…", "1", ",", "a.", ". "])
def test_a_text_of_marks_takes_time_that_grows_with_its_length_and_not_with_its_square(row: str) -> None:
    """With the square, half a million characters would take hours: this test would not end."""
    text = "a" + row * (500_000 // len(row))
    assert len("".join(split(text))) == len(text.replace(" ", ""))


def test_digits_and_signs_are_cut_shorter_since_they_take_longer_to_say() -> None:
    assert max(map(len, split("9" * 300))) <= LONGEST // 3
    assert max(map(len, split("½" * 300))) <= LONGEST // 3
    assert max(map(len, split("$9,999,999.99 " * 20))) < LONGEST // 1.5
    usual = "In 1984 we paid $12.50 for 3 of the 25 books that were left, and they lasted us for a whole winter of long evenings."
    assert split(usual) == [usual]
