"""What may be ordered, and what its files are called."""

from __future__ import annotations

import pytest

from junto.core.errors import BodyTooLarge, InvalidField
from junto.speech.encoding import AudioFormat
from junto.speech.order import (
    FILE_FORMATS,
    MOST_CHAPTERS,
    Chapter,
    Order,
    check_speed,
    decode_order,
    in_chapters,
    one_text,
    parse_format,
)


def test_an_order_is_read_as_it_was_stored() -> None:
    order = Order(voice="low", format=AudioFormat.WAV, chapters=(Chapter(title="I", text="One."),), in_chapters=True)
    assert decode_order(order.encode()) == order


def test_a_text_in_one_piece_is_one_file_with_the_jobs_name() -> None:
    order = Order(voice="low", format=AudioFormat.MP3, chapters=one_text("Hello.", most=10))
    assert order.urls("job_1") == ["/output/job_1.mp3"]
    assert (list(order.numbers), order.characters) == ([0], 6)


def test_chapters_are_files_with_numbers_from_one() -> None:
    chapters = in_chapters([("A", "One."), ("", "Two.")], most=10)
    order = Order(voice="low", format=AudioFormat.WAV, chapters=chapters, in_chapters=True)
    assert order.urls("job_1") == ["/output/job_1-001.wav", "/output/job_1-002.wav"]
    assert order.characters == 8


@pytest.mark.parametrize("text", ["", "   ", "\n\t\n", "\x00\x01", "\u200b"])
def test_a_text_with_nothing_to_say_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        one_text(text, most=10)
    assert (refused.value.status, refused.value.param) == (422, "text")
    with pytest.raises(InvalidField) as refused:
        in_chapters([("", "One."), ("", text)], most=10)
    assert refused.value.param == "chapters.1.text"


def test_a_text_that_is_too_long_is_413_and_one_that_is_just_not_is_taken() -> None:
    assert one_text("x" * 10, most=10)
    with pytest.raises(BodyTooLarge) as refused:
        one_text("x" * 11, most=10)
    assert (refused.value.status, refused.value.param) == (413, "text")
    with pytest.raises(BodyTooLarge):
        in_chapters([("", "x" * 11)], most=10)


def test_there_are_not_endless_chapters_and_not_none() -> None:
    assert len(in_chapters([("", "a")] * MOST_CHAPTERS, most=10)) == MOST_CHAPTERS
    with pytest.raises(BodyTooLarge, match="500"):
        in_chapters([("", "a")] * (MOST_CHAPTERS + 1), most=10)
    with pytest.raises(InvalidField):
        in_chapters([], most=10)


def test_control_characters_are_gone_from_what_is_said() -> None:
    assert one_text("Hel\x07lo\x00.", most=100)[0].text == "Hello."


@pytest.mark.parametrize("speed", [0.2, 4.1, -1.0, float("nan"), float("inf")])
def test_a_speed_beyond_its_bounds_is_refused(speed: float) -> None:
    with pytest.raises(InvalidField):
        check_speed(speed)
    assert [check_speed(fine) for fine in (0.25, 1.0, 4.0)] == [0.25, 1.0, 4.0]


def test_a_format_that_no_file_has_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidField, match="mp3, wav"):
        parse_format("opus", FILE_FORMATS, param="format")
    assert parse_format("wav", FILE_FORMATS, param="format") is AudioFormat.WAV
