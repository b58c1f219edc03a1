"""Watching relayed answers of Ollama: what may pass, and what settlement needs. Hot path: decodes the last line only.

A line that shows that it is not the last (`"done":false`) and names no error passes undecoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import FailureKind
from junto.core.events import FinishReason
from junto.dialects.ndjson import LineHold, LineTooLong
from junto.dialects.ollama.responses import Answer, Ending, finish_of, usage_of

if TYPE_CHECKING:
    from junto.core.usage import Usage

_ENDING = msgspec.json.Decoder(Ending)
_ANSWER = msgspec.json.Decoder(Answer)
_NOT_LAST = b'"done":false'
_LAST = b'"done":true'
_ERROR = b'"error"'
_CALLS = b'"tool_calls"'


class OllamaStreamTap:
    """Passes complete lines; the line of an error, and all after the last line, never pass."""

    def __init__(self, wants_usage: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - the wire always sends it
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0
        self._hold = LineHold()
        self._frame: int | None = None  # bytes of a line that are not content, as the first line has them
        self._called = False

    def feed(self, data: bytes) -> bytes:
        if self._is_over():
            return b""
        try:
            complete = self._hold.take(data)
        except LineTooLong:
            self.failure = FailureKind.TOO_LARGE
            return b""
        return self._pass(complete) if complete else b""

    def end(self) -> bytes:
        if self._is_over():
            return b""
        rest, begun = self._hold.rest(), self._frame is not None
        # Read, however plain it looks: without its end nothing says that the line is whole.
        passed = self._inspect(rest + b"\n") if rest.strip() else b""
        if not self._is_over() or (begun and self.failure is FailureKind.PROTOCOL):
            self.failure = FailureKind.RESET  # a line that was cut off is not read as JSON either
        return passed

    def _is_over(self) -> bool:
        return self.finished or self.failure is not None

    def _pass(self, complete: bytes) -> bytes:
        lines = complete.count(b"\n")
        if self._frame is None:
            self._measure(complete)
        elif self._is_plain(complete, lines):
            self.output_characters += max(0, len(complete) - lines * self._frame)
            return complete
        return self._inspect(complete)

    def _is_plain(self, complete: bytes, lines: int) -> bool:
        """Whether every line is an object that is neither the last one nor an error."""
        return (
            complete[:1] == b"{"
            and complete.count(b"\n{") == lines - 1
            and complete.count(_NOT_LAST) >= lines
            and complete.find(_LAST) < 0  # find, not in: for bytes, `in` first tries its operand as a number
            and complete.find(_ERROR) < 0
            and complete.find(_CALLS) < 0
        )

    def _inspect(self, complete: bytes) -> bytes:
        position = 0
        while position < len(complete):
            end = complete.index(b"\n", position) + 1
            line = complete[position:end]
            if line.strip() and not self._take(line):
                return complete[:position]
            position = end
            if self.finished:
                break
        return complete[:position]

    def _take(self, line: bytes) -> bool:
        """Whether the line may pass, with what it tells remembered."""
        try:
            ending = _ENDING.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.failure = FailureKind.PROTOCOL
            return False
        if ending.error is not None:
            self.failure = FailureKind.SERVER
            return False
        self._called = self._called or _CALLS in line
        if ending.done:
            finish = finish_of(ending, called=self._called)
            self.finished, self.finish_reason, self.usage = True, finish.reason.value, finish.usage
        elif self._frame is not None:
            self.output_characters += max(0, len(line) - self._frame)
        return True

    def _measure(self, complete: bytes) -> None:
        """Learn how long a line is without its content."""
        line = complete.split(b"\n", 1)[0]
        try:
            said = _ANSWER.decode(line).said()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        self._frame = max(0, len(line) + 1 - len(said.content or "") - len(said.thinking or ""))


class OllamaWholeTap:
    """Reads the ending of a whole answer; one that is not an answer does not pass."""

    def __init__(self) -> None:
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0

    def feed(self, data: bytes) -> bytes:
        if self._is_over():
            return b""
        try:
            ending = _ENDING.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.failure = FailureKind.PROTOCOL
            return b""
        return data if self._take(ending, data) else b""

    def end(self) -> bytes:
        if not self._is_over():
            self.failure = FailureKind.RESET
        return b""

    def _is_over(self) -> bool:
        return self.finished or self.failure is not None

    def _take(self, ending: Ending, data: bytes) -> bool:
        if ending.error is not None:
            self.failure = FailureKind.SERVER
        elif not ending.done:
            self.failure = FailureKind.PROTOCOL
        else:
            self.finished = True
            finish = finish_of(ending, called=_CALLS in data)
            self.finish_reason, self.usage = finish.reason.value, finish.usage
            self.output_characters = len(data)
        return self.failure is None


class OllamaVectorsTap(OllamaWholeTap):
    """Reads the usage of an embeddings answer, which has no ending."""

    def _take(self, ending: Ending, data: bytes) -> bool:
        if ending.error is not None:
            self.failure = FailureKind.SERVER
        elif b'"embedding' not in data:
            self.failure = FailureKind.PROTOCOL
        else:
            self.finished = True
            self.finish_reason, self.usage = FinishReason.STOP.value, usage_of(ending)
        return self.failure is None
