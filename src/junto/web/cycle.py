"""One request and its answer on a connection: uvicorn's cycle, cheap to make, and the ways past ASGI for what is whole.

Bodies that are here already are taken without `receive`, whole answers and pieces of streams are written without `send`.
Knows nothing of paths.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.web.outbox import Outbox, Refusal
    from junto.web.server import JuntoProtocol


class Cycle(RequestResponseCycle):
    """A request that is being received or answered.

    What uvicorn sets for each request and few requests change is an attribute of the class; its event is made for whoever waits.
    """

    access_log = False
    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    _event: asyncio.Event | None = None

    def __init__(self, connection: JuntoProtocol, scope: Any, *, keep_alive: bool, expects: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.transport = connection.transport
        self.flow = connection.flow
        self.logger = connection.logger
        self.default_headers = connection.server_state.default_headers
        self.on_response = connection.on_response_complete
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects
        self.body = bytearray()

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]  # uvicorn's is an attribute
        """Set when there is something to receive, or nothing more will come."""
        if self._event is None:
            self._event = asyncio.Event()
            if self.body or not self.more_body or self.response_complete or self.disconnected:
                self._event.set()
        return self._event

    def wake(self) -> None:
        """Something was received, or nothing more will be: for whoever waits for it."""
        if self._event is not None:
            self._event.set()


def read_whole(receive: object) -> bytes | None:
    """The body past ASGI, if `receive` is uvicorn's own and all of it is here; None: it must be received."""
    cycle = getattr(receive, "__self__", None)
    if type(cycle) is not Cycle or cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    return body


def write_whole(send: object, head: bytes, body: bytes, outbox: Outbox, refusal: Refusal) -> bool:
    """Write a whole answer past ASGI, if `send` is uvicorn's own and nothing was sent yet; False: it must go through `send`.

    `head` is the status line and header lines, checked by whoever prepared them. It does what uvicorn's `send` does for a start and a
    body of known length, without checking each header anew for each answer. The answer leaves by the outbox, which commits its
    record first.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not Cycle or cycle.response_started or cycle.flow.write_paused or not cycle.keep_alive:
        return False
    if cycle.disconnected:
        return True
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    lines = [head]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    lines += (b"content-length: %d\r\n\r\n" % len(body), body)
    cycle.connection.leave(b"".join(lines), outbox, refusal)
    cycle.response_complete = True
    cycle.wake()
    cycle.connection.on_response_complete()
    return True


def piece_writer(send: object) -> Callable[[bytes], bool] | None:
    """A function that writes one piece of a chunked body past ASGI; None where `send` is not uvicorn's own.

    For after the head was sent. The function gives False, and has written nothing, while the caller reads too slowly: then
    the piece must go through `send`, which waits.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not Cycle or not cycle.chunked_encoding:
        return None
    flow, write = cycle.flow, cycle.transport.write

    def write_piece(piece: bytes) -> bool:
        if flow.write_paused or cycle.disconnected:
            return False
        write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    return write_piece
