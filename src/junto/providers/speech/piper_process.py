"""One process of Piper's own HTTP server, for one voice, on a socket that nobody else can reach.

Owns the process and its socket. A socket file in a folder of Junto's own, not a port: the server asks for no key, would fetch voices from
the internet for whoever asks, and shows the last text to every user of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from junto.core.errors import UpstreamFailed
from junto.providers.speech.child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_SECONDS = 60.0
_SECONDS = 60.0  # for one sentence
_HEALTH_EVERY = 0.05
_MOST_BYTES = 1 << 26  # of an answer
_LONGEST_PATH = 90  # bytes; the kernel takes 104 for a socket's name, on the strictest system
_TIMEOUTS = {"connect": 5.0, "read": _SECONDS, "write": 5.0, "pool": 5.0}


class PiperProcess:
    """A voice in memory. Started by the first request, and again by the next one after a crash."""

    def __init__(self, name: str, model: Path) -> None:
        self._folder = _own_folder()
        self._socket = self._folder / "s"
        leash = ["-m", "junto.providers.speech.leash", str(os.getpid())]
        server = ["-m", "piper.http_server", "--host", f"unix://{self._socket}", "-m", str(model.absolute())]
        self.child = Child(name, [sys.executable, *leash, *server], folder=self._folder, answers=False)
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, when the voice is in memory. Raises UpstreamFailed where there is none."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._ready()
            async with asyncio.timeout(_SECONDS):
                answer = await self._exchange("POST", path, body)
        except (httpx2.TransportError, OSError, EOFError, TimeoutError, ValueError) as error:
            await self._forget()
            await self.child.broken()
            raise UpstreamFailed("The speech engine stopped in the middle of the text. It is started again.") from error
        self.child.works()
        return answer

    async def end(self) -> None:
        """End the process; safe to call twice, and nothing can be asked of it any more."""
        await self._forget()
        self.child.kill()  # it has nothing to put in order, and would not notice that its input has ended
        await self.child.end()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _ready(self) -> None:
        process, is_new = await self.child.running()
        if not is_new:
            return
        await self._forget()
        while process.returncode is None:
            with contextlib.suppress(httpx2.TransportError):
                await self._exchange("GET", "/info", b"")
                return  # whatever it said: it listens when its voice is in memory
            await asyncio.sleep(_HEALTH_EVERY)
        raise EOFError("the server ended while it started")

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._transport is None:
            self._transport = httpx2.AsyncHTTPTransport(uds=str(self._socket), verify=False, trust_env=False)
        headers = {"host": "piper", "content-type": "application/json", "connection": "close"}
        extensions: Mapping[str, object] = {"timeout": _TIMEOUTS}
        request = httpx2.Request(
            method, f"http://piper{path}", headers=headers, content=body, extensions=dict(extensions)
        )
        response = await self._transport.handle_async_request(request)
        parts = bytearray()
        try:
            async for piece in response.aiter_raw():
                parts += piece
                if len(parts) > _MOST_BYTES:
                    raise ValueError("a sentence has more sound than it can have")
        finally:
            await response.aclose()
        return response.status_code, bytes(parts)

    async def _forget(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(httpx2.TransportError, OSError):
                await transport.aclose()
        with contextlib.suppress(OSError):
            self._socket.unlink()  # of a server that crashed; the next one would refuse to take its place


def _own_folder() -> Path:
    """A new folder that this user alone can look into, with a name that is short enough for a socket in it."""
    folder = tempfile.mkdtemp(prefix="junto-piper-")
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="junto-piper-", dir="/tmp")
    return Path(folder)
