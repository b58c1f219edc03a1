"""The stream of an upstream: bytes to events, for chat and legacy completions alike.

The finish reason, the usage and the end come in three places and in any order: one Finish says them all, at [DONE] or
at the end of the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import FailureKind
from junto.core.events import Failure, Finish, Start, TextDelta, ThinkingDelta
from junto.dialects.openai.chunks import UNREADABLE, decode_answer, finish_reason
from junto.dialects.openai.errors import failure_of
from junto.dialects.openai.toolcalls import Interleaved, ToolCalls
from junto.dialects.openai.usage import parse_usage
from junto.dialects.sse import EventTooLarge, SseDecoder

if TYPE_CHECKING:
    from junto.core.events import Event
    from junto.core.usage import Usage
    from junto.dialects.openai.chunks import Answer, Choice
    from junto.dialects.sse import ServerSentEvent


class ChunkParser:
    """Parses one stream of completion chunks."""

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._calls = ToolCalls()
        self._id = ""
        self._begun = False
        self._over = False
        self._fed = False
        self._heard = False  # an event of any kind came
        self._finish_reason = ""
        self._usage: Usage | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that became complete with these bytes."""
        self._fed = self._fed or bool(data.strip())
        events: list[Event] = []
        if not self._over:
            try:
                self._take(self._decoder.feed(data), events)
            except EventTooLarge:
                self._fail(events, FailureKind.TOO_LARGE)
        return events

    def end(self) -> list[Event]:
        """The body is complete: a stream that said why it stopped is whole without [DONE]."""
        if self._over:
            return []
        events: list[Event] = []
        for event in self._decoder.end():
            self._heard = True
            cut_short = not _is_done(event) and not _is_readable(event.data)
            if not cut_short:
                self._take([event], events)
        if events and isinstance(events[-1], Finish | Failure):
            return events
        if self._finish_reason:
            self._finish(events)
        elif self._fed and not self._heard:
            self._fail(events, FailureKind.PROTOCOL, "no stream of events")
        else:
            self._fail(events, FailureKind.RESET)
        return events

    def _take(self, received: list[ServerSentEvent], events: list[Event]) -> None:
        for event in received:
            if self._over:
                return
            self._heard = True
            if _is_done(event):
                self._finish(events)
            elif event.data or event.name == "error":
                self._chunk(event, events)

    def _chunk(self, event: ServerSentEvent, events: list[Event]) -> None:
        try:
            answer = decode_answer(event.data)
        except UNREADABLE as error:
            kind = FailureKind.SERVER if event.name == "error" else FailureKind.PROTOCOL
            self._fail(events, kind, type(error).__name__)
            return
        if answer.failed or event.name == "error":
            failure = failure_of({"error": answer.failed})
            self._fail(events, failure.kind, failure.detail)
            return
        self._usage = parse_usage(answer.usage) or self._usage
        for choice in answer.choices or ():
            self._begin(answer, events)
            if not choice.index:
                self._choice(choice, events)

    def _begin(self, answer: Answer, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            self._id = answer.key
            events.append(Start(answer.name, answer.key))

    def _choice(self, choice: Choice, events: list[Event]) -> None:
        said = choice.delta or choice.message
        if said is not None:
            if thinking := said.thinking:
                events.append(ThinkingDelta(thinking))
            if text := said.text:
                events.append(TextDelta(text))
            try:
                for piece in said.calls:
                    events += self._calls.add(piece, self._id)
            except Interleaved:
                self._fail(events, FailureKind.PROTOCOL, "interleaved tool calls")
                return
        elif choice.text:
            events.append(TextDelta(choice.text))
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self._finish_reason = choice.finish_reason

    def _finish(self, events: list[Event]) -> None:
        if not self._begun:
            events.append(Start())
        events += self._calls.end(self._id)
        events.append(Finish(finish_reason(self._finish_reason, called=bool(self._calls)), self._usage))
        self._over = True

    def _fail(self, events: list[Event], kind: FailureKind, detail: str = "") -> None:
        events.append(Failure(kind, detail, self._usage))
        self._over = True


def _is_done(event: ServerSentEvent) -> bool:
    return event.data.endswith((b"]", b" ")) and event.data.strip() == b"[DONE]"


def _is_readable(data: bytes) -> bool:
    try:
        decode_answer(data)
    except UNREADABLE:
        return False
    return True
