"""How a council goes: every rule of who speaks, what a failure means and how it ends."""

import pytest

from junto.core.chat import Format, Image, Message, Role, Text, ToolResult
from junto.core.errors import (
    AllBackendsDown,
    BodyTooLarge,
    DeadlinePassed,
    Forbidden,
    JuntoError,
    Misconfigured,
    NotServable,
    UnknownModel,
)
from junto.council.deliberation import Conclude, Deliberate, Kind, Missed, Rank, Said, Synthesise
from junto.council.stages import (
    LARGEST_PICTURES,
    LONGEST_QUESTION,
    after,
    begin,
    chair_candidates,
    next_stage,
    standings,
)
from tests.unit.council.sittings import DOWN, LATE, QUESTION, council, sit, words

THREE = council("Ada", "Ben", "Cleo")
FIVE = council("Ada", "Ben", "Cleo", "Dan", "Eve")
RANKED = council("Ada", "Ben", "Cleo", ranking={})


def test_all_members_speak_at_once_and_the_chair_writes_the_answer() -> None:
    """One round, nobody missing."""
    sitting = sit(THREE)
    assert sitting.keys == ["round 1/Ada", "round 1/Ben", "round 1/Cleo", "synthesis/1"]
    assert (sitting.end.kind, sitting.end.answer, sitting.end.note) == (Kind.SYNTHESIS, "The synthesis.", "")
    assert not sitting.state.is_degraded


def test_each_round_is_one_stage() -> None:
    """And so are the ballots and the synthesis."""
    stages = sit(council("Ada", "Ben", rounds=3, ranking={})).stages
    assert [type(stage) for stage in stages] == [Deliberate, Deliberate, Deliberate, Rank, Synthesise, Conclude]


@pytest.mark.parametrize("member", ["Ada", "Ben", "Cleo"])
def test_a_member_missing_in_round_one_is_named_and_not_asked_again(member: str) -> None:
    """The others go on."""
    template = council("Ada", "Ben", "Cleo", rounds=2)
    sitting = sit(template, {f"round 1/{member}": DOWN})
    assert f"round 2/{member}" not in sitting.keys
    assert sitting.end.kind is Kind.SYNTHESIS
    assert sitting.state.is_degraded
    assert sitting.end.note == f"Missing: {member} (round 1): its server is down."


def test_a_member_missing_in_round_two_keeps_what_it_said() -> None:
    """Its first opinion reaches the chair, and it is named."""
    sitting = sit(council("Ada", "Ben", rounds=2), {"round 1/Ben": "Ben's first words", "round 2/Ben": LATE})
    assert sitting.end.kind is Kind.SYNTHESIS
    assert "Ben's first words" in words(sitting.call("synthesis/1"))
    assert sitting.state.missing == ("Ben (round 2): it took too long",)


def test_a_round_that_everybody_misses_after_the_first_ends_the_deliberation() -> None:
    """What was said before is put together."""
    template = council("Ada", "Ben", rounds=3)
    sitting = sit(template, {"round 2/Ada": DOWN, "round 2/Ben": DOWN})
    assert sitting.keys[-1] == "synthesis/1"
    assert not [key for key in sitting.keys if key.startswith("round 3")]


def test_when_all_fail_there_is_a_failure_with_every_reason() -> None:
    """And no answer."""
    sitting = sit(THREE, {f"round 1/{name}": DOWN for name in ("Ada", "Ben", "Cleo")})
    assert (sitting.end.kind, sitting.end.answer) == (Kind.FAILED, "")
    assert isinstance(sitting.end.failure, AllBackendsDown)
    assert sitting.end.failure.reasons == tuple(
        f"{name} (round 1): its server is down" for name in ("Ada", "Ben", "Cleo")
    )


def test_when_all_are_late_the_failure_is_the_deadline() -> None:
    """504, not 503."""
    sitting = sit(THREE, {f"round 1/{name}": LATE for name in ("Ada", "Ben", "Cleo")})
    assert isinstance(sitting.end.failure, DeadlinePassed)


