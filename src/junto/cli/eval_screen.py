"""How far a run of cases is: a bar with its end in sight on a terminal, a line now and then in a pipe. On standard error only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

from junto.cli.output import console, harmless

if TYPE_CHECKING:
    from junto.cli.eval_figures import Outcome

_LINES: Final = 20  # of progress, over a whole run
_MOST_FAILURES: Final = 20  # told one by one
_SHORT: Final = 300


class RunScreen(Protocol):
    """Where a run appears."""

    def begin(self, calls: int) -> None:
        """So many calls are to be made."""

    def show(self, outcome: Outcome) -> None:
        """One of them has ended."""

    def close(self) -> None:
        """The run is over, however that came; also called when nothing had begun."""


def run_screen() -> RunScreen:
    """The one that fits where standard error goes."""
    return LiveRun() if sys.stderr.isatty() else PlainRun()


class _Failures:
    """Failures as lines, the first of them; after those they are only counted."""

    def __init__(self) -> None:
        self.count = 0

    def line_of(self, outcome: Outcome) -> str:
        """What there is to tell of an outcome, "" for nothing."""
        reason = outcome.failure or outcome.judge_failure
        if not reason:
            return ""
        self.count += 1
        if self.count > _MOST_FAILURES:
            return "Further failures are counted, not told." if self.count == _MOST_FAILURES + 1 else ""
        whose = "its judge" if outcome.judge_failure else outcome.model
        return harmless(f"{outcome.case_id} at {whose}: {' '.join(reason.split())[:_SHORT]}")


class LiveRun:
    """Implements RunScreen: a bar with counts and the time that is left."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._failures = _Failures()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            Remaining(),
            console=console(stderr=True),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._calls = self._progress.add_task("calls", total=None, failed=0)

    def begin(self, calls: int) -> None:
        self._progress.update(self._calls, total=calls)
        self._progress.start()

    def show(self, outcome: Outcome) -> None:
        if line := self._failures.line_of(outcome):
            self._progress.console.print(line, style="red")
        self._progress.update(self._calls, advance=1, failed=self._failures.count)

    def close(self) -> None:
        self._progress.stop()


class PlainRun:
    """Implements RunScreen: at most so many lines, whatever the length of the run, and one for each of the first failures."""

    def __init__(self) -> None:
        self._out = console(stderr=True)
        self._failures = _Failures()
        self._calls = 0
        self._done = 0

    def begin(self, calls: int) -> None:
        self._calls = calls

    def show(self, outcome: Outcome) -> None:
        if line := self._failures.line_of(outcome):
            self._out.print(line, soft_wrap=True)
        self._done += 1
        before, now = ((done * _LINES) // self._calls for done in (self._done - 1, self._done))
        if now > before:
            failed = f", {self._failures.count} failed" if self._failures.count else ""
            self._out.print(f"{self._done} of {self._calls} calls{failed}", soft_wrap=True)

    def close(self) -> None:
        """Every line stands already."""
