"""The canonical whole answer, and the two ways between it and a stream.

`fold(unfold(completion)) == completion`, and fold is the only place where deltas are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Text, Thinking, ToolCall
from junto.core.errors import UpstreamFailure
from junto.core.events import (
    Event,
    Failure,
    Finish,
    FinishReason,
    Progress,
    Start,
    TextDelta,
    ThinkingDelta,
    Timing,
    ToolCallDelta,
    ToolCallStart,
)
from junto.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A finished answer: thinking, words and tool calls in the order the model made them. `beside` as in Finish."""

    parts: tuple[Text | Thinking | ToolCall, ...]
    reason: FinishReason = FinishReason.STOP
    usage: Usage | None = None
    timing: Timing | None = None
    model: str = ""
    id: str = ""
    beside: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The words of the answer."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        """The words of the reasoning."""
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    model: str = ""


class Folder:
    """Joins the events of one stream into a Completion, incrementally."""

    def __init__(self) -> None:
        self._parts: list[Text | Thinking | ToolCall] = []
        self._pieces: list[str] = []
        self._open: str = ""  # "text", "thinking" or "" for none
        self._calls: dict[int, tuple[int, ToolCallStart, list[str]]] = {}
        self._start = Start()
        self._finish: Finish | None = None
        self.failure: Failure | None = None

    def add(self, event: Event) -> None:
        """Take the next event of the stream."""
        match event:
            case TextDelta(text):
                self._open_block("text")
                self._pieces.append(text)
            case ThinkingDelta():
                self._add_thinking(event)
            case Progress(text):
                self._add_thinking(ThinkingDelta(text))
            case ToolCallStart():
                self._close_block()
                self._calls[event.index] = (len(self._parts), event, [])
                self._parts.append(ToolCall(event.id, event.name))
            case ToolCallDelta(index, arguments):
                if index in self._calls:
                    self._calls[index][2].append(arguments)
            case Start():
                self._start = event
            case Finish():
                self._finish = event
            case Failure():
                self.failure = event

    def completion(self) -> Completion:
        """What has been joined so far; a stream that was cut short reads as `length`."""
        self._close_block()
        parts = list(self._parts)
        for position, start, pieces in self._calls.values():
            parts[position] = ToolCall(start.id, start.name, "".join(pieces))
        finish = self._finish or Finish(FinishReason.LENGTH)
        return Completion(
            parts=tuple(parts),
            reason=finish.reason,
            usage=finish.usage or (self.failure.usage if self.failure else None),
            timing=finish.timing,
            model=self._start.model,
            id=self._start.id,
            beside=finish.beside,
        )

    def _add_thinking(self, event: ThinkingDelta) -> None:
        if event.redacted is not None:
            self._close_block()
            self._parts.append(Thinking(redacted=event.redacted))
            return
        self._open_block("thinking")
        if event.text:
            self._pieces.append(event.text)
        if event.signature is not None:
            self._parts.append(Thinking("".join(self._pieces), event.signature))
            self._pieces, self._open = [], ""

    def _open_block(self, kind: str) -> None:
        if self._open != kind:
            self._close_block()
            self._open = kind

    def _close_block(self) -> None:
        text = "".join(self._pieces)
        if self._open == "text" and text:
            self._parts.append(Text(text))
        elif self._open == "thinking" and text:
            self._parts.append(Thinking(text))
        self._pieces, self._open = [], ""


def fold(events: Iterable[Event]) -> Completion:
    """Join a whole stream; a Failure in it is raised as UpstreamFailure."""
    folder = Folder()
    for event in events:
        folder.add(event)
    if folder.failure is not None:
        raise UpstreamFailure(folder.failure.kind, folder.failure.detail, usage=folder.failure.usage)
    return folder.completion()


def unfold(completion: Completion) -> Iterator[Event]:
    """The shortest stream that folds to this answer."""
    yield Start(completion.model, completion.id)
    index = 0
    for part in completion.parts:
        match part:
            case Text(text):
                yield TextDelta(text)
            case Thinking(text, signature, redacted):
                yield ThinkingDelta(text, signature, redacted)
            case ToolCall(id, name, arguments):
                yield ToolCallStart(index, id, name)
                if arguments:
                    yield ToolCallDelta(index, arguments)
                index += 1
    yield Finish(completion.reason, completion.usage, completion.timing, completion.beside)
