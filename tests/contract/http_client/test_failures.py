"""Resets, deadlines, cancellation and slow readers: each ends the socket at once and leaks nothing."""

import asyncio
import socket
import ssl
import struct
from typing import Any

import pytest

from junto.providers.http import Deadlines, HttpClient, Limits, TransportFailure, TransportFailureKind
from tests.contract.http_client.peers import (
    LONG,
    OK,
    Peer,
    Script,
    client,
    head,
    peer,
    replies,
    silence,
    unanswering_port,
)

pytestmark = pytest.mark.anyio
Kind = TransportFailureKind

HEADERS_ONLY = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
SHORT = Deadlines(connect=0.05, headers=0.05, first_byte=0.05, idle=0.05)


async def send_and_read(http: HttpClient, url: str, deadlines: Deadlines) -> None:
    """One exchange to the end of its body."""
    response = await http.send(head(url), b"{}", deadlines)
    try:
        while await response.read():
            pass
    finally:
        response.close()


async def failure_of(http: HttpClient, url: str, deadlines: Deadlines = LONG) -> TransportFailure:
    """Send and read to the end, which must fail."""
    with pytest.raises(TransportFailure) as caught:
        await send_and_read(http, url, deadlines)
    assert http.in_use == 0
    return caught.value


def closing_after(data: bytes, *, hard: bool = False) -> Script:
    """A script that answers `data`, then closes the connection: with a reset if `hard`."""

    async def script(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(data)
        await writer.drain()
        if hard:
            made: socket.socket = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise EOFError  # closes

    return script


@pytest.mark.parametrize("hard", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        HEADERS_ONLY,
        HEADERS_ONLY + b"hello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["nothing", "in-headers", "headers", "sized", "in-chunk", "between-chunks"],
)
async def test_a_connection_that_ends_too_early_is_a_reset(data: bytes, hard: bool) -> None:  # noqa: FBT001
    async with peer(closing_after(data, hard=hard)) as upstream, client(upstream.url()) as http:
        failure = await failure_of(http, upstream.url())
        assert (failure.kind, failure.sent) == (Kind.RESET, True)
        assert upstream.accepted == 1


async def test_a_refused_connection_is_a_failure_with_nothing_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with client(url) as http:
            failure = await failure_of(http, url)
    assert (failure.kind, failure.sent) == (Kind.CONNECT, False)


async def test_a_connection_that_nobody_answers_fails_in_time_with_nothing_sent() -> None:
    with unanswering_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with client(url) as http:
            failure = await failure_of(http, url, SHORT)
    assert (failure.kind, failure.sent) == (Kind.CONNECT_TIMEOUT, False)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Kind.HEADERS_TIMEOUT),
        (b"HTTP/1.1 200 OK\r\n", Kind.HEADERS_TIMEOUT),
        (HEADERS_ONLY, Kind.FIRST_BYTE_TIMEOUT),
        (HEADERS_ONLY + b"hello", Kind.IDLE_TIMEOUT),
    ],
    ids=["nothing", "in-headers", "headers", "body"],
)
async def test_each_silence_has_its_own_deadline(data: bytes, kind: TransportFailureKind) -> None:
    async with peer(replies(data)) as upstream, client(upstream.url()) as http:
        failure = await failure_of(http, upstream.url(), SHORT)
        assert (failure.kind, failure.sent) == (kind, True)
        await upstream.until_gone()


async def test_bytes_that_are_no_response_are_a_protocol_failure() -> None:
    async with peer(replies(b"220 mail.example.com ESMTP\r\n")) as upstream, client(upstream.url()) as http:
        failure = await failure_of(http, upstream.url())
        assert (failure.kind, failure.sent) == (Kind.PROTOCOL, True)
        await upstream.until_gone()


