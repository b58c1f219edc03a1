"""An answer on a terminal, or in a pipe: words as they come, thinking dim, everything else on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from junto.cli.output import console, harmless

if TYPE_CHECKING:
    from junto.cli.conversation import Answered


class TerminalScreen:
    """Implements conversation.Screen. Thinking is shown on a terminal only: a pipe gets the answer alone."""

    def __init__(self) -> None:
        self._out = console()
        self._notes = console(stderr=True)
        self._shows_thinking = sys.stdout.isatty()
        self._thought = False
        self._in_line = False

    def text(self, piece: str) -> None:
        if self._thought:
            self._out.print("\n")
            self._thought = False
        self._say(piece, style="")

    def thinking(self, piece: str) -> None:
        if self._shows_thinking:
            self._thought = True
            self._say(piece, style="dim")

    def waiting(self, place: int) -> None:
        self._notes.print(f"waiting at place {place} of the queue", style="dim")

    def end(self, answered: Answered) -> None:
        """Close the line, and say who answered; what went wrong after the first word is said too."""
        if self._in_line:
            self._out.print()
        self._in_line = self._thought = False
        if answered.failure:
            self._notes.print(harmless(answered.failure), style="red")
        self._notes.print(harmless(answered.summary()), style="dim", soft_wrap=True)

    def _say(self, piece: str, *, style: str) -> None:
        self._in_line = not piece.endswith("\n")
        self._out.print(harmless(piece), end="", style=style or None, soft_wrap=True)
