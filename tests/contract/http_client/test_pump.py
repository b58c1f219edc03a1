"""Pumping and lingering over real sockets: pieces without a task, and connections that outlive a stream's own end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.providers.http.client import Deadlines, HttpClient
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.origin import Origin, prepare_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PAUSE = 0.02


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream:
    """Plays the same pieces, a moment apart, to every request on a connection; counts connections."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in self.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(PAUSE)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def with_client(upstream: Upstream, work: Callable[[HttpClient, bytes], Awaitable[None]]) -> None:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    client = HttpClient(origin)
    try:
        await work(client, prepare_head(origin, "GET", "/", []))
    finally:
        await client.close()
        server.close()
        await asyncio.sleep(PAUSE)


async def test_pieces_go_to_the_sink_and_the_end_to_the_reader() -> None:
    """What is pumped and what is read afterwards is the whole body, in order."""
    upstream = Upstream(HEAD + chunk(b"a"), chunk(b"b"), chunk(b"c"), chunk(b"d") + b"0\r\n\r\n")

    async def work(client: HttpClient, head: bytes) -> None:
        response = await client.send(head, b"", Deadlines())
        got = [await response.read()]

        def take(data: bytes) -> bool:
            got.append(data)
            return True

        await response.pump(take)
        while piece := await response.read():
            got.append(piece)
        response.close()
        assert b"".join(got) == b"abcd"

    await with_client(upstream, work)


async def test_a_sink_that_has_enough_leaves_the_rest_to_the_reader() -> None:
    """A sink that gives False has taken its piece; the next one is read."""
    upstream = Upstream(HEAD + chunk(b"a"), chunk(b"b"), chunk(b"c"), b"0\r\n\r\n")

    async def work(client: HttpClient, head: bytes) -> None:
        response = await client.send(head, b"", Deadlines())
        got = [await response.read()]

        def take(data: bytes) -> bool:
            got.append(data)
            return False

        await response.pump(take)
        assert got == [b"a", b"b"]
        assert await response.read() == b"c"
        response.close()

    await with_client(upstream, work)


async def test_silence_while_pumping_is_an_idle_timeout() -> None:
    """The pump returns, and the next read tells why."""
    upstream = Upstream(HEAD + chunk(b"a"), chunk(b"b"), *[b""] * 50)

    async def work(client: HttpClient, head: bytes) -> None:
        response = await client.send(head, b"", Deadlines(idle=5 * PAUSE))
        await response.read()
        await response.pump(lambda _: True)
        with pytest.raises(TransportFailure) as caught:
            await response.read()
        assert caught.value.kind is TransportFailureKind.IDLE_TIMEOUT

    await with_client(upstream, work)


async def test_a_stream_that_was_read_to_its_own_end_keeps_its_connection() -> None:
    """The last chunk of the framing comes after the reader is done, and the next request finds the connection."""
    upstream = Upstream(HEAD + chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")

    async def work(client: HttpClient, head: bytes) -> None:
        for _ in range(3):
            response = await client.send(head, b"", Deadlines())
            assert await response.read() == b"data: [DONE]\n\n"
            response.close(finished=True)
            assert client.in_use == 1
            await asyncio.sleep(4 * PAUSE)
            assert (client.in_use, client.idle) == (0, 1)
        assert upstream.connections == 1

    await with_client(upstream, work)


async def test_an_upstream_that_goes_on_behind_the_end_loses_its_connection() -> None:
    """What belongs to no answer is not waited for without a bound."""
    upstream = Upstream(HEAD + chunk(b"data: [DONE]\n\n"), *[chunk(b"x" * 3000)] * 4)

    async def work(client: HttpClient, head: bytes) -> None:
        response = await client.send(head, b"", Deadlines())
        await response.read()
        response.close(finished=True)
        await asyncio.sleep(8 * PAUSE)
        assert (client.in_use, client.idle) == (0, 0)

    await with_client(upstream, work)
