"""What a start does not load: seconds and megabytes of every process that would never use it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_START = """
import asyncio, sys
from pathlib import Path

import junto.cli.main
from junto.bootstrap import serving
from junto.cli.configuration import read
from junto.settings.model import ServeOptions


async def start():
    settings = read(Path("junto.yaml"), ServeOptions(data_dir=Path("data")))
    async with serving.build(settings):
        print(*sorted(sys.modules))


asyncio.run(start())
"""
_CONFIGURATION = "builtin_model: 'off'\nbackends: [{name: fake, provider: fake}]\n"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules of a process that has built a whole Junto from a configuration file, with everything at its default."""
    folder: Path = tmp_path_factory.mktemp("start")
    (folder / "junto.yaml").write_text(_CONFIGURATION, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUNTO_")}
    done = subprocess.run(
        [sys.executable, "-c", _START],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return frozenset(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "fastapi",  # the control plane comes with the first request for it
        "starlette",
        "junto.web.control_plane",
        "alembic",  # only a migration that is due
        "psycopg",  # only a Postgres
        "redis",  # only a Redis
        "taskiq",  # only queued jobs
        "opentelemetry.sdk",  # only an exporter that is configured
        "httpx2",  # only a webhook, or a host with letters beyond ASCII
        "xllamacpp",  # only a model of our own
    ],
)
def test_a_start_does_not_load(module: str, loaded: frozenset[str]) -> None:
    assert module not in loaded


def test_a_start_loads_what_answers_inference(loaded: frozenset[str]) -> None:
    assert {"junto.web.inference", "junto.gateway.pipeline", "junto.storage.journal"} <= loaded
