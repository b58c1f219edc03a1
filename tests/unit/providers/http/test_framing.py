"""Every framing of a response, whole and in every split, and what leaves a connection reusable."""

from typing import Any

import pytest

from junto.providers.http import Limits, TransportFailureKind
from junto.providers.http.phase import Phase
from tests.unit.providers.http.wire import HEAD, Wire, outcome

Kind = TransportFailureKind

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED
LENGTH = (b"content-length", b"5")
COMPLETE: list[tuple[str, bytes, tuple[Any, ...]]] = [
    ("sized", SIZED, (200, [LENGTH, (b"x-a", b"b")], b"hello", "complete", True)),
    ("chunked", CHUNKED, (200, [(b"transfer-encoding", b"chunked")], b"hello", "complete", True)),
    ("interim", INTERIM, (200, [LENGTH, (b"x-a", b"b")], b"hello", "complete", True)),
    (
        "empty",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        (200, [(b"content-length", b"0")], b"", "complete", True),
    ),
    ("204", b"HTTP/1.1 204 No Content\r\n\r\n", (204, [], b"", "complete", True)),
    ("304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, [LENGTH], b"", "complete", True)),
    (
        "connection-close",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        (200, [(b"connection", b"close"), LENGTH], b"hello", "complete", False),
    ),
    ("http-1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, [LENGTH], b"hello", "complete", False)),
    ("error", b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello", (503, [LENGTH], b"hello", "complete", True)),
    (
        "redirect",
        b"HTTP/1.1 302 Found\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n",
        (302, [(b"location", b"http://b/"), (b"content-length", b"0")], b"", "complete", True),
    ),
]


@pytest.mark.parametrize(("wanted", "data"), [pytest.param(w, d, id=n) for n, d, w in COMPLETE])
def test_every_split_of_a_response_gives_the_same_result(data: bytes, wanted: tuple[Any, ...]) -> None:
    for cut in range(1, len(data)):
        wire = Wire()
        wire.request()
        wire.feed(data[:cut], data[cut:])
        assert outcome(wire) == wanted


@pytest.mark.parametrize(("wanted", "data"), [pytest.param(w, d, id=n) for n, d, w in COMPLETE])
def test_a_response_byte_by_byte_gives_the_same_result(data: bytes, wanted: tuple[Any, ...], wire: Wire) -> None:
    wire.request()
    wire.feed(*(data[i : i + 1] for i in range(len(data))))
    assert outcome(wire) == wanted


def test_a_body_without_length_ends_with_the_connection(wire: Wire) -> None:
    wire.request()
    wire.feed(CLOSED)
    wire.end()
    assert outcome(wire) == (200, [(b"x-a", b"b")], b"hello", "complete", False)


def test_a_body_without_length_is_incomplete_if_the_socket_broke(wire: Wire) -> None:
    wire.request()
    wire.feed(CLOSED)
    wire.end(ConnectionResetError())
    assert outcome(wire)[2:] == (b"hello", Kind.RESET, False)


@pytest.mark.parametrize("data", [SIZED, CHUNKED, INTERIM], ids=["sized", "chunked", "interim"])
@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["closed", "reset"])
def test_a_response_cut_off_after_any_byte_is_a_reset(data: bytes, error: Exception | None) -> None:
    for cut in range(len(data)):
        wire = Wire()
        wire.request()
        if cut:
            wire.feed(data[:cut])
        wire.end(error)
        status, _, body, end, reusable = outcome(wire)
        assert (end, reusable) == (Kind.RESET, False)
        assert b"hello".startswith(body)
        assert status in (0, 200)
        assert wire.transport.is_closing()


def test_a_transfer_coding_that_is_not_chunked_is_never_a_complete_body(wire: Wire) -> None:
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello")
    if not wire.transport.is_closing():
        wire.end()
    assert outcome(wire)[3] in (Kind.RESET, Kind.PROTOCOL)


@pytest.mark.parametrize("after", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_response_to_head_has_no_body_and_its_connection_is_not_used_again(after: bytes, wire: Wire) -> None:
    wire.request(HEAD.replace(b"POST", b"HEAD"), b"")
    wire.feed(b"HTTP/1.1 200 OK\r\n" + after + b"\r\n")
    status, _, body, end, reusable = outcome(wire)
    assert (status, body, end, reusable) == (200, b"", "complete", False)


def test_a_body_behind_a_response_to_head_is_not_delivered(wire: Wire) -> None:
    wire.request(HEAD.replace(b"POST", b"HEAD"), b"")
    wire.feed(SIZED)
    assert outcome(wire)[2:] == (b"", "complete", False)
    assert wire.transport.is_closing()


@pytest.mark.parametrize(
    "garbage", [b"H", b"HTTP/1.1 200 OK\r\nX-Evil: ", SIZED, b"\x00", b"GET / HTTP/1.1\r\n\r\n"], ids=repr
)
@pytest.mark.parametrize("data", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_bytes_behind_a_response_leave_it_whole_and_poison_the_connection(data: bytes, garbage: bytes) -> None:
    for pieces in ([data + garbage], [data, garbage], [data[:-3], data[-3:] + garbage]):
        wire = Wire()
        wire.request()
        wire.feed(*pieces)
        status, _, body, end, reusable = outcome(wire)
        assert (status, body, end, reusable) == (200, b"hello", "complete", False)
        assert not wire.connection.park(10)
        assert wire.transport.is_closing()


def test_bytes_before_the_first_request_poison_the_connection(wire: Wire) -> None:
    wire.feed(SIZED)
    assert wire.connection.phase is Phase.CLOSED
    assert wire.transport.is_closing()


def test_bytes_on_an_idle_connection_take_it_out_of_the_pool(wire: Wire) -> None:
    wire.request()
    wire.feed(SIZED)
    assert wire.connection.park(10)
    wire.feed(b"\r\n")
    assert wire.keeper.idle_forgotten == 1
    assert wire.transport.is_closing()


@pytest.mark.parametrize(
    "data",
    [
        b"not http at all\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/3.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
        b"HTTP/1.1 200 OK\nX-A: b\n\n",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
    ids=repr,
)
def test_bytes_that_are_no_response_are_a_protocol_failure(data: bytes, wire: Wire) -> None:
    wire.request()
    wire.feed(data)
    assert outcome(wire)[3] == Kind.PROTOCOL
    assert wire.transport.is_closing()


@pytest.mark.parametrize("split", [1, 17, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 3000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20 + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * 3000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 3000,
    ],
    ids=["value", "headers", "count", "reason", "interims", "chunk-extension", "trailer"],
)
def test_headers_and_framing_are_bounded_however_they_are_cut(data: bytes, split: int) -> None:
    wire = Wire(Limits(max_header_bytes=1000, max_header_count=10))
    wire.request()
    wire.feed(*(data[i : i + split] for i in range(0, len(data), split)))
    assert outcome(wire)[3] == Kind.TOO_LARGE
    assert wire.transport.is_closing()


@pytest.mark.parametrize("headers", [b"X: " + b"a" * 1000 + b"\r\n", b"X: a\r\n" * 11], ids=["bytes", "count"])
def test_headers_that_arrive_whole_in_one_read_are_bounded_too(headers: bytes) -> None:
    wire = Wire(Limits(max_header_bytes=1000, max_header_count=10))
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n")
    assert outcome(wire)[3] == Kind.TOO_LARGE


def test_a_long_body_in_the_same_read_does_not_count_as_headers() -> None:
    wire = Wire(Limits(max_header_bytes=100))
    wire.request()
    wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5000)
    assert outcome(wire)[2:] == (b"a" * 5000, "complete", True)
