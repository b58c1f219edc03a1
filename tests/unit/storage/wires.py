"""A scripted wire: streams are lines of words, whole answers are one text, embeddings begin with a bracket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Operation, Text, Thinking, ToolCall
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.events import Event, Failure, Finish, FinishReason, TextDelta, ThinkingDelta
from junto.dialects.wire import Wire

if TYPE_CHECKING:
    from junto.dialects.wire import EventParser


class LineParser:
    """Each line is a delta: `?` thinking, `.` the end, else text."""

    def __init__(self) -> None:
        self._ended = False

    def feed(self, data: bytes) -> list[Event]:
        return [self._event(line) for line in data.decode().splitlines()]

    def end(self) -> list[Event]:
        return [] if self._ended else [Failure(FailureKind.RESET)]

    def _event(self, line: str) -> Event:
        if line == ".":
            self._ended = True
            return Finish(FinishReason.STOP)
        return ThinkingDelta(line[1:]) if line.startswith("?") else TextDelta(line)


def parse_whole(body: bytes) -> Completion | Embeddings:
    if body.startswith(b"["):
        return Embeddings(vectors=tuple(tuple(vector) for vector in msgspec.json.decode(body)))
    if body.startswith(b"{"):
        raise UpstreamFailure(FailureKind.PROTOCOL, "not an answer")
    return Completion(parts=(Thinking("hm"), Text(body.decode()), ToolCall("call_1", "look_up", '{"q":1}')))


def _unused(*_: Any) -> Any:
    raise NotImplementedError


def _line_parser() -> EventParser:
    return LineParser()


LINES = Wire(
    name="lines",
    dialect="lines",
    operation=Operation.CHAT,
    path="/lines",
    whole_type="text/plain",
    stream_type="text/plain",
    peek=_unused,
    parse_request=_unused,
    render_request=_unused,
    relay_request=_unused,
    parse_response=parse_whole,
    render_response=_unused,
    event_parser=_line_parser,
    event_renderer=_unused,
    stream_tap=_unused,
    whole_tap=_unused,
    render_error=_unused,
    parse_error=_unused,
)
