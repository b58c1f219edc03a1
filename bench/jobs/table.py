"""The jobs' table and its targets. No measuring here."""

from collections.abc import Callable

from bench.jobs.loads import WAITING
from bench.jobs.results import JobsRow
from bench.mock import SLOW_S
from bench.verdicts import Verdict, at_least, at_most, number

TITLE = "Jobs"

Cell = Callable[[JobsRow], str]


def _percentiles(row: JobsRow, name: str) -> str:
    def p50_p99(field: str) -> str:
        return number(row.added(lambda one: getattr(one, name), field))

    return f"{p50_p99('p50')} / {p50_p99('p99')}"


def _waiting(row: JobsRow) -> str:
    most = row.middle(lambda one: one.waiting_most)
    late = row.middle(lambda one: one.waiting.worst - 1000 * SLOW_S)
    return "-" if most is None else f"{most:.0f}, last after {number(late)} ms"


def _memory(row: JobsRow) -> str:
    return f"{number(row.middle(lambda one: one.idle_mb))} / {number(row.middle(lambda one: one.waiting_mb))}"


COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("jobs on", lambda row: row.name),
    ("accepted/s, 16 callers", lambda row: number(row.submitted)),
    ("CPU ms/job accepted", lambda row: number(row.submitted_cpu_ms)),
    ("added ms at once, p50 / p99", lambda row: _percentiles(row, "at_once")),
    ("queued", lambda row: _percentiles(row, "queued")),
    ("jobs/s at once, 8 callers", lambda row: number(row.middle(lambda one: one.at_once_many.rate))),
    ("queued", lambda row: number(row.middle(lambda one: one.queued_many.rate))),
    (f"most of {WAITING} in flight", _waiting),
    ("RSS MB idle / with them", _memory),
    ("errors", lambda row: f"{row.errors:,}"),
)


def cells(row: JobsRow) -> list[str]:
    """Return a row of the table."""
    if row.missing is not None:
        return [row.name, "not measured", *[""] * (len(COLUMNS) - 2)]
    return [cell(row) for _, cell in COLUMNS]


def notes(rows: list[JobsRow]) -> list[str]:
    """Return what stands below the table."""
    if not rows:
        return []
    said = [
        "Jobs: one process that accepts and runs them; added is the caller's wall time less the upstream's own, with one caller.",
        "sqlite-keyed: each job is a client's with a key, limits, a budget and prices.",
    ]
    said += [f"Jobs on {row.name} were not measured: {row.missing}" for row in rows if row.missing is not None]
    return said + [f"jobs on {row.name}: {reason}" for row in rows for reason in row.reasons]


def judge(rows: list[JobsRow]) -> list[Verdict]:
    """Return a verdict for each target of jobs; none where they were not measured."""
    verdicts: list[Verdict] = []
    for row in rows:
        if row.name != "sqlite-keyed":
            least = 300 if row.name == "sqlite" else 500
            verdicts.append(at_least(f"jobs accepted on {row.name}", row.submitted, least, "/s"))
        for name, field in (("at once", "at_once"), ("queued", "queued")):
            added = row.added(lambda one, field=field: getattr(one, field))  # type: ignore[misc]
            verdicts.append(at_most(f"job {name} on {row.name}: added, p50", added, 10, " ms"))
        most = row.middle(lambda one: one.waiting_most)
        verdicts.append(at_least(f"jobs in flight at once on {row.name}", most, WAITING, ""))
    return verdicts
