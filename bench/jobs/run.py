"""Runs the jobs' part: round after round, a fresh Junto on each database, one load after the other."""

import http.client
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from bench.drive import Measured, drive
from bench.jobs import loads
from bench.jobs.postgres import postgres
from bench.jobs.results import JobsRound, JobsRow
from bench.jobs.subject import JobsJunto
from bench.measure import resident_mb
from bench.mock import WAITING
from bench.process import Gateway, running
from bench.rounds import Stage
from bench.spec import Load
from bench.subjects.subject import Unavailable

PLACES: Final = ("sqlite", "sqlite-keyed", "postgres")

_LOADS: Final[tuple[tuple[str, Callable[[Gateway, float], Load]], ...]] = (
    ("at_once", loads.at_once),
    ("at_once_many", loads.many_at_once),
    ("queued", loads.queued),
    ("queued_many", loads.many_queued),
)


def run_jobs(stage: Stage) -> list[JobsRow]:
    """Measure jobs on every database that can be had."""
    rows = [JobsRow(name=name) for name in PLACES]
    for number in range(stage.plan.rounds):
        for row in rows:
            if row.missing is None:
                _round(stage, row, number)
    return rows


def _round(stage: Stage, row: JobsRow, number: int) -> None:
    database: AbstractContextManager[str | None] = (
        postgres(stage.cores.load) if row.name == "postgres" else nullcontext()
    )
    try:
        with database as url:
            row.rounds.append(_measure(stage, row.name, url, number))
    except Unavailable as reason:
        row.missing = str(reason)
        stage.console.print(f"[yellow]jobs on {row.name}: {reason}[/yellow]")


def _measure(stage: Stage, name: str, url: str | None, number: int) -> JobsRound:
    def begun(*, busy: bool) -> AbstractContextManager[Gateway]:
        subject = JobsJunto(name, url=url, keyed=name.endswith("keyed"), busy=busy)
        folder = stage.folder / f"jobs-{name}-{number}{'-busy' * busy}"
        return running(subject, core=stage.cores.gateway, mock_port=stage.mock.door.port, folder=folder)

    def measured(load: Load, what: str, gateway: Gateway) -> Measured:
        stage.console.print(f"[dim]round {number + 1}: jobs on {name}: {what}[/dim]")
        return drive(load, gateway.pid, settle_s=stage.plan.settle_s)

    seconds, found = stage.plan.jobs_s, {}
    found["direct"] = measured(loads.direct(stage.mock, min(seconds, 0.5)), "the upstream alone", stage.mock).outcome
    with begun(busy=False) as gateway:
        idle_mb = resident_mb(gateway.pid)
        for what, load in _LOADS:
            found[what] = measured(load(gateway, seconds), what, gateway).outcome
        _most_waiting(stage.mock)
        found["waiting"] = measured(loads.waiting(gateway), f"{loads.WAITING} waiting", gateway).outcome
        most, waiting_mb = _most_waiting(stage.mock), resident_mb(gateway.pid)
    with begun(busy=True) as gateway:
        accepted = measured(loads.accepted(gateway, seconds), "accepted", gateway)
    return JobsRound(
        **found,
        waiting_most=most,
        waiting_mb=waiting_mb,
        idle_mb=idle_mb,
        accepted=accepted.outcome,
        accepted_cpu_s=accepted.cpu_s,
    )


def _most_waiting(mock: Gateway) -> int:
    """Ask the mock for the most requests that waited together since the last time."""
    connection = http.client.HTTPConnection("127.0.0.1", mock.door.port, timeout=10)
    try:
        connection.request("GET", WAITING)
        return int(json.loads(connection.getresponse().read())["most"])
    finally:
        connection.close()
