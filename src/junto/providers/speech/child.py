"""One child process of an engine: started when it is needed, restarted with growing pauses after crashes, ended with Junto.

Owns the process. Knows nothing of what is said to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import structlog

from junto.core.errors import UpstreamFailed
from junto.providers.speech.environment import for_child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_PATIENCE = 2.0  # a longer pause is not waited for: the text fails, and is tried anew later
_STOP_SECONDS = 3.0
_UNREAD_BYTES = 1 << 16


class Child:
    """A process that lives on its standard input: when that ends, with Junto or by `end`, so does the process."""

    def __init__(
        self, engine: str, arguments: Sequence[str], *, folder: Path | None = None, answers: bool = True
    ) -> None:
        """`answers`: whether its standard output is read."""
        self._arguments = arguments
        self._folder = folder
        self._output = asyncio.subprocess.PIPE if answers else asyncio.subprocess.DEVNULL
        self._log = structlog.get_logger().bind(engine=engine)
        self._process: asyncio.subprocess.Process | None = None
        self._pause = 0.0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def running(self) -> tuple[asyncio.subprocess.Process, bool]:
        """The process, and whether it was started just now.

        Raises UpstreamFailed, with how long to wait, while it pauses after crashes.
        """
        process = self._process
        if process is not None and process.returncode is None:
            return process, False
        await self.broken()
        left = self._not_before - asyncio.get_running_loop().time()
        if left > _PATIENCE:
            raise UpstreamFailed("The speech engine does not stay up. It is tried again soon.", retry_after=left)
        if left > 0:
            await asyncio.sleep(left)
        return await self._spawn(), True

    def works(self) -> None:
        """It has answered: the next crash is the first one again."""
        self._pause = 0.0

    async def broken(self) -> None:
        """End it because it crashed or cannot be trusted any more; it is started anew when it is next asked for."""
        process = self._process
        if process is not None:
            await self.end(gently=False)
            self._crashed(process.returncode)

    def kill(self) -> None:
        """End it now, without waiting."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self, *, gently: bool = True) -> None:
        """End it and wait until it is gone; safe to call twice, and again when it was cancelled."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            if gently:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_SECONDS):
                        await process.wait()
            if process.returncode is None:
                process.kill()
        while process.stdout is not None and await process.stdout.read(_UNREAD_BYTES):
            pass  # the pipe is closed when it was read to its end
        await process.wait()
        self._process = None

    def _crashed(self, code: int | None) -> None:
        self._pause = min(self._pause * 2, _LONGEST_PAUSE) or _FIRST_PAUSE
        self._not_before = asyncio.get_running_loop().time() + self._pause
        self._log.warning("speech_engine_ended", exit_code=code, restart_in=self._pause)

    async def _spawn(self) -> asyncio.subprocess.Process:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE, stdout=self._output,
                stderr=asyncio.subprocess.DEVNULL,  # engines put the text itself there
                cwd=self._folder, env=for_child(os.environ),
                start_new_session=True,  # Ctrl-C at the terminal is for Junto, which then ends the child in order
            )  # fmt: skip
        except OSError as error:
            raise UpstreamFailed("The speech engine could not be started.") from error
        self._log.info("speech_engine_started", pid=self._process.pid)
        return self._process