async def test_endless_headers_are_cut_off() -> None:
    async def endless(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Filler: " + b"a" * 1000 + b"\r\n")
            await writer.drain()

    async with peer(endless) as upstream, client(upstream.url()) as http:
        failure = await failure_of(http, upstream.url())
        assert failure.kind is Kind.TOO_LARGE
        await upstream.until_gone()


async def test_a_body_beyond_the_limit_is_cut_off() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 100_000
    async with peer(replies(answer)) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        with pytest.raises(TransportFailure) as caught:
            await response.read_all(50_000)
        assert caught.value.kind is Kind.TOO_LARGE
        await upstream.until_gone()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_reader_that_stops_stops_the_upstream(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    total, piece = 64 * 1024 * 1024, b"a" * 65_536
    written = 0

    async def flood(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await upstream.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(piece)
            written += len(piece)
            await writer.drain()

    async def until_stuck() -> None:
        before = -1
        while written != before:
            before = written
            await asyncio.sleep(0.05)

    async with (
        peer(flood, server_tls if scheme == "https" else None) as upstream,
        client(upstream.url(scheme), ssl_context=client_tls) as http,
    ):
        response = await http.send(head(upstream.url(scheme)), b"", LONG)
        await until_stuck()
        connection = response._connection
        assert connection is not None
        assert connection.buffered <= Limits().high_water + 262_144
        assert written < total
        received = 0
        while data := await response.read():
            assert len(data) <= Limits().high_water + 262_144
            received += len(data)
        assert received == total
        response.close()
        assert http.idle == 1


async def test_a_stale_connection_is_replaced_without_the_caller_noticing() -> None:
    bodies = [b"first", b"second"]

    async def race(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(OK)
        await upstream.request(reader)
        raise EOFError  # closed without a byte of an answer, as a server does whose keep-alive time has just passed

    async with peer(race) as upstream, client(upstream.url()) as http:
        for body in bodies:
            response = await http.send(head(upstream.url()), body, LONG)
            assert await response.read_all(9) == b"ok"
            response.close()
        assert upstream.accepted == 2
        assert [request.rpartition(b"\r\n\r\n")[2] for request in upstream.requests] == [b"first", b"second", b"second"]


async def test_a_stale_connection_is_replaced_once_and_never_twice() -> None:
    async def race(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        if upstream.accepted == 1:
            writer.write(OK)
            await upstream.request(reader)
        raise EOFError

    async with peer(race) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        await response.read_all(9)
        response.close()
        failure = await failure_of(http, upstream.url())
        assert (failure.kind, failure.sent) == (Kind.RESET, True)
        assert upstream.accepted == 2


async def test_a_used_connection_that_breaks_within_its_answer_is_not_replaced() -> None:
    async def race(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(OK)
        await upstream.request(reader)
        writer.write(b"H")
        await writer.drain()
        raise EOFError

    async with peer(race) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        await response.read_all(9)
        response.close()
        failure = await failure_of(http, upstream.url())
        assert failure.kind is Kind.RESET
        assert upstream.accepted == 1


async def test_a_failing_replacement_says_that_the_request_may_have_been_seen() -> None:
    stop = asyncio.Event()

    async def race(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(OK)
        await upstream.request(reader)
        stop.set()
        await asyncio.sleep(0.01)
        raise EOFError

    server = Peer(lambda reader, writer: race(server, reader, writer))
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with client(server.url()) as http:
        response = await http.send(head(server.url()), b"", LONG)
        await response.read_all(9)
        response.close()
        asking = asyncio.ensure_future(failure_of(http, server.url()))
        await stop.wait()
        listener.close()
        failure = await asking
        assert (failure.kind, failure.sent) == (Kind.CONNECT, True)
    await server.stop()


async def test_an_idle_connection_that_the_peer_closes_is_not_used_again() -> None:
    async with peer(closing_after(OK)) as upstream, client(upstream.url()) as http:
        for _ in range(3):
            response = await http.send(head(upstream.url()), b"", LONG)
            assert await response.read_all(9) == b"ok"
            response.close()
            await upstream.until_gone(upstream.accepted)
            for _ in range(100):
                await asyncio.sleep(0)
            assert http.idle == 0
        assert upstream.accepted == 3
        assert len(upstream.requests) == 3


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task and see it end so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_while_waiting_for_a_connection_the_place_in_the_queue_is_free() -> None:
    limits = Limits(max_connections=1)
    async with peer(replies(OK, OK)) as upstream, client(upstream.url(), limits=limits) as http:
        first = await http.send(head(upstream.url()), b"", LONG)
        waiting = [asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG)) for _ in range(2)]
        await asyncio.sleep(0)
        await cancel(waiting[0])
        assert http.in_use == 1
        await first.read_all(9)
        first.close()
        response = await waiting[1]
        response.close()
        assert len(upstream.requests) == 2


async def test_cancelled_in_the_moment_of_the_handover_the_connection_goes_back() -> None:
    limits = Limits(max_connections=1)
    async with peer(replies(OK, OK)) as upstream, client(upstream.url(), limits=limits) as http:
        first = await http.send(head(upstream.url()), b"", LONG)
        waiting = asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG))
        await first.read_all(9)
        await asyncio.sleep(0)
        first.close()
        await cancel(waiting)
        assert (http.in_use, http.idle) == (0, 1)


async def test_cancelled_while_connecting_nothing_is_left() -> None:
    with unanswering_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with client(url) as http:
            task = asyncio.ensure_future(http.send(head(url), b"", LONG))
            await asyncio.sleep(0.01)
            assert http.in_use == 1
            await cancel(task)
            assert http.in_use == 0


async def test_cancelled_in_the_tls_handshake_the_socket_is_closed() -> None:
    async with peer(silence) as upstream, client(upstream.url("https")) as http:
        task = asyncio.ensure_future(http.send(head(upstream.url("https")), b"", LONG))
        await upstream.until_accepted()
        await asyncio.sleep(0.01)
        await cancel(task)
        assert http.in_use == 0
        await upstream.until_gone()


async def test_cancelled_while_waiting_for_headers_the_socket_is_closed() -> None:
    async with peer(replies(b"")) as upstream, client(upstream.url()) as http:
        task = asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG))
        await upstream.until_requests(1)
        await cancel(task)
        assert (http.in_use, http.idle) == (0, 0)
        await upstream.until_gone()


@pytest.mark.parametrize("data", [HEADERS_ONLY, HEADERS_ONLY + b"hello"], ids=["headers", "body"])
async def test_cancelled_in_the_body_the_socket_is_closed(data: bytes) -> None:
    async with peer(replies(data)) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        task = asyncio.ensure_future(response.read_all(100))
        await asyncio.sleep(0.01)
        await cancel(task)
        assert (http.in_use, http.idle) == (0, 0)
        await upstream.until_gone()
        response.close()
        assert http.in_use == 0


async def test_cancelled_while_replacing_a_stale_connection_nothing_is_left() -> None:
    async def race(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        if upstream.accepted == 1:
            writer.write(OK)
            await upstream.request(reader)
            raise EOFError

    async with peer(race) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        await response.read_all(9)
        response.close()
        task = asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG))
        await upstream.until_requests(3)
        await cancel(task)
        assert (http.in_use, http.idle) == (0, 0)
        await upstream.until_gone(2)
