"""`python -m bench`: reads the arguments, runs, shows and writes. The exit code says whether it ran, never how fast."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from bench import report
from bench.drive import Broken
from bench.jobs.run import run_jobs
from bench.machine import choose_cores, describe, pinned
from bench.process import ROOT, mock
from bench.results import Results
from bench.rounds import Stage, run, watch_memory
from bench.scenarios import QUICK, STREAM, UNARY, Plan
from bench.subjects.extra import VARIABLE, extras
from bench.subjects.junto import Junto
from bench.subjects.litellm import LiteLLM
from bench.subjects.nginx import Nginx
from bench.subjects.portkey import Portkey
from bench.subjects.subject import Subject
from bench.targets import judge

CACHE = ROOT / ".bench"
_QUICK_JOBS_S = 1.0


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench", description="Junto beside other gateways, as ratios.")
    parser.add_argument("--quick", action="store_true", help="Junto and nginx only, one short round")
    parser.add_argument("--only", help="gateways to measure, by name, comma-separated")
    parser.add_argument("--unary", action="store_true", help="leave the streams out")
    parser.add_argument("--stream", action="store_true", help="only the streams")
    parser.add_argument("--jobs", action="store_true", help="only the jobs")
    parser.add_argument("--no-jobs", action="store_true", help="leave the jobs out")
    parser.add_argument("--no-memory", action="store_true", help="leave the 100,000 requests for memory out")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 3)")
    parser.add_argument("--mock-port", type=int, default=0, help=f"port of the mock, for gateways in {VARIABLE}")
    parser.add_argument("--install-nginx", action="store_true", help="install nginx-light by apt-get if missing")
    parser.add_argument("--label", help="name of the files in bench/results (default: latest, quick or partial)")
    return parser.parse_args(argv)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what is to be run."""
    plan = QUICK if options.quick else Plan()
    if options.unary != options.stream:
        plan = msgspec.structs.replace(plan, scenarios=UNARY if options.unary else STREAM)
    if options.rounds:
        plan = msgspec.structs.replace(plan, rounds=options.rounds)
    if options.jobs:
        plan = msgspec.structs.replace(plan, jobs_s=plan.jobs_s or _QUICK_JOBS_S)
    elif options.no_jobs or options.only or options.unary or options.stream:
        plan = msgspec.structs.replace(plan, jobs_s=0.0)
    if options.no_memory or options.stream or options.jobs:
        plan = msgspec.structs.replace(plan, memory_requests=0)
    return plan


def subjects_of(options: argparse.Namespace) -> list[Subject]:
    """Return the gateways to measure, in the order of the table."""
    known: list[Subject] = [
        Nginx(install=options.install_nginx),
        Junto(),
        Junto(translating=True),
        Junto(keyed=True),
        Portkey(cache=CACHE),
        LiteLLM(tools=ROOT / ".tools", cache=CACHE),
        *extras(os.environ.get(VARIABLE, "")),
    ]
    if options.jobs:
        wanted = set()
    elif options.only:
        wanted = set(options.only.split(","))
    elif options.quick:
        wanted = {"nginx", "junto", "junto-translating", "junto-keyed"}
    else:
        return known
    unknown = wanted - {subject.name for subject in known}
    if unknown:
        raise SystemExit(f"bench: no such gateway: {', '.join(sorted(unknown))}")
    return [subject for subject in known if subject.name in wanted]


def measure(options: argparse.Namespace, console: Console, folder: Path) -> Results:
    """Run everything and judge it."""
    began, plan, cores = time.monotonic(), plan_of(options), choose_cores()
    machine = describe(cores, ROOT)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    subjects = subjects_of(options)
    with pinned(cores.load), mock(cores.load, options.mock_port) as upstream:
        stage = Stage(plan=plan, cores=cores, mock=upstream, folder=folder, console=console)
        rows = run(stage, subjects) if subjects else []
        results = Results(when=when, took_s=0.0, machine=machine, plan=plan, rows=rows)
        junto = results.row("junto")
        if junto is not None and plan.memory_requests:
            watch_memory(stage, next(s for s in subjects if s.name == "junto"), junto)
        if plan.jobs_s:
            results.jobs = run_jobs(stage)
    results.took_s = time.monotonic() - began
    results.verdicts = judge(results)
    return results


def label_of(options: argparse.Namespace) -> str:
    """Return the name of the result files: a partial run never replaces a whole one."""
    if options.label:
        return str(options.label)
    if options.quick:
        return "quick"
    return (
        "partial"
        if options.only or options.unary or options.stream or options.no_memory or options.jobs or options.no_jobs
        else "latest"
    )


def complete(results: Results) -> bool:
    """Tell whether Junto, if asked for, and at least one gateway were measured; others may be missing."""
    if results.jobs and not results.rows:
        return any(row.rounds for row in results.jobs)
    junto = next((row for row in results.rows if row.name == "junto"), None)
    return any(row.samples for row in results.rows[1:]) and (junto is None or junto.missing is None)


def main(argv: list[str]) -> int:
    """Run the benchmark; return 1 only when Junto (or everything) could not be measured."""
    # SystemExit unwinds the stack, so every process started here is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments(argv)
    # Written to a file or a pipe, the table still needs its width.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    try:
        results = measure(options, console, folder)
    except (Broken, ValueError) as error:
        console.print(f"[red]bench: {error}[/red]")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.show(results, console)
    data, page = report.write(results, ROOT / "bench" / "results", label_of(options))
    console.print(f"written: {data.relative_to(ROOT)}, {page.relative_to(ROOT)}")
    return 0 if complete(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
