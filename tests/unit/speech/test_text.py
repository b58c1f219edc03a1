"""What is left of a text before it is spoken."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import InvalidField
from junto.speech.text import clean, has_words


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Hello\x00 wor\x07ld", "Hello world"),
        ("  a \t  b  ", "a b"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("one \n\n\n\n two", "one\n\ntwo"),
        ("\u202eevil\u202c", "evil"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("lone \ud800 half", "lone half"),
        ("cafe\u0301", "caf\u00e9"),
        ("no\u00a0break", "no break"),
        ("**bold** and `code` and [link](https://a.b)", "**bold** and `code` and [link](https://a.b)"),
        ("\x1b[31mred", "[31mred"),
    ],
)
def test_what_has_no_sound_goes_and_all_else_stays(written: str, spoken: str) -> None:
    assert clean(written) == spoken


@pytest.mark.parametrize("nothing", ["", "   ", "\n\t\r\n", "\x00\x01", "\u200b\u200e\ufeff", "\ud800"])
def test_a_text_with_nothing_to_say_is_refused_by_the_name_of_its_field(nothing: str) -> None:
    with pytest.raises(InvalidField) as refused:
        clean(nothing, param="input")
    assert (refused.value.status, refused.value.param) == (422, "input")


@given(st.text())
def test_a_cleaned_text_is_clean_and_has_every_letter_that_it_had(written: str) -> None:
    try:
        spoken = clean(written)
    except InvalidField:
        assert not has_words(unicodedata.normalize("NFC", written))
        return
    assert clean(spoken) == spoken
    assert spoken == spoken.strip()
    assert "\n\n\n" not in spoken
    assert "  " not in spoken
    spoken.encode()  # no half of a pair
    assert all(unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co", "Cn"} or each == "\n" for each in spoken)


def test_words_are_letters_and_digits_of_any_script() -> None:
    assert [has_words(text) for text in ("a", "7", "字", "...", "* * *", "")] == [True, True, True, False, False, False]


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f73", "\u0344\u0316", "\U0001d165\u0301"])
def test_marks_that_are_heaped_on_a_letter_take_no_time_that_grows_with_their_square(marks: str) -> None:
    """With the square, so many would take an hour, in which no other thread runs: this test would not end."""
    assert len(clean("a" + marks * 500_000 + "b")) < 100


def test_letters_keep_the_marks_that_languages_give_them() -> None:
    written = "Vie\u0302\u0323t Nam, \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd, \u0928\u092e\u0938\u094d\u0924\u0947"
    assert clean(written) == unicodedata.normalize("NFC", written)
