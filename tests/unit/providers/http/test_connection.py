"""One connection: what it writes, when it may be used again, how it waits, and how much it buffers."""

import asyncio
from math import inf

import pytest

from junto.providers.http import Limits, TransportFailure, TransportFailureKind
from junto.providers.http.phase import Phase
from tests.unit.providers.http.wire import DEADLINES, HEAD, Wire, step

Kind = TransportFailureKind
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OPEN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "body", "tail"),
    [
        (b"POST", b"{}", b"content-length: 2\r\n\r\n{}"),
        (b"POST", b"", b"content-length: 0\r\n\r\n"),
        (b"PUT", b"", b"content-length: 0\r\n\r\n"),
        (b"GET", b"", b"\r\n"),
        (b"HEAD", b"", b"\r\n"),
        (b"DELETE", b"", b"\r\n"),
        (b"POST", b"a" * 100_000, b"content-length: 100000\r\n\r\n" + b"a" * 100_000),
    ],
)
def test_a_request_is_the_head_the_length_and_the_body(wire: Wire, method: bytes, body: bytes, tail: bytes) -> None:
    head = HEAD.replace(b"POST", method)
    wire.request(head, body)
    assert wire.transport.written == head + tail


def test_a_connection_carries_one_response_after_another(wire: Wire) -> None:
    for _ in range(3):
        waiter = wire.request()
        wire.feed(SIZED)
        assert waiter.done()
        response = wire.response()
        assert step(response.read_all(100)) == b"hello"
        assert step(response.read()) == b""
        assert wire.connection.park(10)
    assert not wire.transport.is_closing()


