"""Shows results: a table on the terminal, the same as markdown, and everything as JSON. No measuring here."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.jobs import table as jobs_table
from bench.results import Results, Row, added_ms, middle, ratio
from bench.scenarios import Scenario
from bench.verdicts import Verdict, number

_STREAMS: tuple[tuple[Scenario, str], ...] = (
    ("stream", ""),
    ("stream-anthropic", "Anthropic "),
    ("stream-ollama", "Ollama "),
)

Cell = Callable[[Results, Row], str]


def _times(value: float | None) -> str:
    return "" if value is None else f" ({number(value)}x)"


def _unary(results: Results, row: Row) -> str:
    over = None if row.name == "direct" else ratio(row, "unary", results.row("nginx"))
    return number(row.cpu_us("unary")) + _times(over)


def _stream(results: Results, row: Row) -> str:
    """Show the cost of an event; the translating Junto has one for each dialect of the upstream."""
    if row.name == "direct":
        return number(row.cpu_us("stream"))
    nginx = results.row("nginx")
    parts = [
        f"{name}{number(row.cpu_us(scenario))}{_times(ratio(row, scenario, nginx, 'stream'))}"
        for scenario, name in _STREAMS
        if row.of(scenario)
    ]
    return ", ".join(parts) or "-"


def _large(results: Results, row: Row) -> str:
    del results
    cost = row.cpu_us("large")
    return number(cost / 1000 if cost else None)


def _latency(results: Results, row: Row) -> str:
    if row.name == "direct":
        return number(row.seen("latency", "p50")) + " alone"
    return number(added_ms(row, results.row("direct"), "latency", "p50"))


def _memory(results: Results, row: Row) -> str:
    del results
    idle, after = number(row.idle_mb), number(row.after_mb)
    return "-" if row.idle_mb is None else f"{idle} / {after}"


def _errors(results: Results, row: Row) -> str:
    del results
    return f"{row.errors:,} of {row.requests:,}"


COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("gateway", lambda _, row: f"{row.name} {row.version}".strip()),
    ("requests/s", lambda _, row: number(row.seen("unary", "rate"))),
    ("CPU us/request (over nginx)", _unary),
    (
        "p50 / p99 ms, 32 conn.",
        lambda _, row: f"{number(row.seen('unary', 'p50'))} / {number(row.seen('unary', 'p99'))}",
    ),
    ("added ms, 1 conn.", _latency),
    ("CPU us/event (over nginx)", _stream),
    ("400 kB body, CPU ms", _large),
    ("cold start s", lambda _, row: number(middle(row.cold_starts_s))),
    ("RSS MB idle / after", _memory),
    ("errors", _errors),
)


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    if len(results.rows) > 1:
        gateways = _table("Gateways in front of the same mock upstream", [title for title, _ in COLUMNS])
        for row in results.rows:
            gateways.add_row(*_cells(results, row), style="red" if row.errors else None)
        console.print(gateways)
    if results.jobs:
        jobs = _table(jobs_table.TITLE, [title for title, _ in jobs_table.COLUMNS])
        for each in results.jobs:
            jobs.add_row(*jobs_table.cells(each), style="red" if each.errors else None)
        console.print(jobs)
    targets = Table(title="Targets", title_justify="left")
    for title in ("", "target", "wanted", "found"):
        targets.add_column(title)
    for verdict in results.verdicts:
        style = {True: "green", False: "red", None: "dim"}[verdict.met]
        targets.add_row(_mark(verdict), verdict.target, verdict.wanted, verdict.found, style=style)
    console.print(targets)
    for note in _notes(results):
        console.print(f"[dim]{note}[/dim]")


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    return table


def write(results: Results, folder: Path, label: str) -> tuple[Path, Path]:
    """Write `<label>.json` and `<label>.md`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / f"{label}.json", folder / f"{label}.md"
    data.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    page.write_text(markdown(results), encoding="utf-8")
    return data, page


def markdown(results: Results) -> str:
    """Return the results as a page."""
    titles = [title for title, _ in COLUMNS]
    lines = [
        f"# Benchmark of {results.when}",
        "",
        *(_grid(titles, [_cells(results, row) for row in results.rows]) if results.rows else ()),
        "",
        *_jobs(results),
        *_grid(
            ["target", "wanted", "found", "met"],
            [[v.target, v.wanted, v.found, _mark(v)] for v in results.verdicts],
        ),
        "",
        *(f"- {note}" for note in _notes(results)),
        "",
    ]
    return "\n".join(lines)


def _jobs(results: Results) -> list[str]:
    if not results.jobs:
        return []
    titles = [title for title, _ in jobs_table.COLUMNS]
    return [*_grid(titles, [jobs_table.cells(row) for row in results.jobs]), ""]


def _cells(results: Results, row: Row) -> list[str]:
    if row.missing is not None:
        return [row.name, _gist(row.missing), *[""] * (len(COLUMNS) - 2)]
    return [cell(results, row) for _, cell in COLUMNS]


def _gist(reason: str) -> str:
    """Return the start of a reason; the whole of it stands below the table."""
    return reason.partition(":")[0].partition(" (")[0]


def _mark(verdict: Verdict) -> str:
    return {True: "✓", False: "✗", None: "·"}[verdict.met]


def _grid(titles: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(titles), "|" + "---|" * len(titles), *(line(row) for row in rows)]


def _notes(results: Results) -> list[str]:
    machine, plan = results.machine, results.plan
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    notes = [
        f"Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}, kernel {machine.kernel}.",
        f"Python {machine.python}; {versions}; Junto at commit {machine.commit}.",
        f"Pinning: {machine.pinning}. Load average before the run: {machine.load_average_before:g}.",
        f"{plan.rounds} interleaved rounds, medians; ratios are medians of the ratios within a round. Took {results.took_s:.0f} s.",
        "CPU is user + system time of the gateway's whole process tree, work put off until after the answers included.",
        "The row `direct` is the mock itself: its CPU is what the upstream costs, its rate what the load generator can do.",
        "Cold start: from the spawn of the process to the first good answer, files in the page cache.",
    ]
    if machine.load_average_before > 0.5:
        notes.append("The machine was busy: believe the ratios, not the rates and latencies.")
    notes += jobs_table.notes(results.jobs)
    notes += [f"{row.name} was not measured: {row.missing}" for row in results.rows if row.missing is not None]
    notes += [f"{row.name}: {reason}" for row in results.rows for reason in row.reasons]
    return notes
