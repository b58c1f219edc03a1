"""An open socket holds no more for its caller than it has to, whatever the caller sends and however little it reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from junto.web.sockets import MOST_PIECES, SocketProtocol

if TYPE_CHECKING:
    from junto.web.asgi import Receive, Scope, Send

pytestmark = pytest.mark.anyio
HEAD = (
    b"GET /chat/desk HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Wire(asyncio.Transport):
    """Notes what is written and how it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Caller:
    """A caller whose socket is open, and the application behind it."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.is_open, self.is_done = asyncio.Event(), asyncio.Event()
        config = Config(self._serve, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        self.socket = SocketProtocol(config, ServerState(), {})

    async def open(self) -> None:
        self.socket.connection_made(self.wire)
        self.socket.data_received(HEAD)
        await self.is_open.wait()

    def send(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> None:
        self.socket.data_received(Frame(opcode, data, fin=fin).serialize(mask=True))

    async def leave(self) -> None:
        """End the application."""
        self.is_done.set()
        await asyncio.gather(*self.socket.tasks)
        await asyncio.sleep(0)  # for what is called when it is done

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        self.is_open.set()
        await self.is_done.wait()


@pytest.fixture
async def caller() -> Caller:
    caller = Caller()
    await caller.open()
    return caller


async def test_a_frame_of_endless_empty_pieces_closes_the_socket(caller: Caller) -> None:
    caller.send(Opcode.TEXT, fin=False)
    for _ in range(MOST_PIECES + 100):
        caller.send(Opcode.CONT, fin=False)
    assert len(caller.socket.frames) <= MOST_PIECES
    assert caller.wire.written.endswith(b"\x88\x02\x03\xf1")  # 1009
    assert caller.wire.is_closed
    await caller.leave()


async def test_a_frame_of_a_few_pieces_is_put_together(caller: Caller) -> None:
    caller.send(Opcode.TEXT, b"he", fin=False)
    caller.send(Opcode.CONT, b"", fin=False)
    caller.send(Opcode.CONT, b"llo")
    assert (await caller.socket.receive()).get("text") == "hello"
    await caller.leave()


async def test_pings_are_answered_while_the_caller_reads_and_only_then(caller: Caller) -> None:
    caller.send(Opcode.PING, b"one")
    assert caller.wire.written.endswith(b"one")
    caller.socket.pause_writing()
    held = len(caller.wire.written)
    for _ in range(100):
        caller.send(Opcode.PING, b"two")
    caller.socket.resume_writing()
    assert len(caller.wire.written) == held
    caller.send(Opcode.PING, b"three")
    assert caller.wire.written[held:].endswith(b"three")
    assert len(caller.wire.written) == held + len(b"\x8a\x05three")
    await caller.leave()


async def test_who_reads_nothing_is_cut_off_once_nobody_serves_it(caller: Caller) -> None:
    caller.socket.pause_writing()
    await caller.leave()
    assert caller.wire.is_aborted


async def test_who_reads_has_its_time_to_close(caller: Caller) -> None:
    await caller.leave()
    assert not caller.wire.is_aborted
