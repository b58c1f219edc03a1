"""One caller's connection: HTTP/1.1 in by httptools, answers out as sized or chunked bodies.

It knows no dialect. It notices at once when the caller goes away, which is what the tests are after.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import httptools

from tests.upstreams.received import Received

type Handler = Callable[[Exchange], Awaitable[None]]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Exchange:
    """One request and the means to answer it; the answer is `send` once, or `start`, `write`..., `finish`."""

    def __init__(self, connection: Connection, received: Received, *, keep_alive: bool) -> None:
        self.received = received
        self._connection = connection
        self._keep_alive = keep_alive

    async def send_json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a JSON value."""
        encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        await self.send(status, encoded, "application/json; charset=utf-8", headers)

    async def send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer whole, with a Content-Length."""
        await self.send_part(status, body, len(body), content_type, headers)
        self.received.mark_finished()
        self._end()

    async def send_part(
        self, status: int, body: bytes, length: int, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Announce `length` bytes and send only `body`: an answer that will break off."""
        head = self._head(status, {"Content-Type": content_type, "Content-Length": str(length), **(headers or {})})
        await self._connection.write(head if self.received.method == "HEAD" else head + body)

    async def start(self, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of a streamed answer."""
        await self._connection.write(
            self._head(
                status,
                {"Content-Type": content_type, "Transfer-Encoding": "chunked", **(headers or {})},
            )
        )

    async def write(self, data: bytes) -> None:
        """Send one chunk of a streamed answer; waits while the caller reads too slowly."""
        if data:
            await self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> None:
        """End a streamed answer properly."""
        await self._connection.write(b"0\r\n\r\n")
        self.received.mark_finished()
        self._end()

    def reset(self) -> None:
        """Break the connection with RST."""
        self.received.mark_finished()
        self._connection.abort()

    def close(self) -> None:
        """Break the connection with FIN after what was sent."""
        self.received.mark_finished()
        self._connection.close()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        reason = HTTPStatus(status).phrase if status in HTTPStatus else "Status"
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        if not self._keep_alive:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _end(self) -> None:
        if not self._keep_alive:
            self._connection.close()


class Connection(asyncio.Protocol):
    """The server's side of one socket; requests on it are answered one after the other."""

    def __init__(self, server: str, handler: Handler, connections: set[Connection]) -> None:
        self._server = server
        self._handler = handler
        self._connections = connections
        self._waiting: deque[Exchange] = deque()
        self._current: Received | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport, and oneself among the open connections."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Record who was left waiting and stop answering."""
        self._connections.discard(self)
        self._writable.set()
        for received in [self._current, *(exchange.received for exchange in self._waiting)]:
            if received is not None:
                received.mark_abandoned()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; anything that is not HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self._transport.close()

    def pause_writing(self) -> None:
        """Make writers wait: the caller does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    def on_message_begin(self) -> None:
        """Start a request (httptools)."""
        self._url, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target (httptools)."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header (httptools)."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body (httptools)."""
        self._body += body

    def on_message_complete(self) -> None:
        """Queue the request and see that it is answered (httptools)."""
        target = urlsplit(self._url.decode("latin-1"))
        received = Received(
            server=self._server,
            method=self._parser.get_method().decode("ascii"),
            path=unquote(target.path),
            query=target.query,
            headers=self._headers,
            body=bytes(self._body),
            peer_port=self._transport.get_extra_info("peername")[1],
        )
        self._waiting.append(Exchange(self, received, keep_alive=self._parser.should_keep_alive()))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def write(self, data: bytes) -> None:
        """Hand bytes to the socket, after the caller has caught up."""
        await self._writable.wait()
        if self._transport.is_closing():
            await asyncio.sleep(0)  # the loss of the connection is told in the loop's next turn, and ends this answer
        else:
            self._transport.write(data)

    def abort(self) -> None:
        """Break the connection with RST, at once."""
        raw: socket.socket = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection after what was written."""
        self._transport.close()

    async def _answer(self) -> None:
        while self._waiting and not self._transport.is_closing():
            exchange = self._waiting.popleft()
            self._current = exchange.received
            await self._handler(exchange)
            self._current = None
