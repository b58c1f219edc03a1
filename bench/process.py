"""Starts the mock and the gateways pinned to their cores, times the first good answer, and ends them by process id.

Every process started here is bounded in time (`timeout`), so a benchmark that is killed leaves nothing behind.
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from bench import payload
from bench.answers import fault
from bench.machine import pinned
from bench.measure import tree
from bench.subjects.subject import Attached, Door, Launch, Subject, Unavailable

ROOT: Final = Path(__file__).resolve().parents[1]
LIFETIME_S: Final = 1800
"""Seconds that any process started here may live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that answers."""

    name: str
    door: Door
    pid: int
    slow: bool = False
    cold_start_s: float | None = None


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this environment without what would make a gateway call, find or configure anything else."""
    unwanted = ("_API_KEY", "_PROXY", "_proxy")
    named = {"OLLAMA_HOST", "DATABASE_URL", "REDIS_URL", "PORT", "HOST"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith(unwanted) and name not in named and not name.startswith("JUNTO_")
    }
    return kept | dict(extra)


@contextmanager
def mock(core: int, port: int) -> Iterator[Gateway]:
    """Run the mock upstream meanwhile, as a gateway named direct."""
    argv = (sys.executable, "-m", "bench.mock", "--port", str(port))
    with pinned(core):
        process = subprocess.Popen(_bounded(argv), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdigit():
            raise RuntimeError(f"the mock upstream did not start on port {port}")
        yield Gateway(name="direct", door=Door(port=int(line)), pid=process.pid)
    finally:
        end(process)


@contextmanager
def running(subject: Subject, *, core: int, mock_port: int, folder: Path) -> Iterator[Gateway]:
    """Run a gateway meanwhile; raise Unavailable with the end of its log when it never gives a good answer."""
    folder.mkdir(parents=True, exist_ok=True)
    launch = subject.launch(port=free_port(), mock_port=mock_port, folder=folder)
    if isinstance(launch, Attached):
        with _borrowed(launch.pid, core):
            yield Gateway(name=subject.name, door=launch.door, pid=launch.pid, slow=subject.slow)
        return
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        with pinned(core):
            process = subprocess.Popen(
                _bounded(launch.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(launch.env),
                cwd=folder,
            )
        try:
            _await_answer(process, launch, folder / "log")
            took = time.perf_counter() - began
            door = launch.door if launch.enter is None else replace(launch.door, headers=launch.enter(launch.door))
            yield Gateway(name=subject.name, door=door, pid=process.pid, slow=subject.slow, cold_start_s=took)
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    """End a process tree that was started here: politely, then for good, each by its id."""
    family = tree(process.pid)
    with suppress(ProcessLookupError):
        process.terminate()
    _, left = psutil.wait_procs(family, timeout=5)
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait(timeout=10)


def _bounded(argv: tuple[str, ...]) -> tuple[str, ...]:
    timeout = shutil.which("timeout")
    return (timeout, "--kill-after=5", str(LIFETIME_S), *argv) if timeout else argv


def _await_answer(process: "subprocess.Popen[bytes]", launch: Launch, log: Path) -> None:
    """Return at the first good answer, asked for as often as is cheap."""
    deadline = time.perf_counter() + launch.patience_s
    reason = "no answer"
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise Unavailable(f"ended at start with code {process.returncode}: {_last_words(log)}")
        wrong = _ask(launch.door)
        if wrong is None:
            return
        reason = wrong
        time.sleep(0.005)
    raise Unavailable(f"no good answer in {launch.patience_s:.0f} s ({reason}): {_last_words(log)}")


def _ask(door: Door) -> str | None:
    """Ask once; return what is wrong, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    headers = {"Content-Type": "application/json", **door.headers}
    try:
        connection.request("POST", door.path, payload.request(model=door.model), headers)
        answer = connection.getresponse()
        return fault("unary", answer.status, answer.read(), payload.ANSWER_TEXT, decode=True)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


@contextmanager
def _borrowed(pid: int, core: int) -> Iterator[None]:
    """Pin every thread of somebody else's process tree meanwhile."""
    before: dict[int, set[int]] = {}
    for process in tree(pid):
        for thread in process.threads():
            before[thread.id] = os.sched_getaffinity(thread.id)
            os.sched_setaffinity(thread.id, {core})
    try:
        yield
    finally:
        for thread_id, cores in before.items():
            with suppress(OSError):
                os.sched_setaffinity(thread_id, cores)
