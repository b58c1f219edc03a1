"""Where log lines go. Writing a log must never fail what is being logged."""

from __future__ import annotations

import sys
from typing import TextIO


class Sink:
    """A text stream (standard error unless given) whose failures are counted in `lost`, not raised."""

    __slots__ = ("__weakref__", "_stream", "lost")

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.lost = 0

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it as it is written."""
        try:
            return self._stream.isatty()
        except ValueError:  # closed
            return False

    def write(self, text: str) -> int:
        """Write one or more whole lines at once; returns their length."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # nobody reads any more, the disk is full, the stream is closed
            self.lost += 1
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1
