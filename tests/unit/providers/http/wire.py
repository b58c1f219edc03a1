"""A transport that is a list, a clock that is a number, and a connection between them."""

import asyncio
from collections.abc import Callable
from typing import Any

from junto.providers.http import Deadlines, Limits, Response, TransportFailure
from junto.providers.http.connect import Connector
from junto.providers.http.connection import Connection
from junto.providers.http.cork import Cork
from junto.providers.http.origin import Origin
from junto.providers.http.pool import Pool

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
DEADLINES = Deadlines(connect=1, headers=2, first_byte=3, idle=4)


class WireTransport(asyncio.Transport):
    """Remembers what was written and whether it is being read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def abort(self) -> None:
        self.aborted = True

    def is_reading(self) -> bool:
        return not self.paused

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class WireTimer:
    """A timer of the loop below."""

    def __init__(self, at: float, ring: Callable[[], None]) -> None:
        self.at = at
        self.ring = ring
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class WireLoop:
    """The few things that a connection asks of an event loop, with the time in the test's hands."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[WireTimer] = []
        self.timers_made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, ring: Callable[[], None]) -> WireTimer:
        timer = WireTimer(at, ring)
        self.timers.append(timer)
        self.timers_made += 1
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Every turn of this loop is over at once."""
        callback()

    def create_future(self) -> "asyncio.Future[None]":
        loop: Any = self
        return asyncio.Future(loop=loop)

    def get_debug(self) -> bool:
        return False

    def advance(self, seconds: float) -> None:
        """Let time pass and ring what is due."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.at <= self.now]
        self.timers = [timer for timer in self.timers if timer.at > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.ring()


class WireKeeper:
    """A pool that only listens."""

    def __init__(self) -> None:
        self.idle_forgotten = 0
        self.forgotten = 0

    def forget_idle(self, connection: Connection) -> None:
        self.idle_forgotten += 1

    def forget(self, connection: Connection) -> None:
        self.forgotten += 1


class Wire:
    """A connection, its transport, its clock and its keeper."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.loop = WireLoop()
        self.keeper = WireKeeper()
        self.transport = WireTransport()
        loop: Any = self.loop
        self.connection = Connection(loop, limits or Limits(), self.keeper, Cork())
        self.connection.connection_made(self.transport)
        self.pool = Pool(limits or Limits(), Connector(Origin("http", "a", 80), None, None))
        self.pool.in_use = 1

    def request(self, head: bytes = HEAD, body: bytes = b"{}") -> "asyncio.Future[None]":
        return self.connection.request(head, body, DEADLINES.headers)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if self.transport.aborted:
                return
            self.connection.data_received(piece)

    def end(self, error: Exception | None = None) -> None:
        """The peer closes, or the socket breaks."""
        if error is None and not self.transport.aborted:
            self.connection.eof_received()
        self.connection.connection_lost(error)

    def response(self) -> Response:
        return Response(self.connection, self.pool, DEADLINES)


def step(coroutine: Any) -> Any:
    """Run a coroutine that has no reason to wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it waited")


def outcome(wire: Wire) -> tuple[Any, ...]:
    """What a reader sees of a response that needs no more bytes: status, headers, body, how it ended, reusable."""
    connection = wire.connection
    if connection.status == 0:
        return (0, [], b"", connection.failure and connection.failure.kind, False)
    response = wire.response()
    body = b""
    try:
        while piece := step(response.read()):
            body += piece
    except TransportFailure as failure:
        return (response.status, response.headers, body, failure.kind, connection.reusable)
    return (response.status, response.headers, body, "complete", connection.reusable)
