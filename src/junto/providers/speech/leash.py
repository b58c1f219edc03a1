"""Starts a program that does not end by itself when Junto is gone, so that it does: it becomes that program.

Run as `python -m junto.providers.speech.leash PARENT ARGUMENTS...`, PARENT being Junto's process id. On Linux the kernel ends the program
with its parent; elsewhere a watcher does that waits for the end of standard input.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NICE = 5  # answers of models go first where there are too few processors


def main() -> None:
    """Tie this process to its parent and become the program."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if not _dies_with_parent():
        _watch()
    if os.getppid() != parent:
        sys.exit(1)  # it was gone before this process was tied to it
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  Junto's own arguments, and no shell


def _dies_with_parent() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    return False


def _watch() -> None:
    program = os.getpid()
    if os.fork() == 0:
        while os.read(0, 1024):
            pass
        if os.getppid() == program:  # otherwise it has ended before
            os.kill(program, signal.SIGKILL)
        os._exit(0)


if __name__ == "__main__":
    main()
