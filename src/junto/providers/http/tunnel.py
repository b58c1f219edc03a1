"""The opening of a tunnel: one CONNECT request to a proxy and its bounded answer.

Sends the proxy nothing but the origin's authority, and lets nothing of the proxy's answer out except its status.
"""

import asyncio
import re
from typing import cast

from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.origin import Origin

_MAX_ANSWER = 16_384
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\r\n")


class Tunnel(asyncio.Protocol):
    """The protocol of a proxy connection until the proxy has answered; then another protocol takes its place."""

    __slots__ = ("_answer", "_loop", "_outcome", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answer = b""
        self._outcome: asyncio.Future[TransportFailure | None] | None = None
        self._transport: asyncio.Transport | None = None

    async def open(self, transport: asyncio.Transport, origin: Origin) -> None:
        """Ask for a tunnel to `origin`; returns when it stands, raises TransportFailure otherwise."""
        self._outcome = self._loop.create_future()
        self._transport = transport
        authority = origin.authority
        transport.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
        failure = await self._outcome
        if failure is not None:
            raise failure

    def data_received(self, data: bytes) -> None:
        """Collect the answer up to its empty line."""
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end:
            if len(self._answer) > _MAX_ANSWER:
                self._settle("the proxy's answer exceeds the limit")
            return
        status = _STATUS_LINE.match(head + b"\r\n")
        if status is None or len(head) > _MAX_ANSWER:
            self._settle("the proxy's answer is not an HTTP/1.1 response")
        elif not status[1].startswith(b"2"):
            self._settle(f"the proxy answered {status[1].decode('ascii')}")
        elif rest:
            # The origin does not speak first, so these bytes are the proxy's own.
            self._settle("the proxy sent bytes behind its answer")
        else:
            # Nothing of the origin may reach this protocol before the next one takes over.
            cast("asyncio.Transport", self._transport).pause_reading()
            self._settle(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """The proxy closed before it answered."""
        self._settle("the proxy closed the connection")

    def _settle(self, problem: str | None) -> None:
        if self._outcome is None or self._outcome.done():
            return
        self._outcome.set_result(
            None if problem is None else TransportFailure(TransportFailureKind.PROXY, problem, sent=False)
        )
