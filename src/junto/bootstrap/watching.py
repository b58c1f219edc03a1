"""Notices when the configuration, the operator's prices or councils change on disk, also when prices appear that were not there."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from watchfiles import awatch

from junto.settings.load import PRICING_FILE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from junto.settings.model import Settings

_LOOK_SECONDS = 2.0
_MOST_FILES = 256  # of a folder that are looked at


async def watch(settings: Settings, reload: Callable[[], Awaitable[None]]) -> None:
    """Call `reload` whenever one of these files has changed, until cancelled.

    The configuration's folder is watched, since editors replace files. The data folder, which the database writes to all the
    time, is looked at now and then.
    """
    async with asyncio.TaskGroup() as tasks:
        if settings.config_file is not None:
            beside = settings.config_file.resolve().parent
            tasks.create_task(_watch_folder(beside, {settings.config_file.name, PRICING_FILE}, reload))
        tasks.create_task(look_at(_elsewhere(settings), reload))


async def look_at(
    files: Sequence[Path], reload: Callable[[], Awaitable[None]], *, every: float = _LOOK_SECONDS
) -> None:
    """Call `reload` when one of these files, or a file in one of these folders, appears, changes or goes, until cancelled."""
    known = [_state(file) for file in files]
    while files:
        await asyncio.sleep(every)
        now = [_state(file) for file in files]
        if now != known:
            known = now
            await reload()


def _elsewhere(settings: Settings) -> list[Path]:
    """The folder of councils, and the place of prices outside the configuration's folder."""
    file = settings.data_dir.resolve() / PRICING_FILE
    beside = None if settings.config_file is None else settings.config_file.resolve().parent
    return [settings.councils_dir.resolve(), *([] if file.parent == beside else [file])]


def _state(place: Path) -> tuple[object, ...] | None:
    """What changes when a file does, or a file of a folder."""
    try:
        found = place.stat()
        within = sorted(islice(place.iterdir(), _MOST_FILES)) if place.is_dir() else ()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size, *(_state(file) for file in within if file.is_file())


async def _watch_folder(folder: Path, names: set[str], reload: Callable[[], Awaitable[None]]) -> None:
    files = {str(folder / name) for name in names}
    try:
        async for changes in awatch(folder, recursive=False, step=200):
            if any(path in files for _, path in changes):
                await reload()
    except (OSError, RuntimeError) as error:  # the folder is gone, or the system watches too much already
        structlog.get_logger().warning(
            "not_watching", reason=f"{type(error).__name__}: reload by SIGHUP or /admin/reload"
        )
