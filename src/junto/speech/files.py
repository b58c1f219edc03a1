"""The folder of finished audio files: written under another name, on the disk before they have their own, swept of what nobody owns.

A folder for each job, and in it a file for each chapter and claim; nothing in a path comes from a caller. Knows no database: which
files count is what rows say. Blocking calls are made in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

from junto.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from junto.ports.outputs import Output

_DRAFT: Final = ".part"
_BUFFER: Final = 1 << 17
_FOLDERS_AT_ONCE: Final = 200
_RESERVE: Final = (
    256 * 1024 * 1024
)  # bytes of the disk that audio leaves free: the database is often on it, and all stops with that
_LOOK_EVERY: Final = 8 * 1024 * 1024  # bytes written between two looks at it


class Draft:
    """A file that is being written, as long as the disk has more than `reserve` bytes free."""

    def __init__(self, path: Path, suffix: str, reserve: int) -> None:
        self._path = path
        self._reserve = reserve
        self._look_at = 0
        self._draft = path.with_name(f"{path.name}.{suffix}{_DRAFT}")
        self._file: BinaryIO | None = None
        self._lock = (
            threading.Lock()
        )  # whoever waits for a write may be cancelled; the write itself goes on in its thread
        self._is_discarded = False
        self.size = 0

    async def write(self, piece: bytes) -> None:
        """Add to it; raises Overloaded where the disk takes no more."""
        self.size += len(piece)
        with _told_when_full():
            await asyncio.to_thread(self._write, piece)

    async def finish(self, front: bytes) -> None:
        """Put `front` in place of its first bytes, make sure that it is on the disk, and give it its name."""
        with _told_when_full():
            await asyncio.to_thread(self._finish, front)

    async def discard(self) -> None:
        """Leave nothing of it; safe after `finish`."""
        await asyncio.shield(asyncio.to_thread(self._discard))

    def _write(self, piece: bytes) -> None:
        with self._lock:
            if not self._is_discarded:
                file = self._opened()
                if self.size >= self._look_at:
                    self._look_at = self.size + _LOOK_EVERY
                    self._leave_room()
                file.write(piece)

    def _leave_room(self) -> None:
        if shutil.disk_usage(self._path.parent).free < self._reserve:
            raise OSError(errno.ENOSPC, "what is free is kept for others than audio files")

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._file = self._draft.open("xb", buffering=_BUFFER)
        return self._file

    def _finish(self, front: bytes) -> None:
        with self._lock:
            if self._is_discarded:
                return
            file = self._opened()
            if front:
                file.seek(0)
                file.write(front)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._file = None
            self._draft.replace(self._path)
            _sync_folder(self._path.parent)

    def _discard(self) -> None:
        with self._lock:
            self._is_discarded = True
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                if file is not None:
                    file.close()
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)


class OutputFiles:
    """The files in one folder, which many hosts may share. `make_suffix` tells drafts of one file apart, by chance."""

    def __init__(self, folder: Path, *, make_suffix: Callable[[], str], reserve: int = _RESERVE) -> None:
        self._folder = folder
        self._make_suffix = make_suffix
        self._reserve = reserve

    def path(self, output: Output) -> Path:
        """Where the file of that row lies."""
        job, name = output.file
        return self._folder / job / name

    def draft(self, output: Output) -> Draft:
        """A new file for that row."""
        return Draft(self.path(output), self._make_suffix(), self._reserve)

    async def tidy(self, job_id: str, keep: Collection[str]) -> None:
        """Delete what crashed attempts have left of a job that is done."""
        await asyncio.to_thread(self._tidy, job_id, keep)

    async def sweep(
        self, known: Callable[[Collection[str]], Awaitable[Collection[tuple[str, str]]]], *, before: float
    ) -> int:
        """Delete files that were last written before that time (epoch seconds) and have no row; how many there were.

        `known` says of the folders of some jobs which of their files have one.
        """
        deleted = 0
        jobs = await asyncio.to_thread(self._jobs)
        for start in range(0, len(jobs), _FOLDERS_AT_ONCE):
            some = jobs[start : start + _FOLDERS_AT_ONCE]
            old = await asyncio.to_thread(self._old, some, before)
            if old:
                kept = await known({job for job, _ in old})
                deleted += await asyncio.to_thread(self._delete, [file for file in old if file not in kept])
        return deleted

    def _tidy(self, job_id: str, keep: Collection[str]) -> None:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / job_id) as found:
            for entry in found:
                if entry.name not in keep:
                    (self._folder / job_id / entry.name).unlink(missing_ok=True)

    def _jobs(self) -> Sequence[str]:
        try:
            with os.scandir(self._folder) as found:
                return [
                    entry.name
                    for entry in found
                    if entry.name.startswith("job_") and entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return ()

    def _old(self, jobs: Sequence[str], before: float) -> Sequence[tuple[str, str]]:
        old = []
        for job in jobs:
            with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / job) as found:
                entries = list(found)
                old += [(job, entry.name) for entry in entries if entry.stat(follow_symlinks=False).st_mtime < before]
                if not entries and (self._folder / job).stat().st_mtime < before:
                    _remove_empty(self._folder / job)
        return old

    def _delete(self, files: Sequence[tuple[str, str]]) -> int:
        for job, name in files:
            (self._folder / job / name).unlink(missing_ok=True)
        for job in {job for job, _ in files}:
            _remove_empty(self._folder / job)
        return len(files)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Overloaded("The audio file cannot be written right now.", retry_after=5.0) from error
