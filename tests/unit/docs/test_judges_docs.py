"""docs/judges.md says what POST /eval/judge takes: every field with its default, and examples that it would take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from junto.evals.jury import check
from junto.web.routes.eval_judge import JudgeBody

DOCUMENT = (Path(__file__).parents[3] / "docs" / "judges.md").read_text()
EXAMPLES = [
    *re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL),
    *re.findall(r"-d '(\{.*?\})'\n", DOCUMENT, re.DOTALL),
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_would_be_taken(example: str) -> None:
    body = JudgeBody.model_validate(json.loads(example))
    check(body.asked, is_pair=body.pair is not None or body.mode == "pairwise")


def test_every_field_is_told_of() -> None:
    assert len(EXAMPLES) == 2
    told = set(re.findall(r"`([a-z_]+)`", DOCUMENT))
    assert set(JudgeBody.model_fields) <= told


def test_defaults_are_those_of_the_body() -> None:
    for name in ("apply", "allow_same_family", "deadline_s"):
        row = re.search(rf"^\| `{name}` \| `?(\w+)`? \|", DOCUMENT, re.MULTILINE)
        assert row is not None
        assert json.loads(row[1]) == JudgeBody.model_fields[name].default
    assert f"`days` ({JudgeBody.model_fields['days'].default})" in DOCUMENT
    assert f"`limit` subjects ({JudgeBody.model_fields['limit'].default}," in DOCUMENT
