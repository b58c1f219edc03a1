"""Upstreams and proxies as small as a test needs them, on ephemeral loopback ports."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from junto.providers.http import Deadlines, Limits, Origin, prepare_head
from junto.providers.http.client import HttpClient

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LONG = Deadlines(connect=10, headers=10, first_byte=10, idle=10)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A listening server; each connection is a call of `handler`, and `gone` counts those that the client closed."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.accepted = 0
        self.gone = 0
        self.requests: list[bytes] = []

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}"

    async def until_gone(self, count: int = 1) -> None:
        """Wait until the client has closed `count` connections."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.gone >= count)

    async def until_requests(self, count: int) -> None:
        """Wait until `count` requests have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def until_accepted(self, count: int = 1) -> None:
        """Wait until `count` connections have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.accepted >= count)

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request with a sized body, or raise EOFError."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)\r\n", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.requests.append(head + body)
        async with self._changed:
            self._changed.notify_all()
        return head + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        async with self._changed:
            self._changed.notify_all()
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._handler(reader, writer)
                while await reader.read(65_536):
                    pass
        finally:
            self.gone += 1
            writer.transport.abort()
        async with self._changed:
            self._changed.notify_all()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self.serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


Script = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(
    script: Script,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Peer]:
    """Listen for the length of a block."""
    made: Peer

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script(made, reader, writer)

    made = Peer(handler)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0, ssl=ssl_context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.stop()
        # The transports' last callbacks run before the loop is taken away.
        for _ in range(3):
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def client(
    url: str,
    *,
    limits: Limits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Origin | None = None,
) -> AsyncIterator[HttpClient]:
    """A client for the length of a block; it must have given everything back at the end of it."""
    made = HttpClient(Origin.parse(url), limits=limits, ssl_context=ssl_context, proxy=proxy)
    try:
        yield made
    finally:
        await made.close()
    assert made.in_use == 0
    assert made.idle == 0


def head(url: str, method: str = "POST", path: str = "/v1/x") -> bytes:
    """A request head with a key in it."""
    return prepare_head(Origin.parse(url), method, path, [("Authorization", "Bearer sk-origin")])


def replies(*answers: bytes) -> Script:
    """A script that answers each request on a connection with the next of `answers`, then says nothing more."""

    async def script(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await upstream.request(reader)
            writer.write(answer)
            await writer.drain()

    return script


async def silence(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A script that reads and never answers."""


@contextlib.contextmanager
def unanswering_port() -> Iterator[int]:
    """A port where TCP itself gets no answer: the queue of a listener that never accepts is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
