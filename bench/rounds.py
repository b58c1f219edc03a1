"""The run itself: start every gateway, then round after round give each its turn in each scenario.

Turns are interleaved, so that noise from the rest of the machine falls on all alike.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.drive import drive
from bench.machine import Cores
from bench.measure import resident_mb, slope
from bench.process import Gateway, running
from bench.results import Memory, Row, Sample, middle
from bench.scenarios import Plan, Scenario, applies, load_of, memory_load
from bench.subjects.subject import Subject, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every part of a run needs."""

    plan: Plan
    cores: Cores
    mock: Gateway
    folder: Path
    console: Console


def run(stage: Stage, subjects: Iterable[Subject]) -> list[Row]:
    """Measure every subject that can be had; the first row is the mock itself, asked directly."""
    direct = Row(name="direct", version="the mock itself")
    rows = [direct]
    with ExitStack() as stack:
        gateways = [(stage.mock, direct)]
        for subject in subjects:
            row = Row(name=subject.name)
            rows.append(row)
            gateway = _bring_up(stage, subject, row, stack)
            if gateway is not None:
                gateways.append((gateway, row))
        for number in range(stage.plan.rounds):
            for scenario in stage.plan.scenarios:
                _turn(stage, gateways, scenario, number)
        for gateway, row in gateways:
            row.after_mb = resident_mb(gateway.pid)
    return rows


def watch_memory(stage: Stage, subject: Subject, row: Row) -> None:
    """Start the gateway anew and sample its memory through many requests."""
    requests = stage.plan.memory_requests
    stage.console.print(f"[dim]memory: {requests:,} requests through {subject.name}[/dim]")
    folder = stage.folder / f"{subject.name}-memory"
    port = stage.mock.door.port
    with running(subject, core=stage.cores.gateway, mock_port=port, folder=folder) as gateway:
        samples = [(0, resident_mb(gateway.pid))]
        measured = drive(
            memory_load(gateway, requests),
            gateway.pid,
            settle_s=stage.plan.settle_s,
            on_progress=lambda done: samples.append((done, resident_mb(gateway.pid))),
        )
    row.memory = Memory(samples=samples, slope=slope(samples[1:]), errors=measured.outcome.errors)


def _bring_up(stage: Stage, subject: Subject, row: Row, stack: ExitStack) -> Gateway | None:
    """Time its cold starts and leave the last one running; on failure the row says why."""
    stage.console.print(f"[dim]starting {subject.name}[/dim]")
    starts = 1 if subject.slow else stage.plan.cold_starts
    try:
        row.version = subject.obtain()
        for number in range(starts):
            folder = stage.folder / f"{subject.name}-{number}"
            context = running(subject, core=stage.cores.gateway, mock_port=stage.mock.door.port, folder=folder)
            if number == starts - 1:
                gateway = stack.enter_context(context)
                _note_start(gateway, row)
                row.idle_mb = resident_mb(gateway.pid)
                return gateway
            with context as trial:
                _note_start(trial, row)
    except Unavailable as reason:
        row.missing = str(reason)
        stage.console.print(f"[yellow]{subject.name}: {reason}[/yellow]")
    return None


def _note_start(gateway: Gateway, row: Row) -> None:
    if gateway.cold_start_s is not None:
        row.cold_starts_s.append(gateway.cold_start_s)


def _turn(stage: Stage, gateways: list[tuple[Gateway, Row]], scenario: Scenario, number: int) -> None:
    """Give each gateway its turn in a scenario."""
    for gateway, row in gateways:
        if not applies(scenario, gateway):
            continue
        stage.console.print(f"[dim]round {number + 1}: {scenario} through {gateway.name}[/dim]")
        rate = _half_rate(gateway, gateways) if scenario == "half" else None
        load = load_of(scenario, gateway, stage.plan, rate=rate)
        measured = drive(load, gateway.pid, settle_s=stage.plan.settle_s)
        sample = Sample(scenario=scenario, round=number, outcome=measured.outcome, cpu_s=measured.cpu_s)
        row.samples.append(sample)


def _half_rate(gateway: Gateway, gateways: list[tuple[Gateway, Row]]) -> float:
    """Return half of what a gateway was seen to do; the mock is asked at Junto's pace, to be subtracted from it."""
    rates = {one.name: middle([s.outcome.rate for s in row.of("unary")]) for one, row in gateways}
    pace = rates.get("junto") if gateway.name == "direct" else rates.get(gateway.name)
    return (pace or 2_000.0) / 2
