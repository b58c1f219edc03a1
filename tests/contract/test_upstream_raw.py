"""The raw server plays exactly what it is told, byte for byte."""

from __future__ import annotations

import socket

import pytest

from tests.upstreams import Gate, Hang, RawServer, Reset, Sleep
from tests.upstreams.raw import SSE_HEAD, chunked, sized

REQUEST = b"POST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nX-Thing: b\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED_REQUEST = b"POST /z HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"


def exchange(server: RawServer, request: bytes = REQUEST) -> bytes:
    """Send a request and read until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as caller:
        caller.sendall(request)
        return b"".join(iter(lambda: caller.recv(65536), b""))


def test_bytes_go_out_as_given_and_the_request_is_recorded() -> None:
    """Nothing is added to the planned bytes; path, query, headers and body are kept."""
    with RawServer([b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe", Sleep(0.0), b"tail"]) as server:
        assert exchange(server) == b"HTTP/1.1 200 OK\r\n\r\n\xff\xfetail"
    received = server.requests[0]
    assert (received.method, received.path, received.query) == ("POST", "/v1/x", "y=1")
    assert (received.headers["x-thing"], received.json) == ("b", {})
    assert received.finished.is_set()


def test_plans_come_first_and_chunked_requests_are_read() -> None:
    """A plan serves one connection, then the standing steps apply."""
    with RawServer(chunked(SSE_HEAD, b"data: 1\n\n")) as server:
        server.plan(sized(b"{}", status="503 Busy"))
        first, second = exchange(server, CHUNKED_REQUEST), exchange(server)
    assert first.startswith(b"HTTP/1.1 503 Busy")
    assert second == SSE_HEAD + b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"
    assert server.requests[0].json == [1]


def test_a_reset_follows_what_was_sent() -> None:
    """The caller reads the bytes before the reset, then the reset."""
    with (
        RawServer([b"HTTP/1.1 200 OK\r\n\r\npart", Reset()]) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as caller,
    ):
        caller.sendall(REQUEST)
        assert caller.recv(4096).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: caller.recv(4096), b""))


@pytest.mark.parametrize("step", [Hang(), Gate()])
def test_a_caller_that_leaves_is_noticed(step: Hang | Gate) -> None:
    """A caller that closes while the server is silent marks the request as abandoned."""
    with RawServer([b"HTTP/1.1 200 OK\r\n\r\npart", step]) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as caller:
            caller.sendall(REQUEST)
            assert caller.recv(4096)
        assert server.requests[0].wait_abandoned()
        assert not server.requests[0].finished.is_set()


def test_stopping_ends_a_hanging_connection() -> None:
    """A server with a silent connection stops at once, and the caller sees the end."""
    with RawServer([b"x", Hang()]) as server:
        caller = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        caller.sendall(REQUEST)
        assert caller.recv(1) == b"x"
    with caller:
        assert caller.recv(1) == b""
