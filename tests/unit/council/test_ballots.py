"""Ballots: how one is read, and how many become a ranking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.council.ballots import ballot_schema, ranking, read_ballot
from junto.council.deliberation import Ballot

LABELS = ("A", "B", "C")


@pytest.mark.parametrize(
    "text",
    [
        '{"ranking": ["B", "C", "A"], "why": "because"}',
        '```json\n{"ranking": ["B", "C", "A"], "why": "because"}\n```',
        'My ballot: {"why": "because", "ranking": ["Response B", "response c", "A."]}',
        '{"ranking": ["B", "C"], "why": "because"}',
        '{"ranking": ["B", "B", "C", "A"], "why": "because"}',
        '{"ranking": ["B", "Zoe", "C", 7, null], "why": "because"}',
        '{"ranking": ["B", "C", "A"], "why": "cut off in the mid',
        "B > C > A",
        "Final ranking: B, C, A",
        "1. Response B\n2. Response C\n3. Response A",
        "- **B**\n- **C**\n- **A**\n",
        "b; c; a",
    ],
)
def test_a_ballot_whose_meaning_is_certain_is_read(text: str) -> None:
    """Whatever stands around it."""
    reading = read_ballot(text, LABELS)
    assert reading is not None
    assert reading.order == ("B", "C", "A")
    assert reading.why in {"because", ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I like them all.",
        "A good question, but I would rather not.",
        "B",
        "B > C",
        '{"ranking": ["B"], "why": "only one"}',
        '{"ranking": [], "why": "none"}',
        '{"ranking": "B"}',
        '{"ranking": ["X", "Y", "Z"]}',
        '{"ranking": {"A": 1}}',
        "B > C > A > D",
        "B is better than C, and C than A",
        '{"ranking": [' + "[" * 5000,
        "\ud800" * 10,
    ],
)
def test_nonsense_is_no_ballot(text: str) -> None:
    """No order is read into it."""
    assert read_ballot(text, LABELS) is None


@given(text=st.text(max_size=300))
def test_any_text_is_a_whole_order_or_none(text: str) -> None:
    """Reading never raises, and never leaves a label out."""
    reading = read_ballot(text, LABELS)
    assert reading is None or sorted(reading.order) == list(LABELS)


def test_blanks_without_end_between_two_labels_are_read_at_once() -> None:
    """A model that says nothing else must not hold up everybody: read as a separator they took seconds, each time."""
    for _ in range(100):
        assert read_ballot(f"A{' ' * 19_990}B", LABELS) is None
    assert read_ballot("B  >\n  C ;\t A", LABELS) is not None


def test_a_ballot_over_two_responses_has_both() -> None:
    """One of two left out is the other's place; nothing at all is nonsense."""
    reading = read_ballot('{"ranking": ["B"]}', ("A", "B"))
    assert reading is not None
    assert reading.order == ("B", "A")
    assert read_ballot('{"ranking": []}', ("A", "B")) is None


def test_the_schema_takes_each_label_and_nothing_else() -> None:
    """And has the order first, so that a ballot that is cut off still has it."""
    schema = ballot_schema(LABELS)
    assert list(schema["properties"]) == ["ranking", "why"]
    assert schema["properties"]["ranking"]["items"] == {"type": "string", "enum": ["A", "B", "C"]}
    assert schema["additionalProperties"] is False


# Many ballots

MEMBERS = ("Ada", "Ben", "Cleo", "Dan")
BALLOTS = st.lists(
    st.builds(
        lambda reviewer, order: Ballot(reviewer=reviewer, order=tuple(order)),
        st.sampled_from(MEMBERS),
        st.permutations(MEMBERS),
    ),
    max_size=8,
    unique_by=lambda ballot: ballot.reviewer,
)


@given(ballots=BALLOTS, data=st.data())
def test_the_order_of_the_ballots_makes_no_difference(ballots: list[Ballot], data: st.DataObject) -> None:
    """Nobody gains by voting first."""
    assert ranking(MEMBERS, data.draw(st.permutations(ballots))) == ranking(MEMBERS, ballots)


@given(ballots=BALLOTS, members=st.permutations(MEMBERS))
def test_the_order_of_the_members_decides_nothing_but_ties(ballots: list[Ballot], members: list[str]) -> None:
    """Each has the same score wherever it stands."""
    scores = {one.member: (one.score, one.ballots) for one in ranking(MEMBERS, ballots)}
    assert {one.member: (one.score, one.ballots) for one in ranking(members, ballots)} == scores


@given(ballots=BALLOTS, place=st.integers(0, 3))
def test_what_a_reviewer_says_of_itself_makes_no_difference(ballots: list[Ballot], place: int) -> None:
    """It may put itself anywhere."""
    moved = []
    for ballot in ballots:
        order = [name for name in ballot.order if name != ballot.reviewer]
        order.insert(place, ballot.reviewer)
        moved.append(Ballot(reviewer=ballot.reviewer, order=tuple(order)))
    assert ranking(MEMBERS, moved) == ranking(MEMBERS, ballots)


@given(ballots=BALLOTS.filter(lambda ballots: len(ballots) > 2), winner=st.sampled_from(MEMBERS))
def test_whom_all_others_put_first_wins(ballots: list[Ballot], winner: str) -> None:
    """Alone, with the highest score there is."""
    agreed = [
        Ballot(reviewer=one.reviewer, order=(winner, *(name for name in one.order if name != winner)))
        for one in ballots
    ]
    first, second, *_ = ranking(MEMBERS, agreed)
    assert (first.member, first.score) == (winner, 1.0)
    assert second.score is None or second.score < 1.0


@given(ballots=BALLOTS)
def test_everybody_has_a_place(ballots: list[Ballot]) -> None:
    """Also whom nobody ranked: last, without a score."""
    table = ranking(MEMBERS, ballots)
    assert sorted(one.member for one in table) == sorted(MEMBERS)
    scores = [one.score for one in table if one.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert all((one.score is None) == (one.ballots == 0) for one in table)
    assert [one.score is None for one in table] == sorted(one.score is None for one in table)


def test_a_missing_ballot_favours_nobody() -> None:
    """Ada has one ballot fewer than Ben, as Ben's reviewer is away, and the same share of it."""
    ballots = [Ballot(reviewer="Cleo", order=("Ada", "Ben", "Cleo"))]
    assert [(one.member, one.score, one.ballots) for one in ranking(("Ben", "Ada", "Cleo"), ballots)] == [
        ("Ada", 1.0, 1),
        ("Ben", 0.0, 1),
        ("Cleo", None, 0),
    ]


def test_ties_stay_as_they_stand() -> None:
    """In the order of the template."""
    ballots = [Ballot(reviewer="Ada", order=("Ada", "Ben")), Ballot(reviewer="Ben", order=("Ben", "Ada"))]
    assert [one.member for one in ranking(("Ben", "Ada"), ballots)] == ["Ben", "Ada"]
    assert {one.score for one in ranking(("Ben", "Ada"), ballots)} == {0.5}
