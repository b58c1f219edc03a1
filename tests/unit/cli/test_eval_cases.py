"""Files of cases: every error is told with its line, before anything is asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from junto.cli.eval_cases import BadCases, Case, cases_of, read_cases


def errors_of(*lines: str) -> list[str]:
    with pytest.raises(BadCases) as bad:
        cases_of(lines)
    return bad.value.errors


def test_a_prompt_is_a_message_of_the_user_and_an_id_is_the_line_s_where_there_is_none() -> None:
    [first, second] = cases_of(['{"prompt": "Who?", "expected": "me"}', "", '{"prompt": "Why?", "id": 7}'])
    assert first == Case(id="line 1", line=1, messages=({"role": "user", "content": "Who?"},), expected="me")
    assert (second.id, second.line, second.expected) == ("7", 3, None)


def test_messages_stay_as_they_are() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ]
    [case] = cases_of([json.dumps({"messages": messages, "metadata": {"from": "desk"}})])
    assert list(case.messages) == messages


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "line 1: not JSON: "),
        ("[" * 100_000, "line 1: not JSON"),
        ("[]", "line 1: not an object like"),
        ("{}", "line 1: a case has either `prompt` or `messages`"),
        ('{"prompt": "x", "messages": []}', "line 1: a case has either"),
        ('{"prompt": " "}', "line 1: `prompt` is not a text with something in it"),
        ('{"prompt": 1}', "line 1: `prompt` is not a text"),
        ('{"messages": []}', "line 1: `messages` is not a list with something in it"),
        ('{"messages": ["x"]}', "line 1: messages[0] is not an object"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', "line 1: messages[0] has no role of"),
        ('{"messages": [{"role": "user", "content": ""}]}', "line 1: messages[0] has no content"),
        ('{"prompt": "x", "expect": "y"}', "line 1: the field 'expect' is none of prompt, messages"),
        ('{"prompt": "x", "expected": 4}', "line 1: `expected` is not a text"),
        ('{"prompt": "x", "id": true}', "line 1: `id` is neither"),
        ('{"prompt": "x", "id": ""}', "line 1: `id` is neither"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: str, what: str) -> None:
    [error] = errors_of(line)
    assert error.startswith(what)


def test_every_error_is_told_not_only_the_first() -> None:
    errors = errors_of("{", '{"prompt": "x"}', '{"prompt": "", "extra": 1}')
    assert [error.partition(":")[0] for error in errors] == ["line 1", "line 3", "line 3"]


def test_an_id_that_is_there_twice_names_both_lines() -> None:
    assert errors_of('{"prompt": "x", "id": "a"}', '{"prompt": "y", "id": "a"}') == [
        "line 2: the id 'a' is that of line 1 already."
    ]


def test_no_case_is_an_error() -> None:
    assert errors_of("", "  ") == ["there is no case in it."]


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "cases.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadCases, match=r"cases\.jsonl: (not UTF-8|No such file)"):
        read_cases(file)


def test_a_file_with_windows_line_ends_and_a_mark_at_its_beginning_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"prompt": "x"}\r\n{"prompt": "y\xe2\x80\xa8z"}\r\n')
    cases: list[Any] = [case.messages[0]["content"] for case in read_cases(file)]
    assert cases == ["x", "y\u2028z"]
