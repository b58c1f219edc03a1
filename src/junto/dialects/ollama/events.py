"""Streams of `/api/chat` and `/api/generate`: lines to events and events to lines. How an answer ends is in responses.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import ToolCall
from junto.core.errors import FailureKind, JuntoError
from junto.core.events import (
    Event,
    Failure,
    Finish,
    Progress,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
)
from junto.dialects.ndjson import LineDecoder, LineTooLong, on_one_line
from junto.dialects.ollama.errors import render_error
from junto.dialects.ollama.messages import parse_calls, render_call
from junto.dialects.ollama.responses import Answer, finish_of, head_of, render_ending

if TYPE_CHECKING:
    from junto.dialects.wire import Rendering

_ANSWER = msgspec.json.Decoder(Answer)


class OllamaEventParser:
    """Lines of either endpoint to events; tool calls arrive whole on this wire."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._begun = False
        self._over = False
        self._calls = 0

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            lines = self._lines.feed(data)
        except LineTooLong as error:
            return self._fail(FailureKind.TOO_LARGE, str(error))
        return self._events(lines, FailureKind.PROTOCOL)

    def end(self) -> list[Event]:
        if self._over:
            return []
        events = self._events(self._lines.end(), FailureKind.RESET if self._begun else FailureKind.PROTOCOL)
        if not any(isinstance(event, Finish | Failure) for event in events):
            events += self._fail(FailureKind.RESET, "the stream ended early")
        return events

    def _events(self, lines: list[bytes], unreadable: FailureKind) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if self._over:
                break
            try:
                answer = _ANSWER.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                events += self._fail(unreadable, f"not the dialect: {error}"[:300])
                break
            events += self._of(answer)
        return events

    def _of(self, answer: Answer) -> list[Event]:
        if answer.error is not None:
            return self._fail(FailureKind.SERVER, "an error inside the stream")
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Start(answer.model))
        said = answer.said()
        if said.thinking:
            events.append(ThinkingDelta(said.thinking))
        if said.content:
            events.append(TextDelta(said.content))
        for index, call in enumerate(parse_calls(said.tool_calls or [], self._calls), self._calls):
            events += (ToolCallStart(index, call.id, call.name), ToolCallDelta(index, call.arguments))
            self._calls = index + 1
        if answer.done:
            self._over = True
            events.append(finish_of(answer, called=self._calls > 0))
        return events

    def _fail(self, kind: FailureKind, detail: str) -> list[Event]:
        self._over = True
        return [Failure(kind, detail)]


class OllamaEventRenderer:
    """Events to lines; a tool call is held back until its arguments are complete."""

    def __init__(self, rendering: Rendering, *, chat: bool) -> None:
        self._head = head_of(rendering)
        self._chat = chat
        self._call: ToolCall | None = None
        self._arguments: list[str] = []
        self._index = 0
        # Text makes up nearly all lines, so its line is put together from prepared halves.
        self._opening, self._closing = self._line(content="\0").rsplit(b'"\\u0000"', 1)

    def render(self, events: list[Event]) -> bytes:
        return on_one_line(b"".join([self._render(event) for event in events]))

    def error(self, error: JuntoError) -> bytes:
        return render_error(error) + b"\n"

    def _render(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._flush() + self._opening + msgspec.json.encode(text) + self._closing
            case ThinkingDelta(text) | Progress(text):
                return self._flush() + (self._line(thinking=text) if text else b"")
            case ToolCallStart(index, id, name):
                flushed = self._flush()
                self._call, self._index = ToolCall(id, name), index
                return flushed
            case ToolCallDelta(_, arguments):
                self._arguments.append(arguments)
            case Finish():
                return self._flush() + self._last(event)
            case Start() | Failure():
                pass
        return b""

    def _flush(self) -> bytes:
        if self._call is None:
            return b""
        call = ToolCall(self._call.id, self._call.name, "".join(self._arguments))
        self._call, self._arguments = None, []
        return self._line(tool_calls=[render_call(call, self._index)]) if self._chat else b""

    def _line(self, **said: Any) -> bytes:
        return msgspec.json.encode({**self._head, **self._body(**said), "done": False}) + b"\n"

    def _last(self, finish: Finish) -> bytes:
        return msgspec.json.encode({**self._head, **self._body(), **render_ending(finish), **finish.beside}) + b"\n"

    def _body(self, content: str = "", **said: Any) -> dict[str, Any]:
        if self._chat:
            return {"message": {"role": "assistant", "content": content, **said}}
        return {"response": content, **said}


def chat_renderer(rendering: Rendering) -> OllamaEventRenderer:
    """The renderer of `/api/chat`."""
    return OllamaEventRenderer(rendering, chat=True)


def generate_renderer(rendering: Rendering) -> OllamaEventRenderer:
    """The renderer of `/api/generate`, which has no tool calls."""
    return OllamaEventRenderer(rendering, chat=False)
