"""Files of cases for `junto eval run`: a JSON object a line, read whole before anything is asked. Pure but for `read_cases`.

A case is `{"prompt": text}` or `{"messages": [...]}`, with `expected` (text), `id` and `metadata` where it has them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_BYTES: Final = 64 * 1024 * 1024
MOST_CASES: Final = 100_000
_LONGEST_ID: Final = 200
_FIELDS: Final = ("prompt", "messages", "expected", "id", "metadata")
_ROLES: Final = ("system", "developer", "user", "assistant", "tool")


class BadCases(Exception):
    """A file that is not one of cases; `errors` has all that is wrong in it, each with its line."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to ask. `id` is the file's, else its line."""

    id: str
    line: int
    messages: tuple[dict[str, Any], ...]
    expected: str | None = None


def read_cases(file: Path) -> list[Case]:
    """The cases of a file; raises BadCases with every error in it."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadCases([f"{file}: larger than {MOST_BYTES // 1024 // 1024} MiB."])
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise BadCases([f"{file}: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        raise BadCases([f"{file}: not UTF-8 text: {error.reason} at byte {error.start}."]) from None
    try:
        return cases_of(text.split("\n"))
    except BadCases as bad:
        raise BadCases([f"{file}: {error}" for error in bad.errors]) from None


def cases_of(lines: Iterable[str]) -> list[Case]:
    """The cases on those lines, empty ones left out; raises BadCases with every error, and where there is no case."""
    cases: list[Case] = []
    errors: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        case, wrong = _case(line, number)
        if case is not None:
            before = first_line.setdefault(case.id, number)
            if before != number:
                wrong.append(f"the id {case.id!r} is that of line {before} already")
            cases.append(case)
        errors += [f"line {number}: {what}." for what in wrong]
    if not cases and not errors:
        errors.append("there is no case in it.")
    if len(cases) > MOST_CASES:
        errors.append(f"more than {MOST_CASES:,} cases.")
    if errors:
        raise BadCases(errors)
    return cases


def _case(line: str, number: int) -> tuple[Case | None, list[str]]:
    """A line's case, or None, with what is wrong about it."""
    try:
        value = json.loads(line)
    except ValueError as error:
        return None, [f"not JSON: {error}"]
    except RecursionError:
        return None, ["not JSON that can be read: too deep"]
    if not isinstance(value, dict):
        return None, ['not an object like {"prompt": "..."}']
    wrong = [f"the field {name[:80]!r} is none of {', '.join(_FIELDS)}" for name in value if name not in _FIELDS]
    messages, wrong_messages = _messages(value)
    id, wrong_id = _id(value, number)
    expected = value.get("expected")
    wrong += [*wrong_messages, *wrong_id]
    if expected is not None and not (isinstance(expected, str) and expected.strip()):
        wrong.append("`expected` is not a text with something in it")
        expected = None
    return Case(id=id, line=number, messages=messages, expected=expected), wrong


def _id(value: dict[str, Any], number: int) -> tuple[str, list[str]]:
    id = value.get("id")
    if id is None:
        return f"line {number}", []
    if isinstance(id, int) and not isinstance(id, bool):
        return str(id), []
    if isinstance(id, str) and 0 < len(id) <= _LONGEST_ID:
        return id, []
    return f"line {number}", [f"`id` is neither a whole number nor a text of 1 to {_LONGEST_ID} characters"]


def _messages(value: dict[str, Any]) -> tuple[tuple[dict[str, Any], ...], list[str]]:
    prompt, messages = value.get("prompt"), value.get("messages")
    if (prompt is None) == (messages is None):
        return (), ["a case has either `prompt` or `messages`"]
    if messages is None:
        if not isinstance(prompt, str) or not prompt.strip():
            return (), ["`prompt` is not a text with something in it"]
        return ({"role": "user", "content": prompt},), []
    if not isinstance(messages, list) or not messages:
        return (), ["`messages` is not a list with something in it"]
    wrong = [f"messages[{at}] {what}" for at, one in enumerate(messages) if (what := _wrong_with(one))]
    return (() if wrong else tuple(messages)), wrong


def _wrong_with(message: Any) -> str:
    """What is wrong about a message, "" for nothing; its content may be a text, or a list of parts (Junto reads those)."""
    if not isinstance(message, dict):
        return "is not an object"
    if message.get("role") not in _ROLES:
        return f"has no role of {', '.join(_ROLES)}"
    content = message.get("content")
    if isinstance(content, str) and content:
        return ""
    if (isinstance(content, list) and content) or message.get("tool_calls"):
        return ""
    return "has no content"
