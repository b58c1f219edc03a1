"""How commands print: tables for people, JSON for programs, errors on standard error. Knows nothing of what is printed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

_WIDE = 400  # columns where there is no terminal: lines of a pipe are not folded
# All controls but tab and line feed; then what turns the order of what is shown round, so that a text reads as another one.
_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�"
)


def console(*, stderr: bool = False) -> Console:
    """A console on standard output (or error) that interprets nothing in what it is given."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def harmless(text: str) -> str:
    """Text from elsewhere, fit for a terminal: no escape sequences, no control characters but tabs and line ends, no turned order."""
    return text.translate(_CONTROLS)


def print_json(value: Any) -> None:
    """A value for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: tuple[str, ...] = ()) -> None:
    """Rows under headings; the columns named in `numbers` are aligned to the right."""
    out = console()
    out.print(table_for(out, columns, rows, numbers=numbers))


def table_for(
    out: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: tuple[str, ...] = ()
) -> Table:
    """The table as that console has room for it.

    Where it is narrow, columns stand closer together, and the first one, by which a row is asked for, stays whole.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    longest = max((cell_len(row[0]) for row in rows), default=0)
    for number, column in enumerate(columns):
        stays = not number and longest <= out.width // 2
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold", no_wrap=stays)
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    if Measurement.get(out, out.options.update(width=_WIDE), table).maximum > out.width:
        table.padding = (0, 0)
    return table


def short_usd(amount: str) -> str:
    """An amount without the zeros at its end: `2.5`, `0`."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def complain(message: str) -> None:
    """A message on standard error."""
    typer.secho(harmless(message), fg=typer.colors.RED, err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    complain(message)
    raise typer.Exit(code)
