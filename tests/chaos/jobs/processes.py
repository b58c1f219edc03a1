"""Child processes of Junto, and what a database says about jobs once they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import psutil

from tests.chaos.jobs.child import Orders

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 40.0
ROOT = str(Path(__file__).parents[3])


class Child:
    """One process; leaving the block ends it, in whatever state it is."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._process: subprocess.Popen[str]
        self._reader: threading.Thread
        self.lines: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.chaos.jobs.child", msgspec.json.encode(self._orders).decode()]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, sys.path)])}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=ROOT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
        self._process.wait(START_SECONDS)
        self._reader.join(START_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def ended(self) -> int | None:
        """The exit status; None while it lives."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def refused(self) -> int:
        """How many ends the fence turned away."""
        return self.lines.count("refused")

    def ready(self) -> Self:
        """Wait until it works, or has died on the way."""
        until(lambda: self.url != "" or self.ended is not None, START_SECONDS)
        return self

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        return self._process.wait(START_SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.strip())
            if line.startswith("ready "):
                self.url = line.split()[1]


def until(holds: Callable[[], bool], seconds: float = 20.0, *, every: float = 0.01) -> None:
    """Wait for a condition; raises AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(every)


def is_stopped(pid: int) -> bool:
    """Whether that process was stopped by a signal."""
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def orders(data_dir: Path, **more: object) -> Orders:
    return Orders(data_dir=str(data_dir), **more)  # type: ignore[arg-type]
