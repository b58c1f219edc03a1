"""One process per data directory: the journal and the SQLite file in it have a single owner."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_NAME = "junto.lock"


class DataDirInUse(RuntimeError):
    """Another process of Junto owns the data directory; the message says which."""


class DataDirLock:
    """Holds a data directory until it is closed or the process ends, however it ends.

    The kernel keeps the lock with the open file: it needs no cleaning up after a kill. The file stays; the process id in it is
    for people.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._fd = -1

    def acquire(self) -> None:
        """Take the directory, making it if need be; raises DataDirInUse when another process has it."""
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._data_dir / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 20).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise DataDirInUse(
                f"The data directory {self._data_dir} is in use by another Junto (process {owner}). "
                "Stop it, or give this one a directory of its own with --data-dir."
            ) from None
        except OSError:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the directory up. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
