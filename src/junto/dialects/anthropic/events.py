"""Streams of `/messages`, read: server-sent events to the core's events. Writing them is next door (event_renderer.py)."""

from __future__ import annotations

import msgspec

from junto.core.errors import FailureKind
from junto.core.events import Event, Failure, Finish, Start, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart
from junto.dialects.anthropic.blocks import WireBlock, input_text
from junto.dialects.anthropic.errors import WireError, stream_failure
from junto.dialects.anthropic.responses import WireMessage
from junto.dialects.anthropic.usage import WireUsage, parse_reason
from junto.dialects.sse import EventTooLarge, ServerSentEvent, SseDecoder


class WireDelta(msgspec.Struct):
    """What an event adds to a block, or to the message as a whole."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class WireEvent(msgspec.Struct):
    """Any event; which fields it has depends on its type."""

    type: str = ""
    message: WireMessage | None = None
    content_block: WireBlock | None = None
    delta: WireDelta | None = None
    usage: WireUsage | None = None
    error: WireError | None = None


_EVENT = msgspec.json.Decoder(WireEvent)
_EMPTY_INPUTS = frozenset({b"", b"{}", b"null"})


class AnthropicEventParser:
    """Follows the blocks of one answer; they come one after the other on this wire."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._begun = False
        self._over = False
        self._usage: WireUsage | None = None
        self._reason: str | None = None
        self._signature = ""
        self._call = -1  # the number of the latest tool call
        self._awaits_input = False  # in a tool call whose input has not begun

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            received = self._sse.feed(data)
        except EventTooLarge as error:
            return self._fail(FailureKind.TOO_LARGE, str(error))
        return self._events(received, FailureKind.PROTOCOL)

    def end(self) -> list[Event]:
        if self._over:
            return []
        events = self._events(self._sse.end(), FailureKind.RESET if self._begun else FailureKind.PROTOCOL)
        if not any(isinstance(event, Finish | Failure) for event in events):
            events += self._fail(FailureKind.RESET, "the stream ended early")
        return events

    def _events(self, received: list[ServerSentEvent], unreadable: FailureKind) -> list[Event]:
        events: list[Event] = []
        for sent in received:
            if self._over:
                break
            try:
                event = _EVENT.decode(sent.data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                events += self._fail(unreadable, f"not the dialect: {error}"[:300])
                break
            events += self._of(event, event.type or sent.name)
        return events

    def _of(self, event: WireEvent, kind: str) -> list[Event]:
        match kind:
            case "content_block_delta" if event.delta is not None:
                return [*self._start(), *self._delta(event.delta)]
            case "content_block_start" if event.content_block is not None:
                return [*self._start(), *self._block(event.content_block)]
            case "content_block_stop":
                return self._close_block()
            case "message_start":
                return self._start(event.message)
            case "message_delta":
                self._count(event.usage)
                self._reason = (event.delta.stop_reason if event.delta is not None else None) or self._reason
            case "message_stop":
                self._over = True
                usage = self._usage.usage() if self._usage is not None else None
                return [*self._start(), Finish(parse_reason(self._reason), usage)]
            case "error" | "":
                return self._fail(*stream_failure(event.error))
        return []  # ping, and what may come in the future

    def _start(self, message: WireMessage | None = None) -> list[Event]:
        if self._begun:
            return []
        self._begun = True
        self._count(message.usage if message is not None else None)
        return [Start(message.model, message.id) if message is not None else Start()]

    def _block(self, block: WireBlock) -> list[Event]:
        match block.type:
            case "text" if block.text:
                return [TextDelta(block.text)]
            case "thinking":
                self._signature = block.signature or ""
                return [ThinkingDelta(block.thinking)] if block.thinking else []
            case "redacted_thinking":
                return [ThinkingDelta(redacted=block.data or "")]
            case "tool_use":
                self._call += 1
                self._awaits_input = bytes(block.input) in _EMPTY_INPUTS
                start = ToolCallStart(self._call, block.id or "", block.name or "")
                return [start] if self._awaits_input else [start, ToolCallDelta(self._call, input_text(block.input))]
        return []

    def _delta(self, delta: WireDelta) -> list[Event]:
        match delta.type:
            case "text_delta" if delta.text:
                return [TextDelta(delta.text)]
            case "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking)]
            case "signature_delta":
                self._signature += delta.signature
            case "input_json_delta" if delta.partial_json and self._call >= 0:
                self._awaits_input = False
                return [ToolCallDelta(self._call, delta.partial_json)]
        return []

    def _close_block(self) -> list[Event]:
        """A signature is told in one piece, and a tool call without input is one with an empty object."""
        signature, self._signature = self._signature, ""
        awaited, self._awaits_input = self._awaits_input, False
        if signature:
            return [ThinkingDelta(signature=signature)]
        return [ToolCallDelta(self._call, "{}")] if awaited else []

    def _count(self, usage: WireUsage | None) -> None:
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage.then(usage)

    def _fail(self, kind: FailureKind, detail: str) -> list[Event]:
        self._over = True
        return [Failure(kind, detail, self._usage.usage() if self._usage is not None else None)]
