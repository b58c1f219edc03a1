"""The values a test plans with: an answer, its tool calls, its usage, its failure.

Nothing here knows a wire format or a socket.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

type Finish = Literal["stop", "length", "tool_calls", "content_filter"]
type FailureKind = Literal["error", "reset", "close", "truncate", "hang"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts in disjoint classes: `input` excludes what was read from or written to a cache.

    `reasoning` is the part of `output` that was spent on thinking.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All input tokens, cached or not, as OpenAI and Ollama count them."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model makes; `id` is made up by the dialect where it is empty."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """How and when an answer breaks.

    `after` is the number of content pieces sent before; None fails before the response head, where `error` is an
    HTTP `status` in the dialect's error shape. Later, `error` is the dialect's mid-stream error, `reset` sends RST,
    `close` sends FIN inside the body, `truncate` ends the body properly but without the final events, and `hang`
    sends nothing more until the caller leaves.
    """

    how: FailureKind = "error"
    after: int | None = None
    status: int = 500
    message: str = "the scripted failure"
    kind: str = ""
    retry_after: str | None = None


class Gate:
    """Something a stream waits at until the test opens it."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        """Let the waiting answer go on."""
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether the answer may go on."""
        return self._opened.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One planned answer.

    `pieces` fixes where the text is cut in a stream (words, if None). `usage` is counted in words by default; `omit`
    leaves it out. `delay` is seconds before the response head, `gap` between pieces; a `gate` holds the answer after
    `gate_after` pieces (None: before the response head).
    """

    text: str = ""
    thinking: str | None = None
    tool_calls: tuple[Call, ...] = ()
    usage: Usage | Literal["count", "omit"] = "count"
    finish: Finish | None = None
    pieces: tuple[str, ...] | None = None
    delay: float = 0.0
    gap: float = 0.0
    gate: Gate | None = None
    gate_after: int | None = None
    fail: Fail | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text_pieces(self) -> tuple[str, ...]:
        """The text as a stream delivers it."""
        return self.pieces if self.pieces is not None else cut(self.text)

    @property
    def whole_text(self) -> str:
        """The text as an unstreamed answer delivers it."""
        return "".join(self.text_pieces)

    @property
    def thinking_pieces(self) -> tuple[str, ...]:
        """The thinking as a stream delivers it."""
        return cut(self.thinking or "")

    @property
    def finish_reason(self) -> Finish:
        """Why the answer ends, told by the tool calls where the plan does not say."""
        return self.finish or ("tool_calls" if self.tool_calls else "stop")

    def counted(self, prompt_tokens: int) -> Usage | None:
        """The usage to report for a prompt of that many tokens, or None where the plan omits it."""
        if isinstance(self.usage, Usage):
            return self.usage
        if self.usage == "omit":
            return None
        reasoning = len(self.thinking_pieces)
        return Usage(
            input=prompt_tokens,
            output=len(self.text_pieces) + reasoning + 4 * len(self.tool_calls),
            reasoning=reasoning,
        )


def cut(text: str) -> tuple[str, ...]:
    """Cut a text into words, each with the space before it; joined they are the text again."""
    return tuple(re.findall(r"\s+\S*|\S+", text))
