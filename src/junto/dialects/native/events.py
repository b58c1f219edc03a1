"""The native stream: lines of `chunk`, then one of `done` or `error`. Tool calls come whole, with `done`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.completion import Folder
from junto.core.errors import FailureKind
from junto.core.events import (
    Failure,
    Finish,
    FinishReason,
    Progress,
    Start,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from junto.dialects.native.errors import render_error_line
from junto.dialects.native.responses import WireUsage, parse_calls, render_usage
from junto.dialects.ndjson import LineDecoder, LineTooLong, on_one_line
from junto.dialects.openai.messages import WireToolCall, render_call

if TYPE_CHECKING:
    from junto.core.errors import JuntoError
    from junto.core.events import Event
    from junto.dialects.wire import Rendering


class Line(msgspec.Struct):
    """One line of a stream, of any type."""

    type: str
    text: str = ""
    model: str = ""
    usage: WireUsage | None = None
    tool_calls: list[WireToolCall] = []


decode_line = msgspec.json.Decoder(Line).decode
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class NativeParser:
    """Parses the stream of another Junto."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._begun = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            return self._events(self._lines.feed(data))
        except LineTooLong:
            self._over = True
            return [Failure(FailureKind.TOO_LARGE)]

    def end(self) -> list[Event]:
        if self._over:
            return []
        events = self._events(self._lines.end())
        if not any(isinstance(event, Finish | Failure) for event in events):
            self._over = True
            events.append(Failure(FailureKind.RESET))
        return events

    def _events(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if self._over:
                break
            try:
                events += self._of(decode_line(line))
            except UNREADABLE as error:
                self._over = True
                events.append(Failure(FailureKind.PROTOCOL, type(error).__name__))
        return events

    def _of(self, line: Line) -> list[Event]:
        if line.type == "error":
            self._over = True
            return [Failure(FailureKind.SERVER)]
        events: list[Event] = [] if self._begun else [Start(line.model)]
        self._begun = True
        if line.text:
            events.append(TextDelta(line.text))
        if line.type != "done":
            return events
        self._over = True
        calls = parse_calls(line.tool_calls)
        for index, call in enumerate(calls):
            events += (ToolCallStart(index, call.id, call.name), ToolCallDelta(index, call.arguments))
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        return [*events, Finish(reason, line.usage.usage if line.usage else None)]


class NativeRenderer:
    """Renders one stream; reasoning has no place in it."""

    def __init__(self, rendering: Rendering) -> None:
        self._model = rendering.model
        self._calls = Folder()

    def render(self, events: list[Event]) -> bytes:
        return on_one_line(b"".join([self._render(event) for event in events]))

    def error(self, error: JuntoError) -> bytes:
        return render_error_line(error)

    def _render(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return b'{"type":"chunk","text":%b}\n' % msgspec.json.encode(text) if text else b""
            case Progress():
                return b'{"type":"chunk","text":""}\n'  # it has no place here, but the caller sees that there is some
            case ToolCallStart() | ToolCallDelta():
                self._calls.add(event)
            case Finish():
                return self._done(event)
            case _:
                pass
        return b""

    def _done(self, finish: Finish) -> bytes:
        done: dict[str, Any] = {"type": "done", "usage": render_usage(finish.usage), "model": self._model}
        calls = self._calls.completion().tool_calls
        if calls:
            done["tool_calls"] = [render_call(call) for call in calls]
        return msgspec.json.encode(done | finish.beside) + b"\n"
