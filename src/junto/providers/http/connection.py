"""One keep-alive connection: an asyncio protocol around llhttp that carries one exchange at a time.

Owns the phase of the exchange, the buffered body, the pause of reading, and the deadline. Must not know the pool's
counts (it only reports through `Keeper`), retry, or wait: `request` and `wait` hand out futures. A future is always
resolved with None; whoever awaited it looks at `phase`, `chunks` and `failure`. The phases and what moves
between them are in `phase.py`.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from junto.providers.http.alarm import Alarm
from junto.providers.http.bounds import Limits
from junto.providers.http.cork import Cork
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.phase import Phase

Headers = list[tuple[bytes, bytes]]
Kind = TransportFailureKind

_FINAL = 200
_BODILESS_METHODS = (b"GET ", b"HEAD ", b"DELETE ", b"OPTIONS ")
_JOIN_BELOW = 65_536  # a larger body goes to the transport uncopied


class Keeper(Protocol):
    """Who is told when a connection is of no more use."""

    def forget_idle(self, connection: "Connection") -> None:
        """Take a pooled connection out of the pool: it was closed, or spoke out of turn."""

    def forget(self, connection: "Connection") -> None:
        """Let go of a connection whose socket is closed."""


class _RefusedError(Exception):
    """Raised inside a parser callback to stop the parser; never leaves this file."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Connection(asyncio.Protocol):
    """A socket, its parser, and the exchange that is on it."""

    __slots__ = (
        "_alarm",
        "_bodiless",
        "_cork",
        "_expiry",
        "_keeper",
        "_limits",
        "_loop",
        "_parser",
        "_quiet",
        "_reading_paused",
        "_sink",
        "_sink_seconds",
        "_transport",
        "_waiter",
        "_writing_paused",
        "buffered",
        "chunks",
        "failure",
        "headers",
        "phase",
        "reusable",
        "served",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, keeper: Keeper, cork: Cork) -> None:
        self._loop = loop
        self._cork = cork
        self._limits = limits
        self._keeper = keeper
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._alarm = Alarm(loop, self._expired)
        self._expiry = Kind.HEADERS_TIMEOUT
        self._bodiless = False
        self._quiet = 0  # bytes received since the request, the headers or the last body byte
        self._reading_paused = False
        self._writing_paused = False
        self.phase = Phase.READY
        self.status = 0
        self.headers: Headers = []
        self.chunks: list[bytes] = []
        self.buffered = 0
        self.failure: TransportFailure | None = None
        self.reusable = False
        self.served = 0  # exchanges begun
        self._sink: Callable[[bytes], bool] | None = None
        self._sink_seconds = inf
        self._parser = HttpResponseParser(self)

    # ------------------------------------------------------------------ the exchange, called by client and response

    def request(self, head: bytes, body: bytes, seconds: float) -> "asyncio.Future[None]":
        """Write one request; the future resolves when the final headers are in, or on failure."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - a connection is leased only once it is open
        self.phase = Phase.AWAITING
        self.status = 0
        self.headers = []
        self.chunks = []
        self.buffered = 0
        self._quiet = 0
        self.reusable = False
        self.served += 1
        self._bodiless = head.startswith(b"HEAD ")
        if not body:
            empty = b"\r\n" if head.startswith(_BODILESS_METHODS) else b"content-length: 0\r\n\r\n"
            self._cork.write(self._loop, transport, head + empty)
        elif len(body) < _JOIN_BELOW:
            self._cork.write(self._loop, transport, b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.writelines((b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body))
        return self.wait(seconds, Kind.HEADERS_TIMEOUT)

    def wait(self, seconds: float, expiry: Kind) -> "asyncio.Future[None]":
        """Hand out a future for the next event, which is failure `expiry` after `seconds`."""
        self._expiry = expiry
        self._alarm.set(seconds)
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiter = waiter
        return waiter

    def pump(self, sink: Callable[[bytes], bool], seconds: float, expiry: Kind) -> "asyncio.Future[None]":
        """As `wait`, but hand body bytes to `sink` as they come, until it gives False or the body ends."""
        self._sink = sink
        self._sink_seconds = seconds
        return self.wait(seconds, expiry)

    def take(self) -> bytes:
        """Hand over the body bytes that are here, as one piece, and let the socket be read again."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered = 0
        if self._reading_paused:
            self._resume_reading()
        return data

    @property
    def stale(self) -> bool:
        """Whether a used connection was reset before any byte of this response: the keep-alive race."""
        failure = self.failure
        return (
            failure is not None
            and failure.kind is Kind.RESET
            and self.served > 1
            and self.status == 0
            and self._quiet == 0
        )

    # --------------------------------------------------------------------------------- the pool

    def park(self, seconds: float) -> bool:
        """Become idle for at most `seconds`; False if the connection must not carry another exchange."""
        if not self.reusable or self._writing_paused:
            return False
        self.phase = Phase.POOLED
        self.headers = []  # the response keeps its own
        self.chunks = []
        if self._reading_paused:
            self._resume_reading()
        self._alarm.set(seconds)
        return True

    def lease(self) -> None:
        """Leave the pool for somebody who has not yet written a request."""
        self.phase = Phase.READY
        self._alarm.at = inf

    def abort(self) -> None:
        """Close the socket at once, whatever is unread or unwritten, and wake who waits."""
        self.phase = Phase.CLOSED
        self.reusable = False
        self._wake()
        self._alarm.cancel()
        if self._transport is not None:
            self._transport.abort()

    def fail(self, kind: Kind, detail: str) -> None:
        """End the exchange with a failure and close the socket."""
        self.failure = TransportFailure(kind, detail, sent=True)
        self.abort()

    # ------------------------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport: the socket's own, or the one that speaks TLS or through a proxy over it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that no request asked for end the connection."""
        phase = self.phase
        if phase is not Phase.AWAITING and phase is not Phase.BODY:
            self._poison()
            return
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._unparsable(error)
            return
        if self._quiet > self._limits.max_header_bytes and not self._is(Phase.DONE):
            self.fail(Kind.TOO_LARGE, "the response's headers, or the framing of its body, exceed the limit")
        elif self._sink is not None and self.chunks:
            self._push(self._sink)

    def eof_received(self) -> None:
        """Note that the peer sends no more; the transport closes itself after this."""
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is closed; an error makes even a body delimited by close incomplete."""
        self._ended(clean=exc is None)
        self._transport = None
        self._keeper.forget(self)

    def pause_writing(self) -> None:
        """Remember that the request is not written yet: such a connection is not pooled."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Remember that the request is (nearly) written."""
        self._writing_paused = False

    # ------------------------------------------------------------------------------- llhttp's callbacks

    def on_message_begin(self) -> None:
        """Refuse a second response behind the first: nobody asked for it."""
        if self.phase is Phase.DONE:
            raise _RefusedError(Kind.PROTOCOL, "bytes after the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are dropped."""
        if self.phase is Phase.AWAITING:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Skip an interim response; let the waiting task have a final one."""
        status = self._parser.get_status_code()
        limits = self._limits
        if self._quiet > limits.max_header_bytes or len(self.headers) > limits.max_header_count:
            self._measure_headers()
        if status < _FINAL:
            if status == 101:  # noqa: PLR2004 - Switching Protocols
                raise _RefusedError(Kind.PROTOCOL, "the upstream switched protocols unasked")
            self.headers.clear()
            return
        self.status = status
        self._quiet = 0
        # The parser cannot be told that a response to HEAD has no body, so such a connection is not used again.
        self.phase = Phase.DONE if self._bodiless else Phase.BODY
        self._wake()

    def on_body(self, data: bytes) -> None:
        """Buffer a piece of the body, and pause the socket when the reader is far behind."""
        if self.phase is not Phase.BODY:
            raise _RefusedError(Kind.PROTOCOL, "a body where none belongs")
        self._quiet = 0
        self.chunks.append(data)
        self.buffered += len(data)
        if self.buffered > self._limits.high_water and not self._reading_paused:
            self._reading_paused = True
            cast("asyncio.Transport", self._transport).pause_reading()
        if self._waiter is not None and self._sink is None:
            self._wake()

    def on_message_complete(self) -> None:
        """Note the end of the response (not of an interim one, nor of one that had to be without a body)."""
        if self.phase is Phase.BODY:
            self.phase = Phase.DONE
            self.reusable = self._parser.should_keep_alive()
            if self._waiter is not None:
                self._wake()

    # ----------------------------------------------------------------------------------------- inside

    def _is(self, phase: Phase) -> bool:
        return self.phase is phase

    def _push(self, sink: Callable[[bytes], bool]) -> None:
        if sink(self.take()):
            self._alarm.set(self._sink_seconds)
        else:
            self._wake()

    def _wake(self) -> None:
        self._sink = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self._alarm.at = inf
            if not waiter.done():
                waiter.set_result(None)

    def _poison(self) -> None:
        if self.phase is Phase.POOLED:
            self._keeper.forget_idle(self)
        if self.phase is not Phase.DONE:
            self.abort()
            return
        # The response is whole and stays readable; only the connection is done for.
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _unparsable(self, error: Exception) -> None:
        if self.phase is Phase.DONE:
            self._poison()
        elif isinstance(error.__context__, _RefusedError):
            self.fail(error.__context__.kind, error.__context__.detail)
        else:
            self.fail(Kind.PROTOCOL, "the upstream's bytes are not an HTTP/1.1 response")

    def _measure_headers(self) -> None:
        # `_quiet` also counts body bytes that came in the same read, so here the headers themselves are measured.
        limits = self._limits
        size = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > limits.max_header_bytes or len(self.headers) > limits.max_header_count:
            raise _RefusedError(Kind.TOO_LARGE, "the response's headers exceed the limit")

    def _ended(self, *, clean: bool = True) -> None:
        phase = self.phase
        self.reusable = False
        if phase is Phase.AWAITING:
            self.fail(Kind.RESET, "the upstream closed the connection before its response")
        elif phase is Phase.BODY:
            if clean and self._delimited_by_close():
                self.phase = Phase.DONE
                self._wake()
            else:
                self.fail(Kind.RESET, "the upstream closed the connection before the end of its response")
        elif phase is Phase.POOLED:
            self._keeper.forget_idle(self)
            self.abort()
        elif phase is Phase.READY:
            self.abort()

    def _delimited_by_close(self) -> bool:
        return not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _resume_reading(self) -> None:
        self._reading_paused = False
        # A transport that is closing refuses to resume, and has nothing more to read.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _expired(self) -> None:
        if self.phase is Phase.POOLED:
            self._keeper.forget_idle(self)
            self.abort()
        else:
            self.fail(self._expiry, "the upstream kept silent for too long")
