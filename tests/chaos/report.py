"""What the scenarios found out, one row each: printed at the end of a run, and kept in docs/reliability.md by a full one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
PROPERTY: Final = "chaos"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_HEAD: Final = (
    "scenario",
    "attempted",
    "lost",
    "doubled",
    "stale writes refused",
    "recovery p100",
    "took",
    "also",
    "day",
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of one run. Numbers that a scenario does not ask about are None; times are seconds."""

    scenario: str
    attempted: str
    lost: int | None = None
    doubled: int | None = None
    refused: int | None = None
    recovery: float | None = None
    seconds: float
    also: str = ""
    day: str

    def cells(self) -> list[str]:
        """The row as text."""
        numbers = ["-" if number is None else f"{number:,}" for number in (self.lost, self.doubled, self.refused)]
        recovery = "-" if self.recovery is None else f"{self.recovery:.1f} s"
        return [self.scenario, self.attempted, *numbers, recovery, f"{self.seconds:.0f} s", self.also, self.day]


def row_of(found: Any) -> Row:
    """A row from what pytest carried."""
    return msgspec.convert(found, Row)


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    return "\n".join([_line(_HEAD), _line(["---"] * len(_HEAD)), *(_line(row.cells()) for row in rows)])


def keep(rows: Iterable[Row], document: Path = DOCUMENT) -> None:
    """Put the rows into the document's table; those of scenarios that were not run stay as they are."""
    text = document.read_text("utf-8")
    before, rest = text.split(_BEGIN)
    kept, after = rest.split(_END)
    lines = {cells(line)[0]: line for line in kept.strip().splitlines()[2:]}
    lines.update({row.scenario: _line(row.cells()) for row in rows})
    table = "\n".join([_line(_HEAD), _line(["---"] * len(_HEAD)), *(lines[name] for name in sorted(lines))])
    document.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", "utf-8")


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in re.split(r"\s*\|\s*", line.strip().strip("|"))]


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"
