"""One inference endpoint: reads a request off ASGI, hands it to the pipeline, writes the answer or the error.

Owns headers in and out, and letting go when the caller does. Decides nothing.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import structlog

from junto.core.errors import InvalidField, JuntoError
from junto.gateway.exchange import Arrival
from junto.identity.authentication import UnknownKey
from junto.identity.permission import require
from junto.identity.principal import ApiScope
from junto.web.bodies import CallerGone, body_at_hand, read_body
from junto.web.replies import send_error, send_stream, send_whole
from junto.web.server import HANGUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.dialects.wire import Wire
    from junto.gateway.answer import Answer
    from junto.gateway.pipeline import Pipeline
    from junto.identity.authentication import Authenticator
    from junto.ports.observer import RefusalObserver
    from junto.web.asgi import Receive, Scope, Send
    from junto.web.outbox import Outbox

_LONGEST_TIMEOUT = 24 * 3600.0
_OF_NO_MATTER = frozenset({b"host", b"user-agent", b"accept", b"accept-encoding", b"content-type", b"connection"})
_PASSABLE = re.compile(rb"[\x20-\x7e]{0,1000}")


class InferenceEndpoint:
    """Serves one wire at one path."""

    def __init__(
        self,
        wire: Wire,
        *,
        pipeline: Pipeline,
        authenticator: Callable[[], Authenticator],
        body_limit: Callable[[], int],
        make_id: Callable[[], str],
        outbox: Outbox,
        refusals: RefusalObserver,
    ) -> None:
        self._wire = wire
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._body_limit = body_limit
        self._make_id = make_id
        self._outbox = outbox
        self._refusals = refusals
        self._tells_place = wire.stream_type.startswith("text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._make_id()
        connection = scope.get("extensions", {}).get(HANGUP)
        if connection is not None:
            connection.cancel_on_hangup(asyncio.current_task())
        try:
            await self._serve(request_id, scope, receive, send)
        except CallerGone:
            return
        except asyncio.CancelledError:
            # Invariant: a hang-up cancels this task, and then nobody is left to tell; or the server is shutting down
            # and waits no longer, and then the connection is closed.
            if connection is None:
                raise
            connection.close()
        finally:
            if connection is not None:
                connection.cancel_on_hangup(None)

    async def _serve(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        progress = Progress(send, request_id)
        try:
            arrival = await self._arrival(request_id, scope, receive, progress)
            answer = await self._pipeline.open(arrival)
        except JuntoError as error:
            await self._refuse(send, error, request_id, progress)
            return
        except (CallerGone, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001  the last line of defence: logged, and told in the caller's dialect
            structlog.get_logger().exception("request_failed", request_id=request_id)
            await self._refuse(send, JuntoError("Something went wrong inside Junto."), request_id, progress)
            return
        await self._reply(send, answer, request_id, progress)

    async def _arrival(self, request_id: str, scope: Scope, receive: Receive, progress: Progress) -> Arrival:
        told = _Told(scope["headers"], self._wire.passed_headers)
        authenticator = self._authenticator()
        try:
            principal = authenticator.for_inference(told.authorization, told.api_key)
        except UnknownKey:
            await authenticator.refreshed()
            principal = authenticator.for_inference(told.authorization, told.api_key)
        require(principal, ApiScope.INFERENCE)
        limit = self._body_limit()
        body = body_at_hand(receive, limit)
        if body is None:
            body = await read_body(receive, limit, told.content_length)
        return Arrival(
            id=request_id,
            wire=self._wire,
            body=body,
            principal=principal,
            sensitivity=told.sensitivity,
            task_type=told.task,
            timeout=told.timeout,
            session=told.session,
            extra_head=told.passed,
            commits=True,
            on_wait=progress.tell if self._tells_place else None,
        )

    async def _reply(self, send: Send, answer: Answer, request_id: str, progress: Progress) -> None:
        try:
            if answer.streams:
                await send_stream(send, answer, request_id, started=progress.started)
            else:
                await send_whole(send, answer, self._wire, request_id, self._outbox)
        finally:
            answer.close()

    async def _refuse(self, send: Send, error: JuntoError, request_id: str, progress: Progress) -> None:
        self._refusals.request_refused(status=error.status, code=error.code)
        await send_error(send, self._wire, error, request_id, started=progress.started)


class Progress:
    """Tells a waiting stream its place in the queue, as a comment; that sends the head, so errors come in the stream then."""

    __slots__ = ("_request_id", "_send", "started")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.started = False

    async def tell(self, place: int) -> None:
        """Send `: queued, place N` to the caller."""
        if not self.started:
            self.started = True
            head = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
                (b"x-junto-request-id", self._request_id.encode()),
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": head})
        comment = b": queued, place %d\n\n" % place
        await self._send({"type": "http.response.body", "body": comment, "more_body": True})


class _Told:
    """What a request's headers say, read in one pass."""

    __slots__ = ("api_key", "authorization", "content_length", "passed", "sensitivity", "session", "task", "timeout")

    def __init__(self, headers: list[tuple[bytes, bytes]], passed: frozenset[bytes]) -> None:
        self.passed = b""
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        self.content_length: int | None = None
        self.sensitivity: str | None = None
        self.session = ""
        self.task: str | None = None
        self.timeout: float | None = None
        for name, value in headers:
            if name in _OF_NO_MATTER:  # most of them, found out at once
                continue
            if name == b"content-length":
                self.content_length = int(value)  # the parser has checked that it is a number
            elif name == b"authorization":
                self.authorization = value
            elif name == b"x-api-key":
                self.api_key = value
            elif name.startswith(b"x-junto-"):
                self._read(name, value.decode("latin-1").strip())
            elif name in passed:
                self.passed += _line(name, value)

    def _read(self, name: bytes, value: str) -> None:
        if name == b"x-junto-sensitivity":
            self.sensitivity = self._once(self.sensitivity, value)
        elif name == b"x-junto-task":
            self.task = value[:200]
        elif name == b"x-junto-session":
            self.session = value[:200]
        elif name == b"x-junto-timeout":
            self.timeout = _seconds(value)

    @staticmethod
    def _once(before: str | None, value: str) -> str:
        if before is not None and before != value:
            raise InvalidField("X-Junto-Sensitivity was sent more than once.", param="X-Junto-Sensitivity")
        return value


def _line(name: bytes, value: bytes) -> bytes:
    """A header line as it goes on to an upstream; raises InvalidField for what could end it early."""
    if not _PASSABLE.fullmatch(value):
        raise InvalidField(f"The header {name.decode()} has characters that cannot be passed on.", param=name.decode())
    return b"%b: %b\r\n" % (name, value)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise InvalidField("X-Junto-Timeout is a number of seconds above 0.", param="X-Junto-Timeout")
    return seconds
