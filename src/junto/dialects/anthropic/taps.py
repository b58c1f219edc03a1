"""Watching relayed answers of Anthropic: what may pass, and what settlement needs. Hot path: deltas are not decoded.

Only whole events pass, so an upstream's error text cannot slip out in part and an error can follow at any time. A substring
that is looked for cannot be part of content: inside a JSON string every quote has a backslash before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import FailureKind
from junto.dialects.anthropic.errors import stream_failure
from junto.dialects.anthropic.events import WireEvent
from junto.dialects.anthropic.responses import WireMessage
from junto.dialects.anthropic.usage import WireUsage, parse_reason
from junto.dialects.sse import MOST_BYTES

if TYPE_CHECKING:
    from junto.core.usage import Usage

_EVENT = msgspec.json.Decoder(WireEvent)
_MESSAGE = msgspec.json.Decoder(WireMessage)
_DELTA = b'{"type":"content_block_delta"'
_PLAIN_START = b"event: content_block_delta\ndata: " + _DELTA
_TEXT = b'"text_delta"'
_TEXT_FRAME, _OTHER_FRAME = 115, 126  # bytes of an event with a delta that are not content
_FIELDS = (b"event:", b"data:", b":", b"id:", b"retry:")
_SIGNATURE = b'"signature_delta"'
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class AnthropicStreamTap:
    """Passes complete events; an error, and all after message_stop, never pass."""

    def __init__(self, wants_usage: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - the wire always sends it
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0
        self._counts: WireUsage | None = None
        self._pieces: list[bytes] = []  # of an event that is not complete
        self._held = 0
        self._seam = b""  # the last bytes of what is held: a blank line may be cut in two
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        if self._is_over():
            return b""
        if not self._pieces and data.endswith(b"\n\n"):
            return self._pass(data)
        return self._gather(data)

    def end(self) -> bytes:
        if self._is_over():
            return b""
        rest = b"".join(self._pieces)
        begun = self._begun
        passed = self._pass(rest.rstrip(b"\r\n") + b"\n\n") if rest.strip() else b""
        if not self._is_over() or (begun and self.failure is FailureKind.PROTOCOL):
            self.failure = FailureKind.RESET  # an event that was cut off is not read as JSON either
        return passed if self.finished else b""

    def _is_over(self) -> bool:
        return self.finished or self.failure is not None

    def _gather(self, data: bytes) -> bytes:
        """Put pieces together up to the last event that is complete; the rest waits."""
        end = _end_of_events(self._seam + data) - len(self._seam)
        if end <= 0:
            self._hold(data)
            return b""
        complete = b"".join((*self._pieces, data[:end]))
        self._pieces, self._held, self._seam = [], 0, b""
        self._hold(data[end:])
        return self._pass(complete)

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        self._seam = (self._seam + piece)[-3:]
        if self._held > MOST_BYTES:
            self.failure = FailureKind.TOO_LARGE
            self._pieces = []

    def _pass(self, complete: bytes) -> bytes:
        deltas = complete.count(_PLAIN_START)
        if deltas and complete.count(b"\n\n") == deltas and complete.count(b"\n") == 3 * deltas and self._begun:
            self.output_characters += _said(complete, deltas)
            return complete
        return self._inspect(complete)

    def _inspect(self, complete: bytes) -> bytes:
        """Event by event, up to the first that must not pass."""
        position = 0
        for event in _split(complete):
            if not self._admit(event):
                return complete[:position]
            position += len(event)
            if self.finished:
                break
        return complete[:position]

    def _admit(self, event: bytes) -> bool:
        """Whether the event may pass, with what it tells remembered."""
        lines = [line for line in event.splitlines() if line]
        if not all(line.startswith(_FIELDS) for line in lines):
            self.failure = FailureKind.PROTOCOL
            return False
        data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
        if data.startswith(_DELTA):
            self.output_characters += _said(event, 1)
        elif data:
            self._read(data)
        elif any(line[6:].strip() == b"error" for line in lines if line.startswith(b"event:")):
            self.failure = FailureKind.SERVER
        return self.failure is None

    def _read(self, data: bytes) -> None:
        try:
            event = _EVENT.decode(data)
        except _UNREADABLE:
            self.failure = FailureKind.PROTOCOL
            return
        self._begun = True
        if event.type == "error" or event.error is not None:
            self.failure = stream_failure(event.error)[0]
        elif not event.type:
            self.failure = FailureKind.PROTOCOL
        elif event.type == "content_block_delta" and event.delta is not None:
            self.output_characters += len(event.delta.text) + len(event.delta.thinking) + len(event.delta.partial_json)
        elif event.type == "message_start" and event.message is not None:
            self._count(event.message.usage)
        elif event.type == "message_delta":
            self._count(event.usage)
            if event.delta is not None and event.delta.stop_reason is not None:
                self.finish_reason = parse_reason(event.delta.stop_reason).value
        elif event.type == "message_stop":
            self.finished = True

    def _count(self, usage: WireUsage | None) -> None:
        if usage is not None:
            self._counts = usage if self._counts is None else self._counts.then(usage)
            self.usage = self._counts.usage()


class AnthropicWholeTap:
    """Reads the usage of a whole answer; one that is not an answer does not pass."""

    def __init__(self) -> None:
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0

    def feed(self, data: bytes) -> bytes:
        if self.finished or self.failure is not None:
            return b""
        try:
            message = _MESSAGE.decode(data)
        except _UNREADABLE:
            self.failure = FailureKind.PROTOCOL
            return b""
        if message.type != "message":
            error = message.type == "error"
            self.failure = stream_failure(message.error)[0] if error else FailureKind.PROTOCOL
            return b""
        self.finished = True
        self.finish_reason = parse_reason(message.stop_reason).value
        self.usage = message.usage.usage() if message.usage is not None else None
        self.output_characters = sum(len(block.text or block.thinking or "") for block in message.content)
        return data

    def end(self) -> bytes:
        if not self.finished and self.failure is None:
            self.failure = FailureKind.RESET
        return b""


def _said(deltas: bytes, count: int) -> int:
    """An estimate of the characters in so many deltas of, most likely, one kind."""
    if deltas.find(_SIGNATURE) >= 0:
        return 0
    return max(0, len(deltas) - count * (_TEXT_FRAME if deltas.find(_TEXT) >= 0 else _OTHER_FRAME))


def _end_of_events(data: bytes) -> int:
    """Where the last blank line ends, 0 if there is none."""
    end = data.rfind(b"\n\n") + 2
    found = end if end > 1 else 0
    if data.find(b"\r") >= 0:
        for mark in (b"\r\n\r\n", b"\r\r"):
            position = data.rfind(mark)
            found = max(found, position + len(mark) if position >= 0 else 0)
    return found


def _split(complete: bytes) -> list[bytes]:
    """The events with the blank lines after them."""
    events: list[bytes] = []
    current: list[bytes] = []
    for line in complete.splitlines(keepends=True):
        current.append(line)
        if not line.strip(b"\r\n"):
            events.append(b"".join(current))
            current = []
    return [*events, b"".join(current)] if current else events
