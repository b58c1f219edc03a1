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
            subject = JobsJunto(row.name, url=url, keyed=row.name.endswith("keyed"))
            folder = stage.folder / f"jobs-{row.name}-{number}"
            port = stage.mock.door.port
            with running(subject, core=stage.cores.gateway, mock_port=port, folder=folder) as gateway:
                row.rounds.append(_measure(stage, gateway, f"round {number + 1}: jobs on {row.name}"))
    except Unavailable as reason:
        row.missing = str(reason)
        stage.console.print(f"[yellow]jobs on {row.name}: {reason}[/yellow]")


def _measure(stage: Stage, gateway: Gateway, title: str) -> JobsRound:
    def measured(load: Load, what: str, target: Gateway = gateway) -> Measured:
        stage.console.print(f"[dim]{title}: {what}[/dim]")
        return drive(load, target.pid, settle_s=stage.plan.settle_s)

    seconds, idle = stage.plan.jobs_s, resident_mb(gateway.pid)
    direct = measured(loads.direct(stage.mock, min(seconds, 0.5)), "the upstream alone", stage.mock)
    one: Callable[[Gateway, float], Load]
    found = {}
    for name, one in (
        ("at_once", loads.at_once),
        ("at_once_many", loads.many_at_once),
        ("queued", loads.queued),
        ("queued_many", loads.many_queued),
    ):
        found[name] = measured(one(gateway, seconds), name).outcome
    _most_waiting(stage.mock)
    waiting = measured(loads.waiting(gateway), f"{loads.WAITING} waiting")
    most, waiting_mb = _most_waiting(stage.mock), resident_mb(gateway.pid)
    accepted = measured(loads.accepted(gateway, seconds), "accepted")
    return JobsRound(
        direct=direct.outcome,
        **found,
        waiting=waiting.outcome,
        waiting_most=most,
        waiting_mb=waiting_mb,
        idle_mb=idle,
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
