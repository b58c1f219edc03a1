"""A receiver of webhooks on loopback that keeps what it gets and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Receiver:
    """`requests` are the raw ones, head and body; `connections` counts."""

    def __init__(self, answer: bytes, *, then_hold: bool = False) -> None:
        self.answer = answer
        self.then_hold = then_hold
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
            length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
            self.requests.append((head, await reader.readexactly(length)))
            writer.write(self.answer)
            await writer.drain()
            if self.then_hold:
                await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def receiving(
    answer: bytes = OK, *, tls: ssl.SSLContext | None = None, then_hold: bool = False, host: str = "127.0.0.1"
) -> AsyncIterator[Receiver]:
    """A receiver that runs for as long as the block."""
    receiver = Receiver(answer, then_hold=then_hold)
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
