"""How a council looks: from its state to what Rich draws on a terminal, and to lines for a pipe. Pure: no clock, no console.

The state is fit for a terminal already; markup and links in it mean nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markdown import Markdown
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from junto.cli.council_state import ACTIVE, GONE, Seat, Sitting, Status
from junto.cli.output import harmless, short_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_STYLES: Final = {
    Status.SAID: "green",
    Status.MISSING: "red",
    Status.LATE: "yellow",
    Status.LEFT_OUT: "yellow",
    **dict.fromkeys(ACTIVE, "bold cyan"),
}
# Each column with the least width of a screen that has room for it.
_COLUMNS: Final = {"member": 0, "model": 50, "backend": 80, "state": 0, "time": 0, "tokens": 80, "cost": 64}
_NUMBERS: Final = frozenset({"time", "tokens", "cost"})
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPINS: Final = 8  # a second
_FRAME_LINES: Final = 7  # besides the seats: the heading, the table's own lines, a rule, the cursor's
_LEAST_LINES: Final = 3
_MOST_OPINION_LINES: Final = 4
_LIVE_CHARACTERS: Final = 8_000  # of the answer, while it grows: more than a screen shows
_SHORT: Final = 160


class Cut:
    """The first or the last lines of something."""

    def __init__(self, whole: RenderableType, lines: int, *, last: bool = False) -> None:
        self._whole = whole
        self._lines = lines
        self._last = last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._whole, options.update(height=None), pad=False)
        for line in lines[-self._lines :] if self._last else lines[: self._lines]:
            yield from line
            yield Segment.line()


def frame(sitting: Sitting, *, now: float, width: int, height: int) -> RenderableType:
    """Everything on a screen of that size; when the sitting is over, only who sat and what became of them."""
    gone = [one for one in sitting.seats if one.status in GONE and one.reason]
    parts: list[RenderableType] = [_heading(sitting, now), _table(sitting, now, width)]
    parts += [
        Text(f"{one.name} is {one.status.value}: {one.reason}", style="yellow", overflow="ellipsis", no_wrap=True)
        for one in gone
    ]
    if sitting.is_over:
        return Group(*parts)
    room = max(_LEAST_LINES, height - len(sitting.seats) - len(gone) - _FRAME_LINES)
    if sitting.answer:
        parts += [
            Rule("synthesis", align="left", style="dim"),
            Cut(answer_of(sitting.answer[-_LIVE_CHARACTERS:]), room, last=True),
        ]
    else:
        parts += _opinions(sitting, room)
    return Group(*parts)


def answer_of(text: str) -> Markdown:
    """Markdown in which a link is its address, so that none leads where it does not say."""
    return Markdown(text, hyperlinks=False)


def closing(sitting: Sitting) -> Iterator[tuple[str, str]]:
    """What there is to say at the end, as lines with their style."""
    report = sitting.report
    if sitting.failure:
        yield sitting.failure, "red"
    if report.get("degraded") is True or report.get("note"):
        word = "Degraded" if report.get("degraded") is True else "Note"
        yield f"{word}. {_note(report)}", "yellow"
    yield summary(sitting), "dim"


def summary(sitting: Sitting) -> str:
    """One line: who was heard, with how many tokens, for how much, in what time."""
    parts = [f"council/{sitting.template}" if sitting.template else "no council"]
    quorum = sitting.report.get("quorum")
    if isinstance(quorum, dict):
        members = sum(not one.is_chair for one in sitting.seats)
        met = "met" if quorum.get("met") is True else "missed"
        parts.append(f"{quorum.get('heard')} of {members} members heard, quorum of {quorum.get('needed')} {met}")
    usage = sitting.report.get("usage")
    about = "about " if isinstance(usage, dict) and usage.get("estimated") is True else ""
    parts += [f"{about}{sitting.tokens:,} tokens", usd(sitting.cost), seconds(sitting.lasted(sitting.started))]
    if sitting.stopped:
        parts.append("stopped")
    return harmless(" · ".join(parts))


def line_of(news: Mapping[str, Any], sitting: Sitting) -> str:
    """A step of the sitting, which has taken it in already, as a line; "" for one that needs none."""
    seat = next((one for one in sitting.seats if one.name == news.get("name")), None)
    match news.get("event"):
        case "convened":
            return _convened(sitting)
        case "round" | "ranking":
            return sitting.stage
        case "synthesis":
            chair = next((one for one in sitting.seats if one.is_chair), None)
            return "" if chair is None else f"synthesis by {chair.name}{_where(chair)}"
        case "said" if seat is not None:
            said = "ranked the others" if news.get("role") == "ballot" else f"said: {shortened(seat.opinion)}"
            return f"{seat.name}{_where(seat)} {said}"
        case "missed":
            word = "late" if news.get("late") is True else "missing"
            return harmless(f"{news.get('name')} is {word}: {news.get('reason')}")
        case "waiting":
            names = news.get("names")
            whom = ", ".join(str(one) for one in names) if isinstance(names, list) else ""
            return harmless(f"waiting for {whom} ({news.get('seconds')} s)")
        case _:
            return ""


def shortened(text: str, most: int = _SHORT) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def usd(amount: Decimal) -> str:
    """Dollars, as many places as they need."""
    return f"${short_usd(f'{amount:f}')}"


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"  # noqa: PLR2004  as many digits as help


def _heading(sitting: Sitting, now: float) -> Text:
    name = f"council/{sitting.template}" if sitting.template else "council"
    stage = sitting.stage
    if sitting.is_over:
        stage = "stopped" if sitting.stopped else "failed" if sitting.failure else "over"
    parts = [stage, seconds(sitting.lasted(now)), f"{sitting.tokens:,} tokens", usd(sitting.cost)]
    return Text.assemble((name, "bold"), f" · {' · '.join(parts)}")


def _table(sitting: Sitting, now: float, width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    columns = [name for name, least in _COLUMNS.items() if width >= least]
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in _NUMBERS else "left"
        table.add_column(name, overflow="ellipsis", no_wrap=True, justify=justify)
    for one in sitting.seats:
        cells = _cells(one, now)
        table.add_row(*(cells[name] for name in columns))
    return table


def _cells(seat: Seat, now: float) -> dict[str, Text]:
    lasted = seat.lasted(now)
    spin = f"{_SPINNER[int(now * _SPINS) % len(_SPINNER)]} " if seat.status in ACTIVE else ""
    office = " (chair)" if seat.is_chair and seat.name.casefold() != "chair" else ""
    return {
        "member": Text.assemble(seat.name, (office, "dim")),
        "model": Text(seat.model or "-"),
        "backend": Text(seat.backend or "-"),
        "state": Text(f"{spin}{seat.status.value}", style=_STYLES.get(seat.status, "dim")),
        "time": Text(seconds(lasted) if lasted else "-"),
        "tokens": Text(f"{seat.tokens:,}" if seat.tokens else "-"),
        "cost": Text(usd(seat.cost) if seat.tokens else "-"),
    }


def _opinions(sitting: Sitting, room: int) -> list[RenderableType]:
    heard = [one for one in sitting.seats if one.opinion]
    if not heard:
        return []
    each = max(1, min(_MOST_OPINION_LINES, room // len(heard)))
    lines: list[RenderableType] = [
        Cut(Text.assemble((f"{one.name}: ", "bold"), (" ".join(one.opinion.split()), "dim")), each) for one in heard
    ]
    return [Rule("opinions", align="left", style="dim"), Cut(Group(*lines), room)]


def _convened(sitting: Sitting) -> str:
    here = ", ".join(
        f"{one.name} ({one.model})" for one in sitting.seats if not one.is_chair and one.status not in GONE
    )
    out = [
        f"{one.name} is left out{f': {one.reason}' if one.reason else ''}"
        for one in sitting.seats
        if one.status in GONE
    ]
    rounds = "1 round" if sitting.rounds == 1 else f"{sitting.rounds} rounds"
    return "; ".join([f"council/{sitting.template}: {here}", f"{rounds}, quorum {sitting.quorum}", *out])


def _where(seat: Seat) -> str:
    place = f"{seat.model} on {seat.backend}" if seat.model and seat.backend else seat.model
    return f" ({place})" if place else ""


def _note(report: Mapping[str, Any]) -> str:
    missing = report.get("missing")
    told = report.get("note") or "; ".join(str(one) for one in (missing if isinstance(missing, list) else []))
    return " ".join(harmless(str(told)).split())
