"""Answers that are spoilt in their status, their headers or the framing of their body."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from tests.flow.malformed.case import Case, in_both, in_each_stream, in_each_whole, whole
from tests.flow.malformed.good import ERRORS, SECRET, WHOLES, dumps, head, stream
from tests.flow.malformed.verdict import ANSWER, ERROR
from tests.upstreams.raw import LAST_CHUNK, Reset, Step
from tests.upstreams.raw import chunk as framed

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSALS = (400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 418, 422, 429, 451, 499)
FAILURES = (500, 501, 502, 503, 504, 520, 529, 599)
REDIRECTS = (300, 301, 302, 303, 304, 307, 308)
OTHER_SUCCESSES = (201, 202, 203, 205, 206, 226)
MOVED = "Location: {elsewhere}\r\nContent-Length: 0"  # the test puts an address there that must see nobody


def _good(dialect: str) -> bytes:
    return dumps(WHOLES[dialect])


def statuses() -> Iterator[Case]:
    """Every status but 200 is an error, whatever comes with it."""
    for status in (*REFUSALS, *FAILURES):
        yield from in_each_whole(
            f"{status} with its words", lambda one, s: _refusal(one, s, dumps(ERRORS[one])), ERROR, status
        )
    for status in (400, 404, 429, 500, 503):
        yield from in_each_stream(
            f"{status} to a stream", lambda one, s: _refusal(one, s, dumps(ERRORS[one])), ERROR, status
        )
        yield from in_each_whole(
            f"{status} with a page", lambda one, s: _refusal(one, s, b"<html>" + SECRET.encode()), ERROR, status
        )
        yield from in_each_whole(
            f"{status} with a good answer", lambda one, s: _refusal(one, s, _good(one)), ERROR, status
        )
    for status in OTHER_SUCCESSES:
        yield from in_each_whole(f"{status} with an answer", lambda one, s: _refusal(one, s, _good(one)), ERROR, status)
    yield from in_both("204", lambda _: (b"HTTP/1.1 204 No Content\r\n\r\n",), ERROR)
    yield from in_both("a huge refusal", lambda one: _refusal(one, 400, SECRET.encode() * 10_000), ERROR)
    yield from in_both("a refusal that breaks off", lambda one: (*_refusal(one, 500, b"x" * 99)[:1], Reset()), ERROR)
    for odd in ("000", "99", "600", "999", "2OO", "-200", "20000"):
        yield from in_each_whole(
            f"status {odd}",
            lambda _, s: (f"HTTP/1.1 {s} Odd\r\nContent-Length: 2\r\n\r\n{{}}".encode(),),
            ERROR,
            odd,
        )


def _refusal(dialect: str, status: int, body: bytes) -> tuple[Step, ...]:
    return (head(dialect, streamed=False, status=f"{status} Odd", framing=f"Content-Length: {len(body)}") + body,)


def redirects() -> Iterator[Case]:
    """None is followed."""
    for status in REDIRECTS:
        yield from in_both(
            f"redirect {status}",
            lambda one, s: (head(one, streamed=False, status=f"{s} Moved", framing=MOVED),),
            ERROR,
            status,
        )


def interim() -> Iterator[Case]:
    """Interim answers are passed over; a switch of protocols is none of them."""
    for status in (100, 102, 103):
        more = f"HTTP/1.1 {status} Soon\r\nX-Word: {SECRET}\r\n\r\n".encode()
        yield from in_each_whole(f"{status} first", lambda one, m: (m, *whole(one, _good(one))), ANSWER, more)
        yield from in_each_whole(f"{status} ten times", lambda one, m: (m * 10, *whole(one, _good(one))), ANSWER, more)
    yield from in_both("nothing but 100", lambda _: (b"HTTP/1.1 100 Continue\r\n\r\n" * 3,), ERROR)
    yield from in_both(
        "101", lambda _: (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + SECRET.encode(),), ERROR
    )


def kinds() -> Iterator[Case]:
    """What the head says of the body is wrong, or missing."""
    page = b"<html>" + SECRET.encode() + b"</html>"
    plain = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
    yield from in_both(
        "200 with a page", lambda _: (plain.format("text/html; charset=utf-8", len(page)).encode() + page,), ERROR
    )
    yield from in_both(
        "200 with a page as JSON", lambda _: (plain.format("application/json", len(page)).encode() + page,), ERROR
    )
    yield from in_both(
        "200 with a page as events", lambda _: (plain.format("text/event-stream", len(page)).encode() + page,), ERROR
    )
    yield from in_both("200 with an error", lambda one: whole(one, dumps(ERRORS[one])), ERROR)
    yield from in_both("200 with nothing", lambda one: whole(one, b""), ERROR)
    yield from in_both("200 with blanks", lambda one: whole(one, b" \r\n "), ERROR)
    for word in ("null", "[]", "{}", "7", '"' + SECRET + '"', "true", "{", "[" * 50_000, "NaN"):
        yield from in_each_whole(f"200 with {word[:8]}", lambda one, w: whole(one, w.encode()), ERROR, word)
    yield from in_each_whole("an answer and more", lambda one: whole(one, _good(one) + SECRET.encode()), ERROR)
    yield from in_each_whole("an answer twice", lambda one: whole(one, _good(one) * 2), ERROR)
    yield from in_each_whole("half an answer", lambda one: whole(one, _good(one)[:60]), ERROR)
    yield from in_each_whole("a stream to a whole question", lambda one: whole(one, stream(one)), ERROR)
    yield from in_each_stream("a whole answer to a stream", lambda one: whole(one, _good(one)))
    yield from in_each_whole("packed unasked", lambda one: _packed(one, "gzip", gzip.compress(_good(one))), ERROR)
    yield from in_each_stream("packed unasked", lambda one: _packed(one, "gzip", gzip.compress(stream(one))), ERROR)
    yield from in_each_whole("deflated unasked", lambda one: _packed(one, "deflate", zlib.compress(_good(one))), ERROR)
    yield from in_each_whole("called packed, and is not", lambda one: _packed(one, "gzip", _good(one)))
    yield from in_each_whole(
        "no kind at all",
        lambda one: (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_good(one)), _good(one)),),
        ANSWER,
    )
    yield from in_each_stream(
        "no kind at all",
        lambda one: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", framed(stream(one)), LAST_CHUNK),
        ANSWER,
    )


def _packed(dialect: str, how: str, body: bytes) -> tuple[Step, ...]:
    return (head(dialect, streamed=False, framing=f"Content-Encoding: {how}\r\nContent-Length: {len(body)}") + body,)


def lengths() -> Iterator[Case]:
    """The length of the body is wrong, doubled, contradicted or no number."""

    def sized(dialect: str, *lengths: str, cut: int | None = None) -> tuple[Step, ...]:
        framing = "\r\n".join(f"Content-Length: {length}" for length in lengths)
        return (head(dialect, streamed=False, framing=framing) + _good(dialect)[:cut],)

    yield from in_each_whole("length too great", lambda one: sized(one, str(len(_good(one)) + 9)), ERROR)
    yield from in_each_whole("length too small", lambda one: sized(one, str(len(_good(one)) - 9)), ERROR)
    yield from in_each_whole("length 0 with a body", lambda one: sized(one, "0"), ERROR)
    yield from in_each_whole("two lengths", lambda one: sized(one, str(len(_good(one))), "5"), ERROR)
    yield from in_each_whole("a huge length", lambda one: sized(one, "9" * 30), ERROR)
    for odd in ("-5", "0x10", "ten", "5, 5", "+5", ""):
        yield from in_each_whole(f"length {odd!r}", sized, ERROR, odd)
    both = "Content-Length: 5\r\nTransfer-Encoding: chunked"
    yield from in_each_whole(
        "length and chunks",
        lambda one: (head(one, streamed=False, framing=both), framed(_good(one)), LAST_CHUNK),
        ERROR,
    )
    yield from in_each_whole(
        "up to the end of the connection", lambda one: (head(one, streamed=False, framing="X: y") + _good(one),), ANSWER
    )
    yield from in_each_stream(
        "up to the end of the connection",
        lambda one: (head(one, streamed=True, framing="Connection: close") + stream(one),),
        ANSWER,
    )
    yield from in_each_whole(
        "HTTP/1.0",
        lambda one: (head(one, streamed=False, framing="X: y").replace(b"1.1", b"1.0", 1) + _good(one),),
        ANSWER,
    )


def chunks() -> Iterator[Case]:
    """The framing in chunks is broken."""

    def spoilt(dialect: str, *pieces: bytes) -> tuple[Step, ...]:
        return (head(dialect, streamed=True), *pieces)

    for name, size in {"no number": b"zz", "negative": b"-5", "too great": b"f" * 17, "empty": b""}.items():
        yield from in_each_stream(
            f"a chunk's size is {name}", lambda one, s: spoilt(one, s + b"\r\n" + stream(one)), ERROR, size
        )
    yield from in_each_stream("a chunk longer than it says", lambda one: spoilt(one, b"5\r\n" + stream(one)), ERROR)
    yield from in_each_stream(
        "a chunk shorter than it says", lambda one: spoilt(one, b"fff\r\n" + stream(one)[:50]), ERROR
    )
    yield from in_each_stream(
        "line ends of one character", lambda one: spoilt(one, b"%x\n%b\n0\n\n" % (len(stream(one)), stream(one)))
    )
    yield from in_each_stream(
        "extensions",
        lambda one: spoilt(one, b"%x;a=%b\r\n%b\r\n" % (len(stream(one)), SECRET.encode(), stream(one)), LAST_CHUNK),
        ANSWER,
    )
    yield from in_each_stream(
        "trailers",
        lambda one: spoilt(one, framed(stream(one)), b"0\r\nX-Word: " + SECRET.encode() + b"\r\n\r\n"),
        ANSWER,
    )
    yield from in_each_stream(
        "a second answer behind",
        lambda one: spoilt(one, framed(stream(one)), LAST_CHUNK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ANSWER,
    )
    yield from in_each_stream(
        "another coding",
        lambda one: (
            head(one, streamed=True, framing="Transfer-Encoding: gzip, chunked"),
            framed(stream(one)),
            LAST_CHUNK,
        ),
    )
    yield from in_each_stream(
        "an unknown coding", lambda one: (head(one, streamed=True, framing="Transfer-Encoding: odd"), stream(one))
    )
    yield from in_each_stream("an empty chunked body", lambda one: spoilt(one, LAST_CHUNK), ERROR)


def no_http() -> Iterator[Case]:
    """Heads that are none, or without an end."""
    begun = b"HTTP/1.1 200 OK\r\n"
    secret = SECRET.encode()
    strange: dict[str, bytes] = {
        "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n" + secret,
        "a body without a head": b'{"choices":[]}',
        "bytes": bytes(range(128, 256)) * 4,
        "NULs": b"\0" * 500,
        "a version that there is not": b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        "many headers": begun + b"".join(b"X-%d: %b\r\n" % (n, secret) for n in range(400)) + b"\r\n",
        "a long header": begun + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        "headers without an end": begun + b"X: y\r\n" * 50_000,
        "a header without a colon": begun + secret + b"\r\n\r\n",
        "a NUL in a header": begun + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
        "a blank before the colon": begun + b"Content-Length : 0\r\n\r\n",
        "a folded header": begun + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "an empty header name": begun + b": a\r\nContent-Length: 0\r\n\r\n",
        "only a line end": b"\r\n\r\n\r\n",
    }
    for name, sent in strange.items():
        yield from in_both(name, lambda _, s: (s,), ERROR, sent)


HEADS = (*statuses(), *redirects(), *interim(), *kinds(), *lengths(), *chunks(), *no_http())
