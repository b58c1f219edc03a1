"""A loopback server on a thread and loop of its own, so that synchronous and async tests use it alike.

It owns starting, stopping, killing and restarting on the same port. It knows HTTP only through `connection`.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from tests.upstreams.connection import Connection, Exchange
from tests.upstreams.script import Script


class LoopbackServer:
    """The base of the emulators: `with OllamaEmulator() as server: server.url`.

    `script` plans the answers and records the requests. An error inside a handler is kept in `faults` and raised when
    the server stops, so that a broken emulator never looks like a broken gateway.
    """

    name = "upstream"

    def __init__(self, script: Script | None = None, *, port: int = 0) -> None:
        self.script = script or Script()
        self.port = port
        self.faults: list[BaseException] = []
        self.connections_made = 0
        self._connections: set[Connection] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._abrupt = False

    @property
    def url(self) -> str:
        """The server's root address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections callers hold open now."""
        return len(self._connections)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.faults:
            raise self.faults[0]

    def start(self) -> None:
        """Listen and return when callers can connect; the port stays the same over restarts."""
        assert self._thread is None, "already running"
        ready = threading.Event()
        failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._thread_main, args=(ready, failed), name=self.name, daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            self._thread.join()
            self._thread = None
            raise failed[0]

    def stop(self) -> None:
        """Stop listening and close every connection; safe to call twice."""
        self._end(abrupt=False)

    def kill(self) -> None:
        """Die as a killed process does: callers get RST, new ones are refused."""
        self._end(abrupt=True)

    def restart(self) -> None:
        """Start again on the same port, stopping first where needed."""
        self.stop()
        self.start()

    def began(self) -> None:
        """Reset what a process would forget when it is started anew; for emulators that remember things."""

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request; what each emulator is about."""
        raise NotImplementedError

    def _end(self, *, abrupt: bool) -> None:
        if self._thread is None or self._loop is None or self._stopped is None:
            return
        self._abrupt = abrupt
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._thread = self._loop = self._stopped = None

    def _thread_main(self, ready: threading.Event, failed: list[BaseException]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that starts the server
            failed.append(error)
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await self._loop.create_server(self._connect, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self.began()
        ready.set()
        await self._stopped.wait()
        await stop_listening(server)
        for connection in list(self._connections):
            if self._abrupt:
                connection.abort()
            else:
                connection.close()
        await settle()
        for connection in list(self._connections):  # a caller that does not read would keep its connection open
            connection.abort()
        await settle()

    def _connect(self) -> Connection:
        self.connections_made += 1
        return Connection(self.name, self._guarded, self._connections)

    async def _guarded(self, exchange: Exchange) -> None:
        self.script.record(exchange.received)
        try:
            await self.handle(exchange)
        except Exception as error:  # noqa: BLE001 - raised again when the server stops
            self.faults.append(error)
            exchange.reset()


async def stop_listening(server: asyncio.Server) -> None:
    """Accept nothing more, and have what is being accepted become connections first.

    A server that is closed while it accepts loses that socket without closing it (CPython 3.12).
    """
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening.fileno())
    await settle()
    server.close()


async def settle() -> None:
    """Let the loop turn a few times: transports report their beginning and their end in its next turns."""
    for _ in range(5):
        await asyncio.sleep(0)
