"""What the HTTP providers share: one backend's connection, the wires it speaks, and the walk of one call.

A provider is this plus its own heartbeat. Content leaves through `open` only, and only with a clearance.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.gateway import egress
from junto.providers import failures
from junto.providers.http.bounds import Deadlines as HttpDeadlines
from junto.providers.http.client import HttpClient, Response
from junto.providers.http.errors import TransportFailure
from junto.providers.http.origin import Origin, prepare_head
from junto.providers.replies import HttpReply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.core.chat import Operation, Request
    from junto.dialects.wire import Wire
    from junto.ports.provider import Call, Clearance, Deadlines, Reply

PROBE_DEADLINES = HttpDeadlines(connect=3, headers=5, first_byte=5, idle=5)
LOAD_DEADLINES = HttpDeadlines(connect=5, headers=600, first_byte=600, idle=600)
_PROBE_LIMIT = 8 * 1024 * 1024
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A wire that the backend speaks, with the head of its requests."""

    wire: Wire
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a backend is and how it is entered."""

    name: str
    origin: Origin
    headers: tuple[tuple[str, str], ...] = ()
    proxy: Origin | None = None
    headers_come_early: bool = True  # False: response headers come with the first token
    extra_head: bytes = b""  # header lines that stand unless a relayed caller sends its own


class Connection:
    """One backend, reachable."""

    def __init__(
        self, address: Address, wires: Sequence[Wire], *, adapt: Callable[[Request, str], Request] | None = None
    ) -> None:
        self.name = address.name
        self.origin = address.origin
        self._headers = (*address.headers, ("accept-encoding", "identity"), ("user-agent", "junto"))
        self._client = HttpClient(address.origin, proxy=address.proxy)
        self._spoken = {wire.name: Spoken(wire=wire, head=self._head("POST", wire.path)) for wire in wires}
        self._native: dict[Operation, Spoken] = {}
        for spoken in self._spoken.values():
            self._native.setdefault(spoken.wire.operation, spoken)
        self._adapt = adapt
        self._extra_head = address.extra_head
        self._headers_come_early = address.headers_come_early
        self._waits: dict[bool, tuple[Deadlines | None, HttpDeadlines]] = dict.fromkeys(
            (False, True), (None, HttpDeadlines())
        )  # the latest, for whole answers and for streams

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        """Send one call in the caller's own wire where the backend speaks it, else in the backend's; raises UpstreamFailure."""
        egress.demand(clearance, self.name, call.model)
        spoken = self._spoken.get(call.wire.name)
        relayed = spoken is not None
        if spoken is None:
            spoken = self._translated(call.wire.operation)
            body = spoken.wire.render_request(self._adapted(call), call.model, call.stream)
        else:
            body = spoken.wire.relay_request(call.body, call.model)
        extra = _with_own(self._extra_head, call.extra_head) if relayed and call.extra_head else self._extra_head
        waits = self._waits_for(call)
        try:  # what `_send` does, without a step of its own for each request
            response = await self._client.send(spoken.head + extra, body, waits, call)
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure
        try:
            if response.status != _OK:
                raise await failures.of_status(response, spoken.wire, time())  # noqa: TRY301  the response must be closed
            _expect_content(response, spoken.wire, stream=call.stream)
        except BaseException:
            response.close()
            raise
        return HttpReply(response, spoken.wire, relayed, waits.first_byte)

    async def ask(
        self,
        method: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        *,
        deadlines: HttpDeadlines = PROBE_DEADLINES,
    ) -> bytes:
        """A call without user content: health, lists, load and unload. The body of a 200; raises UpstreamFailure."""
        body = b"" if payload is None else msgspec.json.encode(payload)
        response = await self._send(self._head(method, path) + self._extra_head, body, deadlines)
        try:
            answer = await response.read_all(_PROBE_LIMIT)
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure
        finally:
            response.close()
        if response.status != _OK:
            wire = next(iter(self._spoken.values())).wire
            refusal = wire.parse_error(response.status, answer)
            refusal.status = response.status
            raise refusal
        return answer

    async def close(self) -> None:
        """Close what is open; safe to call twice."""
        await self._client.close()

    async def _send(self, head: bytes, body: bytes, deadlines: HttpDeadlines) -> Response:
        try:
            return await self._client.send(head, body, deadlines)
        except TransportFailure as failure:
            raise failures.of_transport(failure) from failure

    def _head(self, method: str, path: str) -> bytes:
        headers = [*self._headers]
        if method == "POST":
            headers.append(("content-type", "application/json"))
        return prepare_head(self.origin, method, path, headers)

    def _translated(self, operation: Operation) -> Spoken:
        spoken = self._native.get(operation)
        if spoken is None:
            raise Unsupported(f"The backend {self.name} does not do {operation.label}.")
        return spoken

    def _adapted(self, call: Call) -> Request:
        request = call.request()
        return request if self._adapt is None else self._adapt(request, call.model)

    def _waits_for(self, call: Call) -> HttpDeadlines:
        deadlines, waits = self._waits[call.stream]
        if deadlines is not call.deadlines:  # of another model, or of a newer configuration
            waits = waits_for(call.deadlines, stream=call.stream, headers_come_early=self._headers_come_early)
            self._waits[call.stream] = (call.deadlines, waits)
        return waits


def waits_for(deadlines: Deadlines, *, stream: bool, headers_come_early: bool) -> HttpDeadlines:
    """The transport's waits for an attempt.

    A whole answer shows nothing until it is finished, so it gets the first token's wait and eight idle waits in one (600 s
    by default). Local engines send their headers together with the first token, so they share that wait.
    """
    headers = deadlines.headers
    first_byte = deadlines.first_token
    if not stream:
        headers = first_byte = deadlines.first_token + 8 * deadlines.idle
    elif not headers_come_early:
        headers = max(headers, deadlines.first_token)
    return HttpDeadlines(connect=deadlines.connect, headers=headers, first_byte=first_byte, idle=deadlines.idle)


def _with_own(standing: bytes, own: bytes) -> bytes:
    """The caller's own header lines, and those of the standing ones that it does not send itself."""
    names = {line.partition(b":")[0].lower() for line in own.splitlines()}
    kept = [line for line in standing.splitlines(keepends=True) if line.partition(b":")[0].lower() not in names]
    return b"".join((*kept, own))


def _expect_content(response: Response, wire: Wire, *, stream: bool) -> None:
    """An HTML page with a 200 is a portal or a proxy talking, not a model."""
    kind = response.header(b"content-type")
    if kind is not None and kind.lower().startswith(b"text/html"):
        expected = wire.stream_type if stream else wire.whole_type
        raise UpstreamFailure(FailureKind.PROTOCOL, f"expected {expected}, got a web page")
