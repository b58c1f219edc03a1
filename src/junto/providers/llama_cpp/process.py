"""One supervised child process: started on demand, health-checked until ready, restarted with backoff when it crashes.

Owns the process and its port. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import structlog

from junto.core.capability import Capability
from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.connection import Address, Connection
from junto.providers.http.origin import Origin

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 30.0
_HEALTH_EVERY = 0.05
_START_SECONDS = 300.0
_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A GGUF file and how it is to be run. `context` is tokens shared by all slots.

    `temperature`, `longest_answer` (tokens) and `template` (Jinja) stand where a request or the file says nothing; None
    leaves them to the engine.
    """

    name: str
    path: Path
    slots: int = 2
    context: int = 8192
    threads: int = max(1, (os.cpu_count() or 2) - 1)
    embedding: bool = False
    capabilities: Capability = Capability.CHAT | Capability.TOOLS | Capability.JSON_SCHEMA
    temperature: float | None = None
    longest_answer: int | None = None
    template: str | None = None


class ModelProcess:
    """The child process of one model."""

    def __init__(self, model: Model, backend: str) -> None:
        self.model = model
        self._backend = backend
        self._log = structlog.get_logger().bind(backend=backend, model=model.name)
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._backoff = _FIRST_BACKOFF
        self._ready: asyncio.Event = asyncio.Event()
        self._outcome: asyncio.Future[None] | None = None  # done when the current start has come to something
        self._wanted = False
        self._closed = False
        self.is_failing = False  # the last start came to nothing
        self.connection: Connection | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the model is in memory and answers."""
        return self._ready.is_set()

    async def start(self) -> None:
        """Make sure that the process runs and wait until it answers.

        Raises UpstreamFailure when it does not come up; at once while it pauses because the last start came to nothing, so
        that whoever asks can go elsewhere.
        """
        async with self._lock:
            if self._closed:
                raise UpstreamFailure(FailureKind.CONNECT, "the backend was closed")
            self._wanted = True
            if self._watch is None or self._watch.done():
                self._outcome = asyncio.get_running_loop().create_future()
                self._watch = asyncio.create_task(self._supervise(self._outcome), name=f"llama.cpp {self.model.name}")
            watch, outcome = self._watch, self._outcome
        if outcome is not None and not (self.is_failing and self._process is None):
            await asyncio.wait({outcome, watch}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.is_set():
            raise UpstreamFailure(FailureKind.CONNECT, "the model process did not come up")

    async def stop(self) -> None:
        """End the process; safe to call twice, and `start` begins anew."""
        async with self._lock:
            self._wanted = False
            self.is_failing = False
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await watch
            await self._end()

    async def close(self) -> None:
        """End the process for good: a late request for what a reload has removed must not bring it back."""
        self._closed = True
        await self.stop()

    async def _supervise(self, outcome: asyncio.Future[None]) -> None:
        """Run the child again and again while it is wanted; each crash doubles the pause before the next start."""
        while self._wanted:
            process = await self._spawn()
            try:
                if await self._answers(process):
                    self._ready.set()
                    self._backoff = _FIRST_BACKOFF
                    self._log.info("model_ready", pid=process.pid)
                self.is_failing = not self._ready.is_set()
                outcome.set_result(None)
                code = await process.wait()
                outcome = self._outcome = asyncio.get_running_loop().create_future()
            finally:
                await self._end()
            self._log.warning("model_process_ended", exit_code=code, restart_in=self._backoff)
            await asyncio.sleep(self._backoff)
            self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)

    async def _spawn(self) -> asyncio.subprocess.Process:
        port, key = _free_port(), secrets.token_hex(16)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "junto.providers.llama_cpp.server",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at the terminal is for Junto, which then ends the child in order
        )  # fmt: skip
        self._process = process
        settings = {
            "model": str(self.model.path),
            "alias": self.model.name,
            "port": port,
            "api_key": key,
            "slots": self.model.slots,
            "context": self.model.context,
            "threads": self.model.threads,
            "embedding": self.model.embedding,
            "temperature": self.model.temperature,
            "longest_answer": self.model.longest_answer,
            "template": self.model.template,
        }
        if process.stdin is not None:
            process.stdin.write(json.dumps(settings).encode() + b"\n")
        self.connection = self._connect(port, key)
        return process

    def _connect(self, port: int, key: str) -> Connection:
        from junto.providers.llama_cpp.provider import WIRES  # noqa: PLC0415  the provider imports this module

        address = Address(
            name=self._backend,
            origin=Origin("http", "127.0.0.1", port, "/v1"),
            headers=(("authorization", f"Bearer {key}"),),
            headers_come_early=False,
        )
        return Connection(address, WIRES)

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        """Ask for health until it is given; False when the process ended first."""
        connection = self.connection
        while connection is not None and process.returncode is None:
            with contextlib.suppress(UpstreamFailure):
                await connection.ask("GET", "/models")
                return True
            await asyncio.sleep(_HEALTH_EVERY)
        return False

    async def _end(self) -> None:
        self._ready.clear()
        connection, self.connection = self.connection, None
        process, self._process = self._process, None
        if connection is not None:
            await connection.close()
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
