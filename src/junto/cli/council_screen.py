"""Where a council is shown: live on a terminal, or as lines in a pipe, the answer alone on standard output then."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from rich.live import Live

from junto.cli import council_view as view
from junto.cli.council_state import text_of
from junto.cli.output import console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.cli.council_state import Sitting

_FRAMES = 8  # a second


class CouncilScreen(Protocol):
    """Where a sitting appears."""

    def begin(self, sitting: Sitting) -> None:
        """Junto has begun to answer."""

    def show(self, sitting: Sitting, chunk: Mapping[str, Any]) -> None:
        """It goes on: the sitting after that chunk."""

    def waiting(self, place: int) -> None:
        """The question waits for its turn at that place of the queue."""

    def close(self, sitting: Sitting) -> None:
        """It is over, however that came: the terminal is as it was before. Also called when nothing had begun."""

    def end(self, sitting: Sitting) -> None:
        """Say what came of it; called after `close`."""


def council_screen(clock: Callable[[], float]) -> CouncilScreen:
    """The one that fits where standard output goes."""
    is_live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return LiveCouncil(clock) if is_live else PlainCouncil()


class LiveCouncil:
    """Implements CouncilScreen: a view that is drawn anew all the time, and the whole answer below it at the end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._out = console()
        self._notes = console(stderr=True)
        self._sitting: Sitting | None = None
        self._live = Live(
            console=self._out,
            get_renderable=self._frame,
            refresh_per_second=_FRAMES,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def begin(self, sitting: Sitting) -> None:
        self._sitting = sitting
        self._live.start()

    def show(self, sitting: Sitting, chunk: Mapping[str, Any]) -> None:  # noqa: ARG002  drawn from the state alone
        self._sitting = sitting

    def waiting(self, place: int) -> None:
        """Its members wait; that is seen in their time."""

    def close(self, sitting: Sitting) -> None:
        self._sitting = sitting
        self._live.stop()

    def end(self, sitting: Sitting) -> None:
        if sitting.answer:
            self._out.print()
            self._out.print(view.answer_of(sitting.answer))
        self._out.print()
        for line, style in view.closing(sitting):
            self._notes.print(line, style=style)

    def _frame(self) -> Any:
        # Drawn in a thread of Rich's; a sitting never changes, it is replaced.
        sitting = self._sitting
        if sitting is None:
            return ""
        width, height = self._out.size
        return view.frame(sitting, now=self._clock(), width=width, height=height)


class PlainCouncil:
    """Implements CouncilScreen: a line for each step on standard error, and the answer as it comes."""

    def __init__(self) -> None:
        self._out = console()
        self._notes = console(stderr=True)
        self._in_line = False

    def begin(self, sitting: Sitting) -> None:
        """The first line comes with the first step."""

    def show(self, sitting: Sitting, chunk: Mapping[str, Any]) -> None:
        news = chunk.get("council")
        if isinstance(news, dict) and (line := view.line_of(news, sitting)):
            self._notes.print(line, soft_wrap=True)
        if piece := text_of(chunk):
            self._in_line = not piece.endswith("\n")
            self._out.print(piece, end="", soft_wrap=True)

    def waiting(self, place: int) -> None:
        self._notes.print(f"waiting at place {place} of the queue", style="dim")

    def close(self, sitting: Sitting) -> None:  # noqa: ARG002
        if self._in_line:
            self._out.print()
        self._in_line = False

    def end(self, sitting: Sitting) -> None:
        for line, style in view.closing(sitting):
            self._notes.print(line, style=style, soft_wrap=True)
