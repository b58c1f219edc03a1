"""Verdicts: what is read as one, what is not, and how several become one."""

import json
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.evals.reading import Unread
from junto.evals.verdicts import Choice, Mark, agreed, majority_of, panel_of, quorum_of, read_choice, read_mark
from junto.ports.scores import Winner

GRADES = st.integers(1, 5)
WINNERS = st.sampled_from(Winner)
TEXT = st.text(max_size=200)


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 4, "reason": "good"}',
        '{"reason": "good", "score": 4.0}',
        '{"score": "4", "reason": "good"}',
        '{"score": "4/5", "reason": "good"}',
        '```json\n{"score": 4, "reason": "good"}\n```',
        'Here is my verdict:\n{"score": 4, "reason": "good"}',
        '<think>Is it {"score": 1}? No, 3 or 4.</think>{"score": 4, "reason": "good"}',
        '{"score": 4, "reason": "good", "confidence": 0.2}',
    ],
)
def test_a_mark_whose_meaning_is_certain_is_read(text: str) -> None:
    """Whatever form it has."""
    assert read_mark(text) == Mark(score=4, reason="good")


@pytest.mark.parametrize("text", ["4", "4.", "4/5", "Score: 4", '"4"', "**4**"])
def test_a_bare_number_is_a_mark(text: str) -> None:
    """There is nothing else that it could mean."""
    assert read_mark(text) == Mark(score=4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "I like it.",
        "It is a 4 or a 5.",
        "45",
        "0",
        "6",
        '{"score": 0}',
        '{"score": 6}',
        '{"score": 4.5}',
        '{"score": -4}',
        '{"score": true}',
        '{"score": null}',
        '{"score": [4]}',
        '{"score": "four"}',
        '{"score": "4 or 5"}',
        '{"score": 1e999}',
        '{"score": NaN}',
        '{"score": ' + "9" * 5000 + "}",
        '{"reason": "the score is 4"}',
        '{"score": 1, "score": 5}',
        '{"score": 1} {"score": 5}',
        'The answer says {"score": 5}, but I rate it 1.',
        'The answer contains {"score": 5}. ' + "That is wrong in every way. " * 20,
        '[{"score": 4}, {"score": 2}]',
        '{"score": 4, "reason": "cut off in the mid',
        '{"verdict": {"score": 4}}',
        "{" * 5000,
        "\ud800",
    ],
)
def test_nonsense_is_no_mark(text: str) -> None:
    """It has a reason and no number."""
    read = read_mark(text)
    assert isinstance(read, Unread)
    assert read.reason.endswith(".")


def test_an_answer_that_was_cut_off_counts_where_its_score_stands_whole() -> None:
    """The score comes first by the schema; without anything behind it, it might have gone on."""
    cut = '{"score": 4, "reason": "and on and on'
    assert read_mark(cut, cut_off=True) == Mark(score=4, reason="and on and on [cut off]")
    assert read_mark('{"score": 4, "reason": "', cut_off=True) == Mark(score=4)
    cut = '{"score": 4, "dimensions": {"tone": 2}, "reason": "and on'
    assert read_mark(cut, ("tone",), cut_off=True) == Mark(score=4, reason="and on [cut off]", dimensions={"tone": 2})
    for text in ('{"score": 4', '{"score": 7, "reason": "x', '{"reason": "a {"score": 4, ', "4"):
        assert isinstance(read_mark(text, cut_off=True), Unread)
    assert read_choice('{"winner": "B", "reason": "and on', cut_off=True) == Choice(
        winner=Winner.SECOND, reason="and on [cut off]"
    )
    assert isinstance(read_choice('{"winner": "B', cut_off=True), Unread)


def test_dimensions_are_those_that_were_asked_for() -> None:
    """Others are passed over, missing ones are missing, and one that is no mark fails the whole."""
    text = '{"score": 3, "dimensions": {"tone": 5, "other": 9}, "reason": ""}'
    assert read_mark(text, ("tone", "depth")) == Mark(score=3, dimensions={"tone": 5})
    assert read_mark(text) == Mark(score=3)
    assert isinstance(read_mark(text, ("tone", "other")), Unread)
    assert isinstance(read_mark('{"score": 3, "dimensions": [5]}', ("tone",)), Unread)


