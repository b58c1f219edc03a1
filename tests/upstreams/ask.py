"""What a caller asked for, in no particular dialect: just enough to make a sensible answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request reduced to what an answer depends on.

    `tools` maps a tool's name to its JSON schema. `forced_tool` is a name, or "*" for any. `schema` is the JSON schema
    of the answer; `{}` means any JSON object. `tool_result` is set when the last message is one.
    """

    model: str
    stream: bool = False
    prompt: str = ""
    prompt_tokens: int = 0
    images: int = 0
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    forced_tool: str | None = None
    tool_result: str | None = None
    schema: Mapping[str, Any] | None = None
    think: bool = False
    max_tokens: int | None = None


def count_words(value: Any) -> int:
    """Count the words of all strings inside a JSON value; the emulators' idea of a token."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, Mapping):
        return sum(count_words(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(count_words(inner) for inner in value)
    return 0
