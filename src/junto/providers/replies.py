"""Replies over HTTP: a response of our client, read as relayed bytes or through a wire's codec."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers import failures
from junto.providers.http.errors import TransportFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.completion import Completion, Embeddings
    from junto.core.events import Event
    from junto.dialects.wire import EventParser, Wire
    from junto.providers.http.client import Response

WHOLE_LIMIT = 64 * 1024 * 1024  # bytes of one unary answer


class HttpReply:
    """An upstream's response in the wire that was spoken to it; `patience` is seconds that its first event may take."""

    __slots__ = ("_begun", "_done", "_parser", "_patience", "_response", "_until", "_wire", "relayed")

    def __init__(self, response: Response, wire: Wire, relayed: bool, patience: float) -> None:  # noqa: FBT001
        self.relayed = relayed
        self._response = response
        self._wire = wire
        self._parser: EventParser | None = None
        self._patience = patience
        self._begun = False
        self._until: float | None = None
        self._done = False

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        await self._response.pump(take)

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
                self._begun = True
                return events
            if not self._begun:
                self._lose_patience()
        return ()

    async def whole(self) -> Completion | Embeddings:
        try:
            body = await self._response.read_all(WHOLE_LIMIT)
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure
        return self._wire.parse_response(body)

    def _lose_patience(self) -> None:
        """Comments and blanks keep a connection alive, but an upstream that sends nothing else never begins to answer."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._patience
        elif now > self._until:
            raise UpstreamFailure(FailureKind.FIRST_TOKEN_TIMEOUT, "nothing but signs of life")

    def close(self, *, finished: bool = False) -> None:
        self._response.close(finished=finished)