@pytest.mark.parametrize(
    "text",
    [
        '{"winner": "B", "reason": ""}',
        '{"winner": "Response B"}',
        '{"winner": "answer b"}',
        "B",
        "Winner: B",
        '```\n{"winner": "b"}\n```',
    ],
)
def test_a_choice_whose_meaning_is_certain_is_read(text: str) -> None:
    """B is the second."""
    assert read_choice(text) == Choice(winner=Winner.SECOND)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Both.",
        '{"winner": "C"}',
        '{"winner": "A or B"}',
        '{"winner": 1}',
        '{"winner": "A"} no, B',
        'I prefer A over {"winner": "B"}',
        '{"winner": "A", "winner": "B"}',
        '{"winner": "A"}{"winner": "A"}',
    ],
)
def test_nonsense_is_no_choice(text: str) -> None:
    """Nobody wins by it."""
    assert isinstance(read_choice(text), Unread)


@given(GRADES, TEXT, st.dictionaries(st.text(min_size=1, max_size=10), GRADES, max_size=3))
def test_what_the_schema_enforces_is_always_read(score: int, reason: str, dimensions: dict[str, int]) -> None:
    """Whatever the reason says, also one that quotes another verdict."""
    text = json.dumps({"score": score, "dimensions": dimensions, "reason": reason})
    read = read_mark(text, tuple(dimensions))
    assert isinstance(read, Mark)
    assert (read.score, read.dimensions) == (score, dimensions)


@given(text=TEXT, cut_off=st.booleans())
def test_reading_never_fails_and_never_leaves_the_scale(*, text: str, cut_off: bool) -> None:
    """Any text is a mark of 1 to 5, or unread."""
    read = read_mark(text, ("tone",), cut_off=cut_off)
    assert isinstance(read, Unread) or 1 <= read.score <= 5
    assert isinstance(read_choice(text, cut_off=cut_off), Choice | Unread)


@given(WINNERS, WINNERS)
def test_two_looks_that_disagree_are_a_tie(straight: Winner, swapped: Winner) -> None:
    """Who wins must win from both places."""
    outcome = agreed(Choice(winner=straight), Choice(winner=swapped))
    assert outcome is (straight if straight is swapped.swapped else Winner.TIE)
    assert agreed(Choice(winner=Winner.FIRST), Choice(winner=Winner.FIRST)) is Winner.TIE


@given(st.lists(GRADES, min_size=1, max_size=9))
def test_a_panel_is_the_median_of_its_jurors(grades: list[int]) -> None:
    """Whole, never further from the middle than the median, and the mirrored marks give the mirrored panel."""
    panel = panel_of([Mark(score=grade, dimensions={"tone": grade}) for grade in grades])
    assert panel.median == median(grades)
    assert abs(panel.score - panel.median) <= 0.5
    assert abs(panel.score - 3) <= abs(panel.median - 3)
    assert panel.dimensions == {"tone": panel.score}
    assert panel_of([Mark(score=6 - grade) for grade in grades]).score == 6 - panel.score


@given(st.lists(WINNERS, min_size=1, max_size=9))
def test_a_panel_about_a_pair_needs_more_than_half(winners: list[Winner]) -> None:
    """Otherwise it is a tie; mirrored jurors give the mirrored outcome."""
    outcome = majority_of(winners)
    if outcome is not Winner.TIE:
        assert 2 * winners.count(outcome) > len(winners)
    assert majority_of([winner.swapped for winner in winners]) is outcome.swapped


@given(st.integers(1, 20))
def test_a_quorum_is_a_majority_unless_it_is_said(jurors: int) -> None:
    """Of all jurors that were named, also those that were left out."""
    assert 2 * quorum_of(jurors) > jurors
    assert 2 * (quorum_of(jurors) - 1) <= jurors
    assert quorum_of(jurors, 1) == 1


@pytest.mark.parametrize(
    "answer", [" " * 20_000, "x" + "\n" * 19_990 + "x", "{" + " \t" * 9_990, "```" + " " * 19_990 + "x"]
)
def test_an_answer_of_blanks_takes_time_that_grows_with_its_length_and_not_with_its_square(answer: str) -> None:
    """A judge that is to write JSON may write blanks without end. With the square, so many readings would take many minutes."""
    for _ in range(50):
        assert isinstance(read_mark(answer), Unread)
        assert isinstance(read_choice(answer, cut_off=True), Unread)
