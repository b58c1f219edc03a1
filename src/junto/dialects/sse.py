"""Server-sent events, sans I/O: bytes in, events out, however the bytes are split.

Owns the framing of the HTML standard (line ends, BOM, comments, multi-line data) and its bounds. Knows nothing of what
the data means, and leaves out `id` and `retry`, which no dialect uses.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event: its `event:` name ("" when it has none) and its data lines, joined by newlines."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    """An event, or a line that may become one, is over the bound."""


class SseDecoder:
    """Splits a byte stream into events; holds at most `most_bytes` of one that is not complete."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []  # of a line without its end
        self._held = 0
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._at_start = True
        self._after_cr = False  # the last chunk ended in CR: an LF that follows belongs to it

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete. Raises EventTooLarge; then nothing more may be fed."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if self._at_start:
            data = self._without_bom(data)
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, newline, rest = data.partition(b"\n")
        if not newline:
            self._hold(first)
            return []
        if self._pieces:
            self._pieces.append(first)
            first = b"".join(self._pieces)
            self._pieces, self._held = [], 0
        *lines, last = rest.split(b"\n")
        events: list[ServerSentEvent] = []
        self._take(first, events)
        for line in lines:
            self._take(line, events)
        self._hold(last)
        return events

    def end(self) -> list[ServerSentEvent]:
        """The stream is over: an event that lacks only its closing line ends is taken as complete."""
        events: list[ServerSentEvent] = []
        for line in (b"".join(self._pieces), b""):
            self._take(line, events)
        self._pieces, self._held = [], 0
        return events

    def _without_bom(self, data: bytes) -> bytes:
        start = b"".join(self._pieces) + data
        self._pieces, self._held = [], 0
        self._at_start = len(start) < len(_BOM) and _BOM.startswith(start)
        return start if self._at_start else start.removeprefix(_BOM)

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        self._bound(self._held)

    def _bound(self, size: int) -> None:
        if size + self._data_bytes > self._most_bytes:
            raise EventTooLarge(f"an event is over {self._most_bytes} bytes")

    def _take(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if not line:
            if self._data:
                events.append(ServerSentEvent(self._name, b"\n".join(self._data)))
            self._name, self._data, self._data_bytes = "", [], 0
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._bound(len(value))
            self._data.append(value)
            self._data_bytes += len(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
