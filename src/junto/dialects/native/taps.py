"""Watching native answers that are relayed from another Junto. Each line is decoded: this is no hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, UpstreamFailure
from junto.dialects.native.events import UNREADABLE, decode_line
from junto.dialects.native.responses import parse_response
from junto.dialects.ndjson import LineHold, LineTooLong

if TYPE_CHECKING:
    from junto.core.usage import Usage


class LineTap:
    """Passes complete lines up to and with `done`; the line of an error never passes."""

    def __init__(self, wants_usage: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - the wire always sends it
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0
        self._hold = LineHold()

    def feed(self, data: bytes) -> bytes:
        if self._is_over():
            return b""
        try:
            complete = self._hold.take(data)
        except LineTooLong:
            self.failure = FailureKind.TOO_LARGE
            return b""
        passed = [line for line in complete.splitlines(keepends=True) if self._may_pass(line)]
        return b"".join(passed)

    def end(self) -> bytes:
        if self._is_over():
            return b""
        rest = self._hold.rest().strip() + b"\n"
        passed = rest if len(rest) > 1 and self._may_pass(rest) else b""
        if not self._is_over():
            self.failure = FailureKind.RESET
        return passed

    def _is_over(self) -> bool:
        return self.finished or self.failure is not None

    def _may_pass(self, data: bytes) -> bool:
        if self._is_over() or not data.strip():
            return False
        try:
            line = decode_line(data)
        except UNREADABLE:
            self.failure = FailureKind.PROTOCOL
            return False
        self.output_characters += len(line.text)
        if line.type == "done":
            self.finished = True
            self.usage = line.usage.usage if line.usage else None
            self.finish_reason = "tool_calls" if line.tool_calls else "stop"
        elif line.type == "error":
            self.failure = FailureKind.SERVER
        return self.failure is None


class WholeTap:
    """Reads a whole answer; one that is not an answer does not pass."""

    def __init__(self) -> None:
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0

    def feed(self, data: bytes) -> bytes:
        try:
            answer = parse_response(data)
        except UpstreamFailure as failure:
            self.failure = failure.kind
            return b""
        self.finished, self.usage, self.finish_reason = True, answer.usage, answer.reason.value
        self.output_characters = len(answer.text) + sum(len(call.arguments) for call in answer.tool_calls)
        return data

    def end(self) -> bytes:
        if not self.finished and self.failure is None:
            self.failure = FailureKind.RESET
        return b""
