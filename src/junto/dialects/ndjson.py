"""Newline-delimited JSON, sans I/O: where a line ends and what is still incomplete, however the bytes are split.

Owns the framing and its bound. Decodes nothing.
"""

from __future__ import annotations

MOST_BYTES = 8 * 1024 * 1024
# Line ends to Unicode, though not to JSON: clients that split decoded text (Python's `splitlines`) would tear a string there.
_ENDS_TO_SOME = tuple((end.encode(), rb"\u%04x" % ord(end)) for end in ("\u0085", "\u2028", "\u2029"))


class LineTooLong(ValueError):
    """A line without its end is over the bound."""


class LineHold:
    """Parts bytes at the last line end: what is complete goes on, the rest waits for its end within `most_bytes`."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self._held = 0

    def take(self, data: bytes) -> bytes:
        """All bytes up to the last line end, b"" if there is none; the same object where nothing is or was held.

        Raises LineTooLong; then nothing more may be taken.
        """
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._hold(data)
            return b""
        complete = data if end == len(data) else data[:end]
        if self._pieces:
            complete = b"".join((*self._pieces, complete))
            self._pieces, self._held = [], 0
        self._hold(data[end:])
        return complete

    def rest(self) -> bytes:
        """The bytes after the last line end, which are then held no longer."""
        rest = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        return rest

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._most_bytes:
            raise LineTooLong(f"a line is over {self._most_bytes} bytes")


class LineDecoder:
    """Splits a byte stream into lines without their ends; blank lines are left out."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._hold = LineHold(most_bytes)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete. Raises LineTooLong; then nothing more may be fed."""
        return lines_of(self._hold.take(data))

    def end(self) -> list[bytes]:
        """The stream is over: a last line that lacks only its end is taken as complete."""
        return lines_of(self._hold.rest())


def on_one_line(encoded: bytes) -> bytes:
    """Encoded JSON, or lines of it, with every character escaped that some clients take for the end of a line.

    Go's encoder, and so Ollama, does the same. Such characters stand in strings only, so an escape says the same.
    """
    if not encoded.isascii():
        for end, escaped in _ENDS_TO_SOME:
            encoded = encoded.replace(end, escaped)
    return encoded


def lines_of(complete: bytes) -> list[bytes]:
    """The lines of a piece, without blank ones and without white space around them."""
    return [line for line in map(bytes.strip, complete.split(b"\n")) if line]
