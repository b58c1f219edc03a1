"""docs/councils.md: its example is a template, its table has every field, its tables name what comes with Junto."""

import json
import re
from pathlib import Path

from junto.bootstrap.councils import builtin_templates
from junto.council.amending import amended
from junto.council.deliberation import Kind
from junto.council.report import report
from junto.council.template import document_of, parse
from tests.unit.council.sittings import council, sit

TEXT = (Path(__file__).parents[3] / "docs" / "councils.md").read_text("utf-8")
_ROW = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)


def _example(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def _named_in_rows() -> set[str]:
    return {name for row in _ROW.findall(TEXT) for name in re.findall(r"`([a-z_/-]+)`", row)}


def test_the_example_of_an_own_template_is_one() -> None:
    """As it stands."""
    template = parse(_example("yaml"), "hiring")
    assert [member.name for member in template.members] == ["Skills", "Potential"]


def test_the_example_for_one_question_changes_the_council_that_it_names() -> None:
    """Names are its members'."""
    asked = json.loads(_example("json"))
    template = next(one for one in builtin_templates() if one.name == asked["template"])
    changed = amended(template, members=asked["members"], rounds=asked["rounds"])
    assert [member.name for member in changed.members] == ["Analyst", "Sceptic", "Teacher"]


def test_every_field_of_a_template_and_of_a_report_has_a_row() -> None:
    """And every council that comes with Junto."""
    template = council("Ada")
    sitting = sit(template)
    fields = {*document_of(template), *report(sitting.state, sitting.end, (), duration_ms=1)}
    assert fields <= _named_in_rows()
    assert {one.model_name for one in builtin_templates()} <= _named_in_rows()


def test_every_kind_of_answer_is_explained() -> None:
    """But for the failure, which is an error."""
    assert all(f"`{kind.value}`" in TEXT for kind in Kind if kind is not Kind.FAILED)
