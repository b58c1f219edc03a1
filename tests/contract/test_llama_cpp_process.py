"""A real child process of llama.cpp: it comes up, comes back, and when it cannot, that is said soon."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.llama_cpp.process import Model, ModelProcess
from junto.providers.llama_cpp.provider import LlamaCpp
from tests.upstreams import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SECONDS = 60.0  # for everything in one test; a hang is a failure


def pid_of(process: ModelProcess) -> int:
    child = process._process
    assert child is not None
    return child.pid


async def test_a_killed_child_comes_back_and_whoever_asks_meanwhile_waits_for_it(tmp_path: Path) -> None:
    process = ModelProcess(Model(name="tiny", path=write_tiny_model(tmp_path / "tiny.gguf"), context=512), "own")
    async with asyncio.timeout(SECONDS):
        await process.start()
        first = pid_of(process)
        os.kill(first, signal.SIGKILL)
        while process.connection is not None and pid_of(process) == first:  # noqa: ASYNC110  until it was noticed
            await asyncio.sleep(0.01)
        await process.start()
        assert pid_of(process) != first
        await process.close()
    assert not process.is_ready


async def test_a_file_that_is_no_model_fails_soon_and_then_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"this is no model")
    provider = LlamaCpp("own", [Model(name="broken", path=broken)])
    async with asyncio.timeout(SECONDS):
        with pytest.raises(UpstreamFailure) as caught:
            await provider.load("broken")
        assert caught.value.kind is FailureKind.CONNECT
        with pytest.raises(UpstreamFailure):
            await provider.load("broken")
        with pytest.raises(UpstreamFailure):
            await provider.probe()
        await provider.close()


async def test_a_closed_backend_is_not_brought_back_by_a_late_request(tmp_path: Path) -> None:
    provider = LlamaCpp("own", [Model(name="tiny", path=write_tiny_model(tmp_path / "tiny.gguf"), context=512)])
    async with asyncio.timeout(SECONDS):
        await provider.load("tiny")
        await provider.unload("tiny")
        await provider.load("tiny")
        await provider.close()
        with pytest.raises(UpstreamFailure):
            await provider.load("tiny")
    assert (await provider.probe()).residents == ()


async def test_a_missing_file_does_not_break_the_watch(tmp_path: Path) -> None:
    provider = LlamaCpp("own", [Model(name="gone", path=tmp_path / "gone.gguf")])
    assert [model.size_bytes for model in (await provider.probe()).models] == [None]
