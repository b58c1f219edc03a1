"""What may be a template, and that everything that is wrong is told at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import Sampling
from junto.core.document import ConfigErrors
from junto.core.errors import InvalidField
from junto.council.template import (
    InvalidTemplate,
    Round,
    Sees,
    check_name,
    document_of,
    parse,
    parse_template,
)

ADA = {"name": "Ada", "persona": "Looks at figures."}
BEN = {"name": "Ben", "persona": "Looks at people."}
WHOLE = {
    "name": "board",
    "description": "A board.",
    "members": [{**ADA, "model": "fast", "sampling": {"temperature": 0.2, "stop": ["END"]}, "max_tokens": 90}, BEN],
    "rounds": [{"sees": "own"}, {"sees": "anonymised", "instruction": "Reply."}],
    "ranking": {"reviewers": ["Ben"], "instruction": "Be strict."},
    "chair": {
        "name": "Eve",
        "persona": "Fair.",
        "model": "desk/big",
        "sampling": {"seed": 7},
        "max_tokens": 900,
        "neutral": True,
    },
    "quorum": 2,
    "deadline_s": 45.5,
    "budget_usd": 0.25,
    "max_tokens": 500,
    "output": {"instructions": "Bullets.", "format": "json", "schema": {"type": "object"}},
    "model": "quality",
    "below_quorum": "fail",
}


def _problems(raw: object) -> list[str]:
    with pytest.raises(InvalidTemplate) as caught:
        parse_template(raw, "board")
    return list(caught.value.reasons)


def test_the_least_template_has_everything_that_goes_without_saying() -> None:
    """One round, each for itself; the majority; the group `quality`; two minutes."""
    template = parse_template({"members": [ADA, BEN, {"name": "Cleo", "persona": "x"}]}, "board")
    assert template.rounds == (Round(),)
    assert (template.quorum, template.deadline_s, template.max_tokens, template.budget_nano) == (2, 120.0, 800, None)
    assert (template.models, template.below_quorum, template.ranking) == (("quality",), "answer", None)
    assert (template.model_name, template.chair.name, template.chair.neutral) == ("council/board", "Chair", False)


def test_a_whole_template_is_read_as_it_is_written() -> None:
    """Every field."""
    template = parse_template(WHOLE, "board")
    assert template.members[0].sampling == Sampling(temperature=0.2, stop=("END",))
    assert (template.members[0].model, template.members[1].model) == ("fast", "quality")
    assert (template.members[0].max_tokens, template.members[1].max_tokens) == (90, 500)
    assert template.rounds[1] == Round(sees=Sees.ANONYMISED, instruction="Reply.")
    assert template.budget_nano == 250_000_000
    assert (template.chair.model, template.chair.max_tokens, template.chair.neutral) == ("desk/big", 900, True)
    assert template.output.answer_format is not None


@pytest.mark.parametrize("raw", [WHOLE, {"members": [ADA]}, {"members": [ADA, BEN], "rounds": 3, "ranking": {}}])
def test_its_document_reads_as_the_same_template(raw: dict[str, Any]) -> None:
    """As it is stored and shown."""
    template = parse_template(raw, "board")
    assert parse_template(document_of(template), "board") == template


def test_a_number_of_rounds_means_each_for_itself_and_then_everybody() -> None:
    """Short for the usual."""
    template = parse_template({"members": [ADA, BEN], "rounds": 3}, "board")
    assert [one.sees for one in template.rounds] == [Sees.OWN, Sees.ALL, Sees.ALL]


@pytest.mark.parametrize(("members", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (12, 7)])
def test_the_quorum_is_the_majority_unless_said(members: int, quorum: int) -> None:
    """More than half."""
    raw = {"members": [{"name": f"m{number}", "persona": "x"} for number in range(members)]}
    assert parse_template(raw, "board").quorum == quorum


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"members": []}, "members: must name somebody: a list of {name, persona}"),
        ({"members": None}, "members: must name somebody: a list of {name, persona}"),
        ({"members": "Ada"}, "members: must be a list"),
        ({"members": ["Ada"]}, "members[0]: must be a mapping of keys"),
        ({"members": [ADA] * 13}, "members: must have at most 12 entries, not 13"),
        ({"members": [ADA, {**BEN, "name": "ada"}]}, "members[1].name: ada is the name of members[0] already"),
        ({"members": [{"name": "Ada"}]}, "members[0].persona: is needed, and missing"),
        ({"members": [{"name": " ", "persona": "x"}]}, "members[0].name: is needed, and missing"),
        ({"members": [{**ADA, "name": "A\nB"}]}, "members[0].name: must be one line without control characters"),
        ({"members": [{**ADA, "name": "A>>>"}]}, "members[0].name: must not hold <<< or >>>"),
        ({"members": [{**ADA, "persona": "x" * 8001}]}, "members[0].persona: must have at most 8000 characters, not 8001"),
        ({"members": [{**ADA, "persona": 7}]}, "members[0].persona: must be text; put it in quotes"),
        ({"members": [{**ADA, "persona": "\ud800"}]}, "members[0].persona: is no Unicode text: half of a surrogate pair is missing"),
        ({"members": [{**ADA, "persona": "a\0b"}]}, "members[0].persona: has a control character in it"),
        ({"members": [{**ADA, "modl": "m"}]}, "members[0].modl: there is no such key. Did you mean model?"),
        ({"members": [{**ADA, "sampling": {"temprature": 1}}]}, "members[0].sampling.temprature: there is no such key. Did you mean temperature?"),
        ({"members": [{**ADA, "sampling": {"temperature": 3}}]}, "members[0].sampling.temperature: must be from 0 to 2, not 3"),
        ({"members": [{**ADA, "sampling": {"temperature": True}}]}, "members[0].sampling.temperature: must be a number"),
        ({"members": [{**ADA, "sampling": {"temperature": float("nan")}}]}, "members[0].sampling.temperature: must be a number"),
        ({"members": [{**ADA, "sampling": {"stop": [1]}}]}, "members[0].sampling.stop: must be texts of at most 60 characters"),
        ({"members": [{**ADA, "max_tokens": 0}]}, "members[0].max_tokens: must be from 1 to 32000, not 0"),
        ({"quorum": 3}, "quorum: must be at most 2, which is how many members there are, not 3"),
        ({"quorum": 0}, "quorum: must be from 1 to 12, not 0"),
        ({"quorum": 1.5}, "quorum: must be a whole number"),
        ({"rounds": 0}, "rounds: must be from 1 to 5, not 0"),
        ({"rounds": 6}, "rounds: must be from 1 to 5, not 6"),
        ({"rounds": True}, "rounds: must be a whole number"),
        ({"rounds": []}, "rounds: must be at least one"),
        ({"rounds": "two"}, "rounds: must be a list"),
        ({"rounds": [{}] * 6}, "rounds: must have at most 5 entries, not 6"),
        ({"rounds": [{"sees": "anonymized"}]}, "rounds[0].sees: must be own or all or anonymised, not anonymized. Did you mean anonymised?"),
        ({"ranking": {"reviewers": ["Bem"]}}, "ranking.reviewers[0]: there is no member 'Bem'; reviewers are members. Did you mean Ben?"),
        ({"ranking": {"reviewers": ["Ben", "Ben"]}}, "ranking.reviewers[1]: Ben is named twice"),
        ({"ranking": {"reviewers": [7]}}, "ranking.reviewers[0]: must be the name of a member"),
        ({"ranking": "all"}, "ranking: must be a mapping of keys"),
        ({"chair": {"name": "Ada"}}, "chair.name: Ada is the name of a member already"),
        ({"chair": {"neutral": "yes"}}, "chair.neutral: must be true or false"),
        ({"chair": {"model": "council/debate"}}, "chair.model: must be a model or a group: council/debate would lead in circles"),
        ({"model": "agent/desk"}, "model: must be a model or a group: agent/desk would lead in circles"),
        ({"members": [{**ADA, "model": "task/x"}, BEN]}, "members[0].model: must be a model or a group: task/x would lead in circles"),
        ({"members": [{**ADA, "model": "auto"}, BEN]}, "members[0].model: must be a model or a group: auto would lead in circles"),
        ({"model": "a b"}, "model: must be a name without spaces"),
        ({"deadline_s": 0}, "deadline_s: must be from 1 to 3600, not 0"),
        ({"budget_usd": -1}, "budget_usd: must be from 0 to 10000, not -1"),
        ({"max_tokens": 99999}, "max_tokens: must be from 1 to 32000, not 99999"),
        ({"output": {"format": "xml"}}, "output.format: must be text or json, not xml."),
        ({"output": {"schema": {"type": "object"}}}, "output.schema: goes with format: json"),
        ({"output": {"format": "json", "schema": {"x": "y" * 40000}}}, "output.schema: must be a JSON schema of at most 32000 bytes"),
        ({"below_quorum": "maybe"}, "below_quorum: must be answer or fail, not maybe."),
        ({"name": "other"}, "name: must be board, by which it is kept, or be left out"),
        ({"membrs": []}, "membrs: there is no such key. Did you mean members?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path(change: dict[str, Any], problem: str) -> None:
    """And nothing beside it."""
    assert _problems({"members": [ADA, BEN], **change}) == [problem]


@pytest.mark.parametrize("raw", [None, [], "text", 7])
def test_a_template_is_a_mapping(raw: object) -> None:
    """An empty file is none."""
    assert _problems(raw) == ["must be a mapping of keys, like `members: [{name: ..., persona: ...}]`"]


def test_all_problems_come_at_once() -> None:
    """The message names the first three, the reasons all."""
    problems = _problems({"members": [{"persona": 1}], "quorum": 4, "model": "council/x", "deadline_s": "soon"})
    assert len(problems) == 5
    with pytest.raises(InvalidTemplate, match="; and 2 more") as caught:
        parse_template({"members": [{"persona": 1}], "quorum": 4, "model": "council/x", "deadline_s": "soon"}, "board")
    assert (caught.value.status, caught.value.param) == (422, caught.value.reasons[0].partition(":")[0])


def test_of_keys_without_number_that_nobody_knows_the_first_are_told() -> None:
    """A near name is looked for, for each of them; the others are counted."""
    unknown = {f"persona{number}": 1 for number in range(5_000)}
    problems = _problems({"members": [{"name": "Ann", "persona": "You are Ann.", **unknown}]})
    assert len(problems) == 21
    assert problems[-1].endswith("there are 4980 more keys that are not known")


def test_in_a_file_each_problem_has_its_line() -> None:
    """Where it was written."""
    text = "members:\n  - name: Ada\n    persona: x\n    modl: fast\nquorum: 9\n"
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "board", "councils/board.yaml")
    assert caught.value.lines == [
        "councils/board.yaml: line 4: members[0].modl: there is no such key. Did you mean model?",
        "councils/board.yaml: line 5: quorum: must be at most 1, which is how many members there are, not 9",
    ]


@pytest.mark.parametrize("text", ["members: [", "members: !!python/object:os.system {}", "a: 1\na: 2\n"])
def test_a_file_that_is_no_plain_yaml_is_refused(text: str) -> None:
    """Tags run nothing."""
    with pytest.raises(ConfigErrors, match=r"board\.yaml"):
        parse(text, "board", "board.yaml")


@pytest.mark.parametrize("name", ["", "Board", "a/b", "../x", "-x", "a" * 65, "böard"])
def test_a_name_is_small_letters_digits_and_dashes(name: str) -> None:
    """It is a part of a model's name, of a path and of a file's name."""
    with pytest.raises(InvalidField):
        check_name(name)
    with pytest.raises(InvalidField):
        parse_template({"members": [ADA]}, name)
    with pytest.raises(ConfigErrors):
        parse("members: [{name: Ada, persona: x}]", name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*sorted(WHOLE), "persona", "sees", "sampling", "reviewers", "x"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(raw=JSON)
def test_any_document_is_a_template_or_an_error_with_problems(raw: object) -> None:
    """Nothing else is ever raised."""
    try:
        template = parse_template(raw, "board")
    except InvalidTemplate as invalid:
        assert invalid.problems  # noqa: PT017  either of the two is right
    else:
        assert parse_template(document_of(template), "board") == template
