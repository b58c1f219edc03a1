"""The machine under the benchmark: what it is, which cores are used for what, and how busy it was.

Reads the operating system only. Nothing here identifies the machine beyond its make.
"""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The core of the gateways, and the core of the load generator, the mock and the benchmark itself."""

    gateway: int
    load: int

    @property
    def note(self) -> str:
        """Say what the pinning is, as a sentence."""
        if self.gateway == self.load:
            return "only one core: gateway, load generator and mock share it, so rates and latencies mean little"
        return f"gateway on core {self.gateway}; load generator and mock upstream on core {self.load}"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine as it goes into the results."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    system: str
    python: str
    pinning: str
    load_average_before: float
    packages: dict[str, str]
    commit: str


def choose_cores() -> Cores:
    """Return the cores to use, of those this process may run on."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(gateway=allowed[0], load=allowed[1] if len(allowed) > 1 else allowed[0])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run on one core meanwhile, so that processes started here inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(cores: Cores, root: Path) -> Machine:
    """Describe this machine and the versions that matter."""
    packages = {}
    for name in ("uvicorn", "uvloop", "httptools", "msgspec"):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = "not installed"
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        kernel=platform.release(),
        system=_system(),
        python=platform.python_version(),
        pinning=cores.note,
        load_average_before=round(os.getloadavg()[0], 2),
        packages=packages,
        commit=_commit(root),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _commit(root: Path) -> str:
    """Return the short commit, with a plus when the sources of Junto differ from it."""
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "src"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
