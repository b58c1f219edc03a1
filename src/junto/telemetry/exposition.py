"""A listener that serves metrics and nothing else, for processes that serve no requests: workers.

Reads a request's head within bounds and answers GET of /metrics, /metrics/prometheus and /health/live; closes every connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HEAD_BYTES = 8 * 1024
_SECONDS = 10.0
_MOST_CONNECTIONS = 32
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsListener:
    """`scrape` gives the text. `host` is loopback unless told otherwise: metrics name the operator's models and backends."""

    def __init__(self, scrape: Callable[[], Awaitable[bytes]], *, host: str = "127.0.0.1", port: int) -> None:
        self._scrape = scrape
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on: the system's choice when 0 was asked for."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else self._port

    async def start(self) -> None:
        """Listen; raises OSError when that is not possible."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=_HEAD_BYTES)
        structlog.get_logger().info("metrics_listening", host=self._host, port=self.port)

    async def stop(self) -> None:
        """Close; safe to call twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            async with asyncio.timeout(_SECONDS):
                writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", b"", extra="allow: GET\r\n")
        if path == b"/health/live":
            return _response("200 OK", b"ok\n", bodiless=method == b"HEAD")
        if path not in {b"/metrics", b"/metrics/prometheus"}:
            return _response("404 Not Found", b"")
        return _response("200 OK", await self._scrape(), kind=_TEXT, bodiless=method == b"HEAD")


def _response(status: str, body: bytes, *, kind: str = "text/plain", extra: str = "", bodiless: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if bodiless else body)
