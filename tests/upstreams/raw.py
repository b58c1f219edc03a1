"""A server that plays bytes: whatever a test wants an upstream to send, however malformed.

It reads one request on each connection, plays the planned steps and closes. It understands of HTTP only as much as
it takes to know where a request ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.upstreams.connection import RESET_ON_CLOSE
from tests.upstreams.plan import Gate
from tests.upstreams.received import POLL, Received
from tests.upstreams.server import settle, stop_listening

SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
NDJSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection with RST; what was sent before is given time to arrive."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Send nothing more, and wait until the caller leaves."""


type Step = bytes | Sleep | Reset | Hang | Gate


def chunk(data: bytes) -> bytes:
    """Frame bytes as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def chunked(head: bytes, *pieces: bytes) -> list[Step]:
    """Make the steps of a complete chunked answer, one write a piece."""
    return [head, *map(chunk, pieces), LAST_CHUNK]


def sized(body: bytes, *, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    """Make a complete answer with a Content-Length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


class RawServer:
    """Plays `steps` for each connection, or the next plan of a FIFO where `plan` was called.

    `requests` records what arrived; `abandoned` is set on a request whose caller left before the steps were done.
    """

    def __init__(self, steps: Sequence[Step] = (), *, port: int = 0) -> None:
        self.port = port
        self.requests: list[Received] = []
        self._steps = tuple(steps)
        self._planned: deque[tuple[Step, ...]] = deque()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """The server's root address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def plan(self, *steps: Step) -> None:
        """Append the steps for one further connection."""
        self._planned.append(steps)

    def always(self, *steps: Step) -> None:
        """Play these steps from now on whenever nothing is planned."""
        self._steps = steps

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="raw", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stopped is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
            self._thread = self._loop = self._stopped = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        writers: set[asyncio.StreamWriter] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.add(writer)
            task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: writers.discard(writer))

        server = await asyncio.start_server(accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopped.wait()
        await stop_listening(server)
        for writer in list(writers):
            writer.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await settle()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received = await read_request(reader, writer)
            self.requests.append(received)
            steps = self._planned.popleft() if self._planned else self._steps
            gone = asyncio.create_task(left(reader, received))
            playing = asyncio.create_task(play(steps, writer))
            await asyncio.wait({gone, playing}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                received.mark_finished()
            for task in (gone, playing):
                task.cancel()
            await asyncio.gather(gone, playing, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a connection that was opened and never used
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received:
    """Read one request with a sized or a chunked body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Received(
        server="raw",
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        peer_port=writer.get_extra_info("peername")[1],
        arrived_at=time.monotonic(),
    )


async def left(reader: asyncio.StreamReader, received: Received) -> None:
    """Wait until the caller closes its side, and note it."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass
    received.mark_abandoned()


async def play(steps: Sequence[Step], writer: asyncio.StreamWriter) -> None:
    """Play the steps in their order; each run of bytes is a write of its own, flushed before the next step."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for step in steps:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Gate():
                while not step.is_open:  # noqa: ASYNC110 - opened by another thread
                    await asyncio.sleep(POLL)
            case Hang():
                await asyncio.Event().wait()
            case Reset():
                await asyncio.sleep(0.01)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                writer.transport.abort()
                return