def test_one_survivor_is_the_answer_without_a_synthesis() -> None:
    """Flagged, word for word, and no chair is asked."""
    sitting = sit(THREE, {"round 1/Ada": DOWN, "round 1/Cleo": LATE, "round 1/Ben": " Ben's words\n"})
    assert (sitting.end.kind, sitting.end.answer) == (Kind.SINGLE, " Ben's words\n")
    assert "synthesis/1" not in sitting.keys
    assert sitting.state.is_degraded
    assert sitting.end.note.startswith("1 of 3 members were heard, 2 are needed. This is the answer of Ben alone.")


def test_one_survivor_with_a_quorum_of_one_is_not_dressed_up_either() -> None:
    """There is nothing to be put together, and no second round with oneself."""
    template = council("Ada", "Ben", quorum=1, rounds=2)
    sitting = sit(template, {"round 1/Ada": DOWN})
    assert sitting.end.kind is Kind.SINGLE
    assert sitting.keys == ["round 1/Ada", "round 1/Ben"]


def test_below_the_quorum_several_opinions_stand_side_by_side() -> None:
    """Under their names, nobody puts them together."""
    script = {f"round 1/{name}": DOWN for name in ("Cleo", "Dan", "Eve")}
    sitting = sit(FIVE, {**script, "round 1/Ada": "Yes.", "round 1/Ben": "No."})
    assert (sitting.end.kind, sitting.end.answer) == (Kind.SIDE_BY_SIDE, "## Ada\n\nYes.\n\n## Ben\n\nNo.")
    assert sitting.end.note.startswith("2 of 5 members were heard, 3 are needed.")


@pytest.mark.parametrize("survivors", [1, 2])
def test_a_template_may_rather_fail_below_the_quorum(survivors: int) -> None:
    """`below_quorum: fail`."""
    template = council("Ada", "Ben", "Cleo", "Dan", "Eve", below_quorum="fail")
    names = ["Ada", "Ben", "Cleo", "Dan", "Eve"][survivors:]
    sitting = sit(template, {f"round 1/{name}": DOWN for name in names})
    assert sitting.end.kind is Kind.FAILED
    assert sitting.end.failure is not None
    assert len(sitting.end.failure.reasons) == 5 - survivors


def test_a_council_of_one_answers_after_all_its_rounds() -> None:
    """It is not degraded: nobody is missing. It is no synthesis either."""
    sitting = sit(council("Ada", rounds=2), {"round 2/Ada": "Second thoughts."})
    assert sitting.keys == ["round 1/Ada", "round 2/Ada"]
    assert (sitting.end.kind, sitting.end.answer) == (Kind.SINGLE, "Second thoughts.")
    assert not sitting.state.is_degraded


def test_words_that_are_only_blanks_are_no_opinion() -> None:
    """An empty answer is a missing member."""
    sitting = sit(THREE, {"round 1/Ada": " \n "})
    assert sitting.state.missing == ("Ada (round 1): the answer was empty",)


def test_a_call_without_a_result_counts_as_missed() -> None:
    """Whatever happened to it."""
    state = after(begin(THREE, QUESTION, {}), {"round 1/Ada": Said(text="Yes."), "round 9/Zoe": Said(text="?")})
    assert [voice.member for voice in state.voices] == ["Ada"]
    assert {absence.reason for absence in state.absences} == {"no answer came"}


# Before any call


def test_who_is_left_out_is_never_asked_and_named() -> None:
    """The floor took one of three: two are a majority."""
    refusal = NotServable("Confidential content may not leave.", reasons=["cloud"])
    sitting = sit(THREE, left_out={"Ben": refusal})
    assert not [call for call in sitting.calls if call.speaker == "Ben"]
    assert sitting.state.missing == ("Ben was left out: Confidential content may not leave.",)
    assert sitting.state.is_degraded


@pytest.mark.parametrize(
    ("refusals", "kind"),
    [
        ({"Ada": NotServable("no"), "Ben": NotServable("no")}, NotServable),
        ({"Ada": NotServable("no"), "Ben": UnknownModel("no")}, NotServable),
        ({"Ada": Forbidden("no"), "Ben": AllBackendsDown("no")}, Forbidden),
        ({"Ada": UnknownModel("no"), "Ben": UnknownModel("no")}, Misconfigured),
        ({"Ada": UnknownModel("no"), "Ben": AllBackendsDown("no")}, AllBackendsDown),
        (
            {"Ada": AllBackendsDown("no", retry_after=9.0), "Ben": AllBackendsDown("no", retry_after=4.0)},
            AllBackendsDown,
        ),
    ],
)
def test_fewer_able_than_the_quorum_is_refused_before_any_call(
    refusals: dict[str, JuntoError], kind: type[JuntoError]
) -> None:
    """With every reason; what the floor forbids is said as what it is."""
    with pytest.raises(JuntoError) as caught:
        begin(THREE, QUESTION, refusals)
    assert type(caught.value) is kind
    assert caught.value.reasons == ("Ada: no", "Ben: no")
    assert caught.value.message == "The council test needs 2 of its 3 members, and 1 can be asked."


