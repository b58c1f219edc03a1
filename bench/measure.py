"""CPU and memory of a process tree, and the slope of memory over requests.

CPU is user plus system time; it holds on a noisy machine where wall-clock figures do not. Reads only.
"""

import math
import time
from collections.abc import Sequence

import msgspec
import psutil

_CPUCLOCK_SCHED = 2
"""Linux's per-process clock of scheduled time; see clock_getcpuclockid(3)."""

MEGABYTE = 1e6


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants that are alive."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Return user plus system seconds spent so far by a process tree, ended children included."""
    return sum(_cpu_of(process) for process in tree(pid))


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        # The clock has nanoseconds where /proc has ticks of 10 ms, which is 2 % of a stream's run through nginx.
        own = time.clock_gettime((~process.pid << 3) | _CPUCLOCK_SCHED)
    except (psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
        return 0.0
    return own + float(times.children_user) + float(times.children_system)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process tree in MB (10^6 bytes); pages shared by processes count in each."""
    total = 0
    for process in tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MEGABYTE


class Slope(msgspec.Struct, frozen=True, kw_only=True):
    """A least-squares line: bytes per request, and the standard error of that."""

    bytes_per_request: float
    standard_error: float

    @property
    def lower(self) -> float:
        """The least growth that the samples support, two standard errors below the fit."""
        return self.bytes_per_request - 2 * self.standard_error


def slope(samples: Sequence[tuple[int, float]]) -> Slope:
    """Fit memory (MB) over requests through the second half of the samples, when caches and pools have filled."""
    half = [(x, y * MEGABYTE) for x, y in samples[len(samples) // 2 :]]
    n = len(half)
    if n < 3:
        return Slope(bytes_per_request=0.0, standard_error=math.inf)
    mean_x = sum(x for x, _ in half) / n
    mean_y = sum(y for _, y in half) / n
    spread = sum((x - mean_x) ** 2 for x, _ in half)
    gradient = sum((x - mean_x) * (y - mean_y) for x, y in half) / spread
    residual = sum((y - mean_y - gradient * (x - mean_x)) ** 2 for x, y in half)
    return Slope(bytes_per_request=gradient, standard_error=math.sqrt(residual / (n - 2) / spread))
