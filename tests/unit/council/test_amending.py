"""A template as one caller wants it otherwise."""

import pytest

from junto.core.errors import InvalidField
from junto.council.amending import amended
from junto.council.template import InvalidTemplate, Sees
from tests.unit.council.sittings import council

DEBATE = council("Ada", "Ben", "Cleo", ranking={"reviewers": ["Ada", "Cleo"]}, quorum=3)


def test_nothing_asked_is_nothing_changed() -> None:
    """The same template."""
    assert amended(DEBATE) == DEBATE


def test_names_choose_among_the_members() -> None:
    """With a majority of them as the quorum, and only their reviewers."""
    chosen = amended(DEBATE, members=["Cleo", "Ben"])
    assert [member.name for member in chosen.members] == ["Cleo", "Ben"]
    assert chosen.members[1] == DEBATE.members[1]
    assert chosen.quorum == 2
    assert chosen.ranking is not None
    assert chosen.ranking.reviewers == ("Cleo",)


def test_a_mapping_with_a_members_name_changes_what_it_mentions() -> None:
    """A model that it mentions was named by the caller; others were not."""
    chosen = amended(DEBATE, members=[{"name": "Ada", "model": "mine"}, "Ben", {"name": "Zoe", "persona": "New."}])
    ada, ben, zoe = chosen.members
    assert (ada.model, ada.persona, ada.by_caller) == ("mine", "Persona of Ada.", True)
    assert (ben.model, ben.by_caller) == ("model-of-Ben", False)
    assert (zoe.model, zoe.persona, zoe.by_caller) == ("quality", "New.", False)


def test_rounds_may_be_a_number() -> None:
    """As in a file."""
    assert [one.sees for one in amended(DEBATE, rounds=2).rounds] == [Sees.OWN, Sees.ALL]
    assert amended(DEBATE, rounds=2).quorum == 3


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([], "members: must name somebody: a list of {name, persona}"),
        ("Ada", "members: must be a list"),
        ([7], "members[0]: must be a mapping of keys"),
        (["Ada", "Ada"], "members[1].name: Ada is the name of members[0] already"),
        ([{"name": "Ada", "model": "council/debate"}], "members[0].model: must be a model or a group: council/debate would lead in circles"),
        (["Ada"] * 13, "members: must have at most 12 entries, not 13"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_as_for_a_template(members: object, problem: str) -> None:
    """422."""
    with pytest.raises(InvalidTemplate) as caught:
        amended(DEBATE, members=members)
    assert problem in caught.value.reasons


def test_a_name_that_nobody_has_is_told_with_near_ones() -> None:
    """At its place in the caller's list."""
    with pytest.raises(InvalidField, match="Did you mean Ben") as refused:
        amended(DEBATE, members=["Ben", "Bem"])
    assert refused.value.param == "members[1]"


def test_a_name_that_is_like_no_members_is_told_who_there_is() -> None:
    """So that nobody has to look a council up."""
    with pytest.raises(InvalidField, match="The members are Ada, Ben, Cleo"):
        amended(DEBATE, members=["Xerxes"])