@pytest.mark.parametrize(
    "part",
    [
        Text("x" * (LONGEST_QUESTION + 1)),
        ToolResult("1", (Text("x" * (LONGEST_QUESTION + 1)),)),
        Image(data="x" * (LARGEST_PICTURES + 1), media_type="image/png"),
    ],
)
def test_a_question_that_is_too_long_is_refused(part: Text | ToolResult | Image) -> None:
    """413: every member would get a copy of it."""
    with pytest.raises(BodyTooLarge):
        begin(THREE, [Message(Role.USER, (part,))], {})


def test_a_refusal_tells_when_to_come_back() -> None:
    """As soon as the first of them may be able again."""
    refusals = {"Ada": AllBackendsDown("no", retry_after=9.0), "Ben": AllBackendsDown("no", retry_after=4.0)}
    with pytest.raises(AllBackendsDown) as caught:
        begin(THREE, QUESTION, refusals)
    assert caught.value.retry_after == 4.0


def test_a_single_able_member_with_a_quorum_of_one_answers_flagged() -> None:
    """The others were left out."""
    template = council("Ada", "Ben", quorum=1)
    sitting = sit(template, left_out={"Ada": NotServable("no")})
    assert sitting.end.kind is Kind.SINGLE
    assert sitting.state.is_degraded


# Ballots


def test_each_member_ranks_all_opinions_and_its_own_place_does_not_count() -> None:
    """Everybody puts itself first; among the others Ben is the best."""
    ballots = {"ballot/Ada": "A > B > C", "ballot/Ben": "B > C > A", "ballot/Cleo": "C > B > A"}
    sitting = sit(RANKED, ballots)
    assert [(one.member, one.score) for one in standings(sitting.state)] == [("Ben", 1.0), ("Cleo", 0.5), ("Ada", 0.0)]
    assert "best first: Ben, Cleo, Ada" in words(sitting.call("synthesis/1"))


def test_a_reviewer_that_fails_or_talks_nonsense_is_named_and_the_rest_counts() -> None:
    """The council goes on."""
    sitting = sit(RANKED, {"ballot/Ada": "C > B > A", "ballot/Ben": DOWN, "ballot/Cleo": "I like them all."})
    assert sitting.end.kind is Kind.SYNTHESIS
    assert sitting.state.missing == (
        "Ben (ballot): its server is down",
        "Cleo (ballot): the ballot made no sense",
    )
    assert [ballot.reviewer for ballot in sitting.state.ballots] == ["Ada"]


def test_without_any_ballot_there_is_a_synthesis_without_a_ranking() -> None:
    """Ballots are no single point of failure."""
    sitting = sit(RANKED, {f"ballot/{name}": DOWN for name in ("Ada", "Ben", "Cleo")})
    assert sitting.end.kind is Kind.SYNTHESIS
    assert standings(sitting.state) == ()
    assert "best first" not in words(sitting.call("synthesis/1"))


def test_only_the_reviewers_that_are_named_and_still_there_are_asked() -> None:
    """Who missed a round is not asked for a ballot."""
    template = council("Ada", "Ben", "Cleo", "Dan", ranking={"reviewers": ["Ben", "Dan"]})
    sitting = sit(template, {"round 1/Dan": DOWN})
    assert [key for key in sitting.keys if key.startswith("ballot")] == ["ballot/Ben"]


# The chair


