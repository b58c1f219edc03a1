"""The HTTP server's protocol: uvicorn's httptools protocol with bounds on what a caller may send and how slowly.

Owns header limits, receive deadlines and noticing that a caller has gone. Knows nothing of paths.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from junto.web.cycle import Cycle
from junto.web.upgrades import is_chat, parser_of_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.web.outbox import Outbox, Refusal

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
MOST_PIPELINED = 8  # requests behind the one that is answered; with more, nothing is read until they are fewer
PIECE_BYTES = 16 * 1024  # parsed at a time: small requests that came together must not become thousands of waiting ones
RECEIVE_SECONDS = 30.0  # without a byte of a body that is incomplete, and for a head in all
STALL_SECONDS = 300.0  # without taking a byte of an answer that waits to be read, while a backend's slot waits with it
SWEEP_SECONDS = 5.0
HANGUP = "junto.hangup"  # the scope extension under which a request finds its connection
_TOO_LARGE = b"431 Request Header Fields Too Large", b"The request's headers are too large."


class _Refused(Exception):
    """Ends the parsing of a connection whose caller was told why already."""


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
        self._to_start: Cycle | None = None
        self._unread = b""  # what was received and waits to be parsed, until fewer requests wait
        self._ahead: Cycle | None = None  # while requests wait behind it: the one that is answered
        self._asked = b""  # the URL of the request before, and where it goes: path, raw path, query
        self._target = ("", b"", b"")
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
        if self._may_answer():
            super().send_400_response(msg)
        self._to_start = None
        self.transport.close()

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
        if self._ahead is not None and not self._ahead.response_complete:  # uvicorn tells the latest request only
            self._ahead.disconnected = True
            self._ahead.wake()
        if self._watched is not None and not self._watched.done():
            self._watched.cancel()

    def data_received(self, data: bytes) -> None:
        if self._receiving_since is not None and not self._in_head:  # a head has its time in all
            self._receiving_since = self.loop.time()
        self._parsing = True
        if len(data) > PIECE_BYTES or self._unread:
            self._feed_in_pieces(data)
        else:
            self._feed(data, may_switch=True)
        self._parsing = False
        if self._to_start is not None:
            self._start()
        if self._receiving_since is None:
            self._overhead = 0
        elif self._overhead > MAX_HEAD_BYTES or len(self.headers or ()) > MAX_HEADERS:
            self._refuse(*_TOO_LARGE)

    def _feed(self, data: bytes | memoryview, *, may_switch: bool = False) -> None:
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            if may_switch and wish.args[0] == len(data) and self._is_chat():
                self._switch()
            else:
                self._feed_behind(wish, memoryview(data))
        except httptools.HttpParserError:
            self._not_understood()

    def _feed_in_pieces(self, data: bytes) -> None:
        """Parse until enough requests wait; the rest is kept until they are fewer."""
        everything = memoryview(self._unread + data)
        self._unread = b""
        for start in range(0, len(everything), PIECE_BYTES):
            if self.transport.is_closing():
                return
            if len(self.pipeline) > MOST_PIPELINED:
                self._unread = bytes(everything[start:])
                return
            self._feed(everything[start : start + PIECE_BYTES])

    def _feed_behind(self, wish: httptools.HttpParserUpgrade, data: memoryview) -> None:
        """Go on behind a head that wishes to speak something else, as if it had not: with its body, and what else came with it."""
        while True:
            data = data[wish.args[0] :]
            parser = parser_of_body(self, self.headers)
            if parser is not None:
                cycle: Any = self.cycle
                cycle.more_body = True
                self._receiving_since = self.loop.time()
                self.parser = parser
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as next_wish:
                wish = next_wish
            except httptools.HttpParserError:
                self._not_understood()
                return
            else:
                return

    def _is_chat(self) -> bool:
        """Whether what was just read is the head of a socket, and all that came before it is answered.

        Nobody may have sent anything behind it either: who does, takes what follows for something else than frames.
        """
        if self._to_start is None or self._to_start is not self.cycle or self.pipeline or self.transport.is_closing():
            return False
        return is_chat(self.parser.get_method(), self.parser.get_http_version(), self._where()[1], self.headers)

    def _switch(self) -> None:
        """Let the connection be a socket from here on; it is asked for anew, by the head as it was read."""
        from junto.web.sockets import SocketProtocol  # noqa: PLC0415  most processes never open one

        self._to_start = None
        self._flush()
        _, raw_path, query = self._where()
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        head = b"".join((b"GET ", raw_path, b"?" if query else b"", query, b" HTTP/1.1\r\n", *lines, b"\r\n"))
        socket = SocketProtocol(config=self.config, server_state=self.server_state, app_state=self.app_state)
        self.connections.discard(self)
        self.transport.set_protocol(socket)
        socket.connection_made(self.transport)
        socket.data_received(head)
        if not socket.handshake_initiated:  # it was not understood a second time
            self.transport.abort()

    def _not_understood(self) -> None:
        """No HTTP, or refused already."""
        if not self.transport.is_closing():
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._idle_since = None
        self._receiving_since = self.loop.time()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are dropped
            # As uvicorn's, which is not called: seven headers a request make it a good part of the reading.
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        # What was read together with the head counts as well, so a large sum is only a reason to look closer.
        is_large = self._overhead > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES
        self._overhead = 0
        if is_large or len(self.headers) > MAX_HEADERS:
            self._refuse(*_TOO_LARGE)
            raise _Refused
        self._in_head = False
        earlier: Cycle | None = self.cycle  # type: ignore[assignment]  # None before the first, whatever uvicorn says
        self.cycle = cycle = self._begun()
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(cycle, self.app)
            return
        if not self.pipeline:
            self._ahead = earlier
        self.pipeline.appendleft((cycle, self.app))
        if len(self.pipeline) > MOST_PIPELINED:
            self.flow.pause_reading()  # up to there it is read: an unread socket does not tell that its caller has gone

    def _begun(self) -> Cycle:
        parser = self.parser
        version = parser.get_http_version()
        path, raw_path, query = self._where()
        scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "method": parser.get_method().decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "extensions": {HANGUP: self},
        }
        keep_alive = version != "1.0" and parser.should_keep_alive()
        return Cycle(self, scope, keep_alive=keep_alive, expects=self.expect_100_continue)

    def _where(self) -> tuple[str, bytes, bytes]:
        """The path, as text and as it came, and the query: most requests of a connection go where the one before went."""
        if self.url != self._asked:
            parsed = httptools.parse_url(self.url)
            path = parsed.path.decode("ascii")
            self._target = (unquote(path) if "%" in path else path, parsed.path, parsed.query or b"")
            self._asked = self.url
        return self._target

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        cycle: Any = self.cycle
        if cycle.response_complete or self.transport.is_closing():
            return  # else the request was refused, or answered early, and nobody waits for it
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.wake()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Start once all that was received is parsed: small requests are whole then, and are served without a wait."""
        if self._parsing:
            self._to_start = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _start(self) -> None:
        if self._to_start is None:
            return
        cycle, self._to_start = self._to_start, None
        task = asyncio.Task(cycle.run_asgi(self.app), loop=self.loop, eager_start=True)
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
        cycle: Any = self.cycle
        if self.transport.is_closing() or cycle.response_complete:
            return
        cycle.more_body = False
        cycle.wake()
        if not self.pipeline:
            self.flow.resume_reading()  # the whole body is here, so now only the caller's hang-up is of interest

    def on_response_complete(self) -> None:
        """As uvicorn's, but without a timer per request: the sweep closes connections that stay idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self.pipeline:
            self.flow.resume_reading()
            self._idle_since = self.loop.time()
            return
        self._ahead, app = self.pipeline.pop()  # type: ignore[assignment]  # it is our own cycle
        self._start_asgi_task(self._ahead, app)
        if len(self.pipeline) <= MOST_PIPELINED:
            self.flow.resume_reading()
            if self._unread:
                self.data_received(b"")

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
        if self._may_answer():
            body = b'{"error":{"type":"invalid_request_error","code":"bad_request","message":"%s"}}' % message
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, len(body), body)
            )
        self._to_start = None
        self.transport.close()

    def _may_answer(self) -> bool:
        """Whether what is written now is an answer to what came last, and not taken for another's, or for a part of it."""
        if self._to_start is not None:  # all that came together is refused together
            return True
        if self.pipeline:
            return False
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        if cycle is None or cycle.response_complete:
            return self._in_head  # else it is the rest of what was answered already
        return cycle.more_body and not cycle.response_started


async def sweep_slow_callers(connections: Iterable[Any], *, every: float = SWEEP_SECONDS) -> None:
    """Forever: every few seconds, close connections whose request does not arrive."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        now = loop.time()
        for connection in tuple(connections):
            if isinstance(connection, JuntoProtocol):
                connection.enforce_deadline(now)
