"""A connection that has become a WebSocket: uvicorn's protocol for it, within Junto's bounds.

Imported when the first socket is opened: the library behind it is only needed then. Knows nothing of paths and sessions.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    import asyncio

    from websockets.frames import Frame

LARGEST_FRAME: Final = 32 * 1024  # bytes; a larger one closes the socket with 1009
MOST_PIECES: Final = 64  # of one frame; empty ones make it no larger, and there would be no end of them
PING_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 5.0  # until a caller that does not close is cut off
GOING_AWAY: Final = 1001


class SocketProtocol(WebSocketsSansIOProtocol):
    """One open socket. Frames are neither compressed nor logged, nor is the address, which may have a token in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("uvicorn.error.sockets")
        self.logger.setLevel(logging.WARNING)
        self.conn = ServerProtocol(max_size=LARGEST_FRAME, logger=self.logger)
        self.ping_interval = self.ping_timeout = PING_SECONDS
        self.close_timeout = CLOSE_SECONDS

    def data_received(self, data: bytes) -> None:
        """Whoever sends frames before the socket is open speaks something else."""
        if self.handshake_initiated and not self.handshake_complete:
            self.transport.abort()
        else:
            super().data_received(data)

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) < MOST_PIECES:
            super().handle_cont(event)
        else:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG)
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Who does not read gets no pongs: they would pile up here as fast as pings can be sent."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def shutdown(self) -> None:
        """The server stops: say so, and go."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})
            self.conn.send_close(GOING_AWAY)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
        else:
            super().shutdown()
        self._cut_off_later()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if self.writable.is_set():
            self._cut_off_later()
        else:  # a visitor could leave what it does not read behind, and come again for more
            self.transport.abort()

    def _cut_off_later(self) -> None:
        """What was written may wait for a caller that reads nothing, but not for ever."""
        self.loop.call_later(2 * CLOSE_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        if not self.disconnected:
            self.transport.abort()