def test_the_next_able_model_writes_where_the_chair_fails() -> None:
    """The chair's model first, then the members', each once."""
    sitting = sit(THREE, {"synthesis/1": DOWN, "synthesis/2": LATE, "synthesis/3": "By Ben's model."})
    assert [sitting.call(f"synthesis/{n}").model for n in (1, 2, 3)] == [
        "model-of-chair",
        "model-of-Ada",
        "model-of-Ben",
    ]
    assert (sitting.end.kind, sitting.end.answer) == (Kind.SYNTHESIS, "By Ben's model.")
    assert sitting.end.note == (
        "Missing: Chair (chair, model-of-chair): its server is down; Chair (chair, model-of-Ada): it took too long."
    )


def test_members_who_were_not_heard_lend_the_chair_no_model() -> None:
    """And a model that several name is tried once."""
    template = council("Ada", "Ben", "Cleo", chair={"model": "model-of-Ben"})
    sitting = sit(template, {"round 1/Ada": DOWN})
    assert chair_candidates(sitting.state) == (("model-of-Ben", False), ("model-of-Cleo", False))


def test_when_no_chair_can_the_best_ranked_opinion_is_the_answer() -> None:
    """Flagged."""
    failing = {f"synthesis/{n}": DOWN for n in range(1, 5)}
    ballots = {f"ballot/{name}": '{"ranking": ["C", "A", "B"], "why": "."}' for name in ("Ada", "Ben", "Cleo")}
    sitting = sit(RANKED, {**failing, **ballots, "round 1/Cleo": "Cleo's words"})
    assert (sitting.end.kind, sitting.end.answer) == (Kind.BEST, "Cleo's words")
    assert sitting.end.note.startswith("No chair could write the answer: this is the opinion of Cleo. Missing: Chair")


def test_when_no_chair_can_and_nobody_ranked_the_first_opinion_is_the_answer() -> None:
    """Of those who were heard."""
    failing = {f"synthesis/{n}": DOWN for n in range(1, 5)}
    sitting = sit(THREE, {**failing, "round 1/Ada": DOWN, "round 1/Ben": "Ben's words"})
    assert (sitting.end.kind, sitting.end.answer) == (Kind.BEST, "Ben's words")


def test_a_neutral_judges_answer_ends_with_who_was_meant() -> None:
    """What was streamed is the beginning, word for word."""
    sitting = sit(council("Ada", "Ben", chair={"neutral": True}), {"synthesis/1": "A is right."})
    assert sitting.end.answer == "A is right.\n\n---\nResponse A: Ada; Response B: Ben\n"
    assert sitting.end.answer == "A is right." + sitting.end.appended


def test_the_callers_format_goes_before_the_templates_and_nothing_is_appended_to_json() -> None:
    """A schema stays parseable."""
    own = Format("json_schema", {"type": "object"})
    template = council("Ada", "Ben", chair={"neutral": True}, output={"format": "json"})
    assert sit(template, format=own).call("synthesis/1").format == own
    usual = sit(template, {"synthesis/1": "{}"})
    assert usual.end.answer == "{}"
    usual_format = usual.call("synthesis/1").format
    assert usual_format is not None
    assert usual_format.schema is not None
    assert "disagreement" in usual_format.schema["properties"]


@pytest.mark.parametrize(("asked", "given"), [(None, 1200), (50, 50), (9999, 1200)])
def test_the_callers_maximum_bounds_the_answer_and_not_the_opinions(asked: int | None, given: int) -> None:
    """It may ask for less than the chair has, not for more."""
    sitting = sit(THREE, max_tokens=asked)
    assert sitting.call("synthesis/1").max_tokens == given
    assert sitting.call("round 1/Ada").max_tokens == 800


def test_members_bring_their_own_sampling() -> None:
    """And the council's bound of an opinion, unless they have their own."""
    template = council(max_tokens=300, members=[
        {"name": "Ada", "persona": "x", "sampling": {"temperature": 0.1, "seed": 7}},
        {"name": "Ben", "persona": "y", "max_tokens": 90},
    ])  # fmt: skip
    sitting = sit(template)
    ada, ben = sitting.call("round 1/Ada"), sitting.call("round 1/Ben")
    assert (ada.sampling.temperature, ada.sampling.seed, ada.max_tokens) == (0.1, 7, 300)
    assert (ben.sampling.temperature, ben.max_tokens) == (None, 90)


def test_the_end_stays_the_end() -> None:
    """After it, nothing changes a sitting."""
    state = sit(THREE).state
    assert after(state, {"synthesis/2": Missed(reason="too late")}) == state
    assert next_stage(state) == next_stage(state)
