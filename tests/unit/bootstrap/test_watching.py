"""Files that a running Junto notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.watching import look_at, watch
from junto.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Reloads:
    """Counts reloads, and waits for the next one."""

    def __init__(self) -> None:
        self.count = 0
        self._happened = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        self._happened.set()

    async def after(self, change: Callable[[], object]) -> None:
        self._happened.clear()
        change()
        async with asyncio.timeout(20):
            await self._happened.wait()


async def during(watching: Coroutine[None, None, None], check: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.create_task(watching)
    await asyncio.sleep(0.2)  # until the folder is watched
    try:
        await check()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_prices_that_appear_change_and_go_are_noticed(tmp_path: Path) -> None:
    reloads, file = Reloads(), tmp_path / "pricing.yaml"

    async def check() -> None:
        await reloads.after(lambda: file.write_text("[]"))
        await reloads.after(lambda: file.write_text("[] # dearer"))
        await reloads.after(file.unlink)
        assert reloads.count == 3

    await during(look_at([file], reloads, every=0.01), check)


async def test_prices_that_appear_beside_the_configuration_are_noticed(tmp_path: Path) -> None:
    reloads, config = Reloads(), tmp_path / "junto.yaml"
    config.write_text("{}")
    settings = Settings(config_file=config, data_dir=tmp_path / "data")

    async def check() -> None:
        (tmp_path / "other.yaml").write_text("{}")
        await reloads.after(lambda: (tmp_path / "pricing.yaml").write_text("[]"))
        await reloads.after(lambda: config.write_text("{ }"))

    await during(watch(settings, reloads), check)
