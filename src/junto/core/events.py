"""The canonical stream: a closed union of events.

A stream is one Start, then deltas in the order the model made them, then exactly one Finish or one Failure. An index
numbers tool calls from 0 in order of appearance; deltas of one call are contiguous per index.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from junto.core.errors import FailureKind
from junto.core.usage import Usage


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in nanoseconds, where a backend reports them (Ollama does)."""

    total: int = 0
    load: int = 0
    prompt: int = 0
    output: int = 0


class Start(msgspec.Struct, frozen=True):
    """The answer begins. `model` is the upstream's name for itself."""

    model: str = ""
    id: str = ""


class TextDelta(msgspec.Struct, frozen=True):
    """More words of the answer."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    """More of the reasoning; a `signature` or `redacted` block closes the block it belongs to."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """How an answer comes to be that others contribute to: `text` for people, `data` for programs. No part of the answer."""

    text: str
    data: dict[str, Any] = {}


class ToolCallStart(msgspec.Struct, frozen=True):
    """A tool call begins."""

    index: int
    id: str
    name: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """More of the JSON text of a call's arguments."""

    index: int
    arguments: str


class Finish(msgspec.Struct, frozen=True):
    """The answer is complete. `usage` is None when the upstream did not report any.

    `beside` are fields that stand beside the answer, in dialects whose objects take them.
    """

    reason: FinishReason
    usage: Usage | None = None
    timing: Timing | None = None
    beside: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True):
    """The answer broke off after it had begun."""

    kind: FailureKind
    detail: str = ""
    usage: Usage | None = None


type Event = Start | TextDelta | ThinkingDelta | Progress | ToolCallStart | ToolCallDelta | Finish | Failure
