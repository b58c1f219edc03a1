"""Exchanges that go well, and the pool behind them."""

import asyncio

import pytest

from junto.providers.http import Deadlines, Limits, TransportFailure, TransportFailureKind
from tests.contract.http_client.peers import LONG, OK, Peer, client, head, peer, replies

pytestmark = pytest.mark.anyio
Kind = TransportFailureKind

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


async def closing(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a body that ends with the connection."""
    await upstream.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")
    writer.write_eof()


@pytest.mark.parametrize("answer", [OK, CHUNKED], ids=["sized", "chunked"])
async def test_requests_in_turn_use_one_connection(answer: bytes) -> None:
    async with peer(replies(*[answer] * 5)) as upstream, client(upstream.url()) as http:
        for number in range(5):
            response = await http.send(head(upstream.url()), b"%d" % number, LONG)
            assert response.status == 200
            assert await response.read_all(100) == b"ok"
            assert (http.in_use, http.idle) == (1, 0)
            response.close()
            assert (http.in_use, http.idle) == (0, 1)
        assert upstream.accepted == 1
        assert [request[-1:] for request in upstream.requests] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_body_delimited_by_close_is_whole_and_its_connection_gone() -> None:
    async with peer(closing) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        assert await response.read_all(100) == b"ok"
        response.close()
        assert (http.in_use, http.idle) == (0, 0)


async def test_a_large_request_and_a_large_response_arrive_whole() -> None:
    sent = b"0123456789" * 100_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + sent
    async with peer(replies(answer, OK)) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), sent, LONG)
        assert await response.read_all(2_000_000) == sent
        response.close()
        assert upstream.requests[0].endswith(b"\r\n\r\n" + sent)
        response = await http.send(head(upstream.url()), b"", LONG)
        assert await response.read_all(2) == b"ok"
        response.close()
        assert upstream.accepted == 1


async def test_pieces_of_a_stream_are_handed_over_as_they_come() -> None:
    turn = asyncio.Event()

    async def stream(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            await turn.wait()
            turn.clear()
            writer.write(b"1\r\n%d\r\n" % number)
        writer.write(b"0\r\n\r\n")

    async with peer(stream) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"{}", LONG)
        for number in range(3):
            turn.set()
            assert await response.read() == b"%d" % number
        assert await response.read() == b""
        assert await response.read() == b""
        response.close()
        assert http.idle == 1


async def test_a_redirect_is_handed_over_and_not_followed() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with peer(replies(moved)) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"{}", LONG)
        assert (response.status, response.header(b"location")) == (307, b"http://127.0.0.1:1/")
        response.close()
        assert len(upstream.requests) == 1


async def test_the_connection_used_last_is_used_first() -> None:
    async with peer(replies(OK, OK, OK)) as upstream, client(upstream.url()) as http:
        first = await http.send(head(upstream.url()), b"", LONG)
        second = await http.send(head(upstream.url()), b"", LONG)
        await first.read_all(9)
        await second.read_all(9)
        first.close()
        second.close()
        assert http.idle == 2
        third = await http.send(head(upstream.url()), b"", LONG)
        third.close()
        assert upstream.accepted == 2


async def test_no_more_than_the_allowed_connections_stay_idle() -> None:
    limits = Limits(max_idle=1)
    async with peer(replies(OK)) as upstream, client(upstream.url(), limits=limits) as http:
        responses = [await http.send(head(upstream.url()), b"", LONG) for _ in range(3)]
        for response in responses:
            await response.read_all(9)
            response.close()
        assert (http.in_use, http.idle) == (0, 1)
        await upstream.until_gone(2)


async def test_waiters_are_served_in_their_order_over_the_same_connection() -> None:
    limits = Limits(max_connections=1)
    async with peer(replies(*[OK] * 4)) as upstream, client(upstream.url(), limits=limits) as http:

        async def ask(number: int) -> None:
            response = await http.send(head(upstream.url()), b"%d" % number, LONG)
            assert await response.read_all(9) == b"ok"
            response.close()

        await asyncio.gather(*(ask(number) for number in range(4)))
        assert upstream.accepted == 1
        assert [request[-1:] for request in upstream.requests] == [b"0", b"1", b"2", b"3"]
        assert (http.in_use, http.idle) == (0, 1)


async def test_a_waiter_gets_a_new_connection_when_the_busy_one_is_aborted() -> None:
    async def hanging_once(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(OK if upstream.accepted > 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")

    limits = Limits(max_connections=1)
    async with peer(hanging_once) as upstream, client(upstream.url(), limits=limits) as http:
        first = await http.send(head(upstream.url()), b"", LONG)
        second = asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG))
        await asyncio.sleep(0)
        first.close()
        response = await second
        assert await response.read_all(9) == b"ok"
        response.close()


async def test_no_free_connection_in_time_is_a_failure_with_nothing_sent() -> None:
    limits = Limits(max_connections=1)
    async with peer(replies(OK)) as upstream, client(upstream.url(), limits=limits) as http:
        first = await http.send(head(upstream.url()), b"", LONG)
        with pytest.raises(TransportFailure) as caught:
            await http.send(head(upstream.url()), b"", Deadlines(connect=0.02))
        assert (caught.value.kind, caught.value.sent) == (Kind.CONNECT_TIMEOUT, False)
        assert http.in_use == 1
        first.close()


async def test_bytes_sent_to_an_idle_connection_end_it() -> None:
    speak = asyncio.Event()

    async def chatty(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(OK)
        await speak.wait()
        writer.write(OK)

    async with peer(chatty) as upstream, client(upstream.url()) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        await response.read_all(9)
        response.close()
        assert http.idle == 1
        speak.set()
        await upstream.until_gone()
        assert http.idle == 0


async def test_closing_the_client_aborts_what_is_busy_and_refuses_the_rest() -> None:
    partial = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    limits = Limits(max_connections=1)
    async with peer(replies(partial)) as upstream, client(upstream.url(), limits=limits) as http:
        response = await http.send(head(upstream.url()), b"", LONG)
        assert await response.read() == b"ok"
        reading = asyncio.ensure_future(response.read())
        waiting = asyncio.ensure_future(http.send(head(upstream.url()), b"", LONG))
        await asyncio.sleep(0)
        await http.close()
        await http.close()
        for task, kind in ((reading, Kind.RESET), (waiting, Kind.CONNECT)):
            with pytest.raises(TransportFailure) as caught:
                await task
            assert caught.value.kind is kind
        with pytest.raises(TransportFailure, match="closed"):
            await http.send(head(upstream.url()), b"", LONG)
        await upstream.until_gone()
        response.close()