def test_an_unread_body_does_not_reach_the_next_response(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    assert wire.connection.park(10)
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert step(wire.response().read_all(100)) == b"ok"


def test_a_response_keeps_its_headers_after_its_connection_has_moved_on(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    response = wire.response()
    wire.connection.park(10)
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-B: c\r\n\r\nok")
    assert response.headers == [(b"content-length", b"5")]
    assert response.header(b"content-length") == b"5"
    assert response.header(b"x-b") is None


def test_a_connection_whose_request_is_not_written_is_not_pooled(wire: Wire) -> None:
    wire.request()
    wire.connection.pause_writing()
    wire.feed(SIZED)
    assert not wire.connection.park(10)
    wire.connection.resume_writing()
    assert wire.connection.park(10)


def test_pieces_that_are_already_here_are_joined(wire: Wire) -> None:
    wire.request()
    wire.feed(OPEN, b"ab", b"cd")
    assert step(wire.response().read()) == b"abcd"


def test_reading_pauses_above_the_high_water_mark_and_resumes_with_the_reader() -> None:
    wire = Wire(Limits(high_water=1000))
    wire.request()
    wire.feed(OPEN, b"a" * 1000)
    assert wire.transport.is_reading()
    wire.feed(b"a")
    assert not wire.transport.is_reading()
    assert len(step(wire.response().read())) == 1001
    assert wire.transport.is_reading()


def test_a_paused_connection_that_is_complete_is_read_again_in_the_pool() -> None:
    wire = Wire(Limits(high_water=2))
    wire.request()
    wire.feed(SIZED)
    assert not wire.transport.is_reading()
    assert wire.connection.park(10)
    assert wire.transport.is_reading()


@pytest.mark.parametrize("limit", [0, 4])
def test_a_body_beyond_the_limit_is_refused_and_ends_the_connection(wire: Wire, limit: int) -> None:
    wire.request()
    wire.feed(SIZED)
    with pytest.raises(TransportFailure) as caught:
        step(wire.response().read_all(limit))
    assert caught.value.kind is Kind.TOO_LARGE
    assert wire.pool.in_use == 0


def test_a_body_of_exactly_the_limit_is_read(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    assert step(wire.response().read_all(5)) == b"hello"


def test_closing_an_unfinished_response_aborts_at_once(wire: Wire) -> None:
    wire.request()
    wire.feed(OPEN, b"a")
    response = wire.response()
    response.close()
    response.close()
    assert wire.transport.is_closing()
    assert wire.pool.in_use == 0
    with pytest.raises(TransportFailure) as caught:
        step(response.read())
    assert caught.value.kind is Kind.RESET


def test_no_headers_in_time_is_a_failure(wire: Wire) -> None:
    waiter = wire.request()
    wire.loop.advance(1.9)
    wire.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2")
    assert not waiter.done()
    wire.loop.advance(0.2)
    assert waiter.done()
    assert wire.connection.failure is not None
    assert wire.connection.failure.kind is Kind.HEADERS_TIMEOUT
    assert wire.connection.failure.sent
    assert wire.transport.is_closing()


def test_no_first_byte_in_time_is_another_failure(wire: Wire) -> None:
    wire.request()
    wire.feed(OPEN)
    wire.connection.wait(DEADLINES.first_byte, Kind.FIRST_BYTE_TIMEOUT)
    wire.loop.advance(3.1)
    assert wire.connection.failure is not None
    assert wire.connection.failure.kind is Kind.FIRST_BYTE_TIMEOUT


def test_time_that_the_reader_spends_elsewhere_counts_against_nothing(wire: Wire) -> None:
    wire.request()
    wire.feed(OPEN)
    wire.loop.advance(1000)
    assert wire.connection.failure is None
    wire.feed(b"a")
    assert step(wire.response().read()) == b"a"


def test_chunk_extensions_that_trickle_in_do_not_move_the_deadline(wire: Wire) -> None:
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    wire.connection.wait(DEADLINES.idle, Kind.IDLE_TIMEOUT)
    for _ in range(5):
        wire.loop.advance(1)
        wire.feed(b"x")
    assert wire.connection.failure is not None
    assert wire.connection.failure.kind is Kind.IDLE_TIMEOUT


def test_a_deadline_that_is_never_is_never(wire: Wire) -> None:
    waiter = wire.connection.request(HEAD, b"", inf)
    wire.loop.advance(1e9)
    assert not waiter.done()


def test_a_thousand_requests_make_one_timer(wire: Wire) -> None:
    for _ in range(1000):
        wire.request()
        wire.feed(SIZED)
        assert wire.connection.park(10)
        wire.loop.advance(0.001)
    assert wire.loop.timers_made == 1


def test_an_earlier_deadline_than_the_timer_is_kept(wire: Wire) -> None:
    wire.connection.request(HEAD, b"", 1000)
    wire.feed(OPEN)
    wire.connection.wait(1, Kind.FIRST_BYTE_TIMEOUT)
    wire.loop.advance(1.1)
    assert wire.connection.failure is not None
    assert wire.connection.failure.kind is Kind.FIRST_BYTE_TIMEOUT


def test_an_idle_connection_is_closed_after_its_time(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    wire.connection.park(10)
    wire.loop.advance(5)
    assert not wire.transport.is_closing()
    wire.loop.advance(5.1)
    assert wire.transport.is_closing()
    assert wire.keeper.idle_forgotten == 1


def test_an_idle_connection_that_the_peer_closes_leaves_the_pool(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    wire.connection.park(10)
    wire.end()
    assert (wire.keeper.idle_forgotten, wire.keeper.forgotten) == (1, 1)
    assert wire.connection.phase is Phase.CLOSED


def test_only_a_used_connection_without_any_byte_of_a_response_is_stale(wire: Wire) -> None:
    def lost(before: bytes, *, used: bool) -> bool:
        fresh = Wire()
        if used:
            fresh.request()
            fresh.feed(SIZED)
            fresh.connection.park(10)
        fresh.request()
        if before:
            fresh.feed(before)
        fresh.end(ConnectionResetError())
        return fresh.connection.stale

    assert lost(b"", used=True)
    assert not lost(b"", used=False)
    assert not lost(b"H", used=True)
    assert not lost(b"HTTP/1.1 100 Continue\r\n\r\n", used=True)
    assert not lost(OPEN, used=True)


def test_a_timeout_on_a_used_connection_is_not_stale(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    wire.connection.park(10)
    wire.request()
    wire.loop.advance(3)
    assert wire.connection.failure is not None
    assert not wire.connection.stale


def test_a_reader_is_woken_when_the_response_is_closed_under_it(wire: Wire) -> None:
    wire.request()
    wire.feed(OPEN)
    waiter: asyncio.Future[None] = wire.connection.wait(5, Kind.IDLE_TIMEOUT)
    wire.response().close()
    assert waiter.done()
