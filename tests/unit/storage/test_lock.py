"""The lock: one process per data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from junto.storage.lock import DataDirInUse, DataDirLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, pathlib
from junto.storage.lock import DataDirLock
DataDirLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_with_the_first_ones_process_id(tmp_path: Path) -> None:
    with DataDirLock(tmp_path / "data"), pytest.raises(DataDirInUse, match=rf"process {os.getpid()}\b.*--data-dir"):
        DataDirLock(tmp_path / "data").acquire()


def test_a_released_directory_can_be_taken_again(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()
    with DataDirLock(tmp_path):
        assert (tmp_path / "junto.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(DataDirInUse, match=f"process {owner.pid}"):
            DataDirLock(tmp_path).acquire()
        owner.kill()
        owner.wait()
    with DataDirLock(tmp_path):
        pass
