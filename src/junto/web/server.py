"""The HTTP server's protocol: uvicorn's httptools protocol with bounds on what a caller may send and how slowly.

Owns header limits, receive deadlines and noticing that a caller has gone. Knows nothing of paths.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from junto.web.outbox import Outbox, Refusal

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
MOST_PIPELINED = 8  # requests behind the one that is answered; with more, nothing is read until they are fewer
RECEIVE_SECONDS = 30.0  # without a byte of a body that is incomplete, and for a head in all
STALL_SECONDS = 300.0  # without taking a byte of an answer that waits to be read, while a backend's slot waits with it
SWEEP_SECONDS = 5.0
HANGUP = "junto.hangup"  # the scope extension under which a request finds its connection


class JuntoProtocol(HttpToolsProtocol):
    """One connection of a caller.

    `receive_seconds`: how long it may send nothing while its request is incomplete. `stall_seconds`: how long it may take
    nothing of its answer.
    """

    receive_seconds = RECEIVE_SECONDS
    stall_seconds = STALL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving_since: float | None = None
        self._overhead = 0  # bytes since the last one of a body: a head, trailers, extensions of chunks
        self._in_head = True
        self._stalled_since: float | None = None
        self._watched: asyncio.Task[Any] | None = None
        self._idle_since: float | None = None
        self._outbox: Outbox | None = None  # where an answer of this connection may wait
        self._to_start: tuple[RequestResponseCycle, Any] | None = None
        self._parsing = False

    def leave(self, answer: bytes, outbox: Outbox, refusal: Refusal) -> None:
        """Let a whole answer go out with others at the end of the loop's turn."""
        self._outbox = outbox
        outbox.add(self.transport, answer, refusal)

    def _flush(self) -> None:
        """Before anything else is written, or the connection closed, what waits goes out."""
        if self._outbox is not None:
            self._outbox.flush()

    def shutdown(self) -> None:
        self._flush()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._flush()
        super().send_400_response(msg)

    def cancel_on_hangup(self, task: asyncio.Task[Any] | None) -> None:
        """Cancel that task when the caller goes away; None: there is nothing to cancel any more."""
        self._watched = task

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._flush()
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._watched is not None and not self._watched.done():
            self._watched.cancel()

    def data_received(self, data: bytes) -> None:
        if self._receiving_since is not None and not self._in_head:  # a head has its time in all
            self._receiving_since = self.loop.time()
        self._overhead += len(data)
        self._parsing = True
        super().data_received(data)
        self._parsing = False
        if self._to_start is not None:
            self._start()
        if self._receiving_since is None:
            self._overhead = 0
        elif self._overhead > MAX_HEAD_BYTES or len(self.headers or ()) > MAX_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large", b"The request's headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._idle_since = None
        self._receiving_since = self.loop.time()
        self._in_head = True
        self.scope["extensions"] = {HANGUP: self}  # type: ignore[dict-item]

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are dropped
            # As uvicorn's, which is not called: seven headers a request make it a good part of the reading.
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        # What was read together with the head counts as well, so a large sum is only a reason to look closer.
        is_large = self._overhead > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES
        self._overhead = 0
        if is_large or len(self.headers) > MAX_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large", b"The request's headers are too large.")
            return
        super().on_headers_complete()
        if 0 < len(self.pipeline) <= MOST_PIPELINED:
            self.flow.resume_reading()  # a socket that is not read does not tell that its caller has gone

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        if not self.transport.is_closing():  # else the request was refused, and nobody waits for it
            super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start once all that was received is parsed: small requests are whole then, and are served without a wait."""
        if self._parsing:
            self._to_start = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def _start(self) -> None:
        if self._to_start is None:
            return
        (cycle, app), self._to_start = self._to_start, None
        task = asyncio.Task(cycle.run_asgi(app), loop=self.loop, eager_start=True)
        if not task.done():
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def on_message_complete(self) -> None:
        self._receiving_since = None
        if self.transport.is_closing():
            return
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()  # the whole body is here, so now only the caller's hang-up is of interest

    def on_response_complete(self) -> None:
        """As uvicorn's, but without a timer per request: the sweep closes connections that stay idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def enforce_deadline(self, now: float) -> None:
        """Close the connection if its caller neither sends nor reads what it should, or has nothing to ask any more."""
        if self._stalled_since is not None and now - self._stalled_since > self.stall_seconds:
            self.transport.abort()
            return
        if self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()
            return
        if self._receiving_since is None or now - self._receiving_since < self.receive_seconds:
            return
        if self.flow.read_paused:
            return  # it is we who are not reading
        self._refuse(b"408 Request Timeout", b"The request did not arrive in time.")

    def _head_size(self) -> int:
        """Bytes of the request line and the headers, about."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, status: bytes, message: bytes) -> None:
        if self.transport.is_closing():
            return
        self._flush()
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = b'{"error":{"type":"invalid_request_error","code":"bad_request","message":"%s"}}' % message
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, len(body), body)
            )
        self.transport.close()


def write_whole(send: object, head: bytes, body: bytes, outbox: Outbox, refusal: Refusal) -> bool:
    """Write a whole answer past ASGI, if `send` is uvicorn's own and nothing was sent yet; False: it must go through `send`.

    `head` is the status line and header lines, checked by whoever prepared them. It does what uvicorn's `send` does for a start and a
    body of known length, without checking each header anew for each answer. The answer leaves by the outbox, which commits its
    record first.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or cycle.response_started or cycle.flow.write_paused:
        return False
    if cycle.disconnected:
        return True
    connection = getattr(cycle.on_response, "__self__", None)
    if not isinstance(connection, JuntoProtocol) or not cycle.keep_alive:
        return False
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    lines = [head]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    lines += (b"content-length: %d\r\n\r\n" % len(body), body)
    connection.leave(b"".join(lines), outbox, refusal)
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True


def piece_writer(send: object) -> Callable[[bytes], bool] | None:
    """A function that writes one piece of a chunked body past ASGI; None where `send` is not uvicorn's own.

    For after the head was sent. The function gives False, and has written nothing, while the caller reads too slowly: then
    the piece must go through `send`, which waits.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or not cycle.chunked_encoding:
        return None
    flow, write = cycle.flow, cycle.transport.write

    def write_piece(piece: bytes) -> bool:
        if flow.write_paused or cycle.disconnected:
            return False
        write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    return write_piece


async def sweep_slow_callers(connections: Iterable[Any], *, every: float = SWEEP_SECONDS) -> None:
    """Forever: every few seconds, close connections whose request does not arrive."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        now = loop.time()
        for connection in tuple(connections):
            if isinstance(connection, JuntoProtocol):
                connection.enforce_deadline(now)
