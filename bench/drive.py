"""Runs one load against one gateway and measures the gateway's CPU around it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from bench.measure import cpu_seconds
from bench.process import ROOT
from bench.spec import Done, Load, Outcome, Progress, Ready, Report


class Broken(RuntimeError):
    """The benchmark itself failed: the load generator ended without a result."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run of load and the CPU seconds that the gateway spent on it."""

    outcome: Outcome
    cpu_s: float


def drive(
    load: Load,
    pid: int,
    *,
    settle_s: float,
    on_progress: Callable[[int], None] | None = None,
) -> Measured:
    """Warm up, wait, measure.

    The gateway is left alone for `settle_s` before and after: work that it puts off (flushes, batches) is counted.
    The load generator runs on this process's core.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    allowance = 60 + 2 * load.patience_s + (load.seconds or 0) + (load.warm_seconds or 0)
    watchdog = threading.Timer(allowance, process.kill)
    watchdog.start()
    try:
        _tell(process, msgspec.json.encode(load).decode())
        _read(process, Ready, on_progress)
        time.sleep(settle_s)
        before = cpu_seconds(pid)
        _tell(process, "go")
        outcome = _read(process, Done, on_progress).outcome
        time.sleep(settle_s)
        return Measured(outcome=outcome, cpu_s=cpu_seconds(pid) - before)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    if process.stdin is None:
        raise Broken("no pipe to the load generator")
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise Broken(f"the load generator ended: {_complaint(process)}") from error


def _read[T: (Ready, Done)](
    process: "subprocess.Popen[str]",
    kind: type[T],
    on_progress: Callable[[int], None] | None,
) -> T:
    """Read reports up to one of the kind; progress is passed on meanwhile."""
    for line in process.stdout or ():
        report = msgspec.json.decode(line, type=Report)
        if isinstance(report, kind):
            return report
        if isinstance(report, Progress) and on_progress is not None:
            on_progress(report.requests)
    raise Broken(f"the load generator ended: {_complaint(process)}")


def _complaint(process: "subprocess.Popen[str]") -> str:
    process.kill()
    lines = (process.stderr.read() if process.stderr else "").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
