"""Replies over HTTP: a response of our client, read as relayed bytes or through a wire's codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers import failures
from junto.providers.http.errors import TransportFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.completion import Completion, Embeddings
    from junto.core.events import Event
    from junto.dialects.wire import EventParser, Wire
    from junto.providers.http.client import Response

WHOLE_LIMIT = 64 * 1024 * 1024  # bytes of one unary answer


class HttpReply:
    """An upstream's response in the wire that was spoken to it."""

    __slots__ = ("_done", "_parser", "_response", "_wire", "relayed")

    def __init__(self, response: Response, wire: Wire, *, relayed: bool) -> None:
        self.relayed = relayed
        self._response = response
        self._wire = wire
        self._parser: EventParser | None = None
        self._done = False

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure

    async def events(self) -> Sequence[Event]:
        if self.relayed:
            raise UpstreamFailure(FailureKind.PROTOCOL, "a relayed reply has no events")
        if self._parser is None:  # made when it is needed: wires that never stream have none
            self._parser = self._wire.event_parser()
        parser = self._parser
        while not self._done:
            data = await self.read()
            events = parser.feed(data) if data else parser.end()
            self._done = not data
            if events:
                return events
        return ()

    async def whole(self) -> Completion | Embeddings:
        try:
            body = await self._response.read_all(WHOLE_LIMIT)
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure
        return self._wire.parse_response(body)

    def close(self) -> None:
        self._response.close()
