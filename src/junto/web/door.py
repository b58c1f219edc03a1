"""The door: inference paths are served here with one dictionary look-up; everything else goes to the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import Forbidden
from junto.web.bodies import bounded, known_beyond
from junto.web.replies import send_error
from junto.web.strangers import Strangers
from junto.web.wires import wire_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Mapping

    from junto.web.asgi import App, Message, Receive, Scope, Send

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_STRANGERS_BYTES = (
    160 * 1024
)  # of a body, of whoever is not known: a visitor's longest message, and a few milliseconds of parsing
_FORM = b"application/x-www-form-urlencoded"  # what `curl -d` says of anything


class Door:
    """The outermost ASGI application. `handlers` is keyed by path and serves POST only.

    Handlers put an id of the request on their answers and bound their bodies themselves; for the application the door does
    it, which reads bodies whole, and before it asks who sends them: so `known` is asked of a large one, with what the request has in
    Authorization and x-api-key, and raises for those who may do nothing here. While no key is needed, pages of strangers stop here, but
    for the paths in `signed`, where a signature that no page can make says who asks. `sockets` has those that the server lets open.
    """

    def __init__(
        self,
        handlers: Mapping[str, App],
        application: App,
        *,
        make_id: Callable[[], str],
        body_limit: Callable[[], int],
        known: Callable[[bytes | None, bytes | None], Awaitable[None]],
        keeps_strangers_out: Callable[[], bool] = lambda: False,
        signed: Container[str] = (),
        sockets: App | None = None,
    ) -> None:
        self._handlers = handlers
        self._application = application
        self._make_id = make_id
        self._body_limit = body_limit
        self._known = known
        self._keeps_strangers_out = keeps_strangers_out
        self._signed = signed
        self._sockets = sockets
        self._strangers = Strangers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keeps_strangers_out():
            try:
                self._strangers.check(scope["headers"])
            except Forbidden as error:
                if scope["path"] not in self._signed:
                    await send_error(send, wire_of(scope), error, self._make_id(), started=False)
                    return
        if scope["type"] == "http" and scope["method"] == "POST":
            handler = self._handlers.get(scope["path"])
            if handler is not None:
                await handler(scope, receive, send)
                return
        if scope["type"] == "websocket":
            await self._open_socket(scope, receive, send)
            return
        if scope["type"] == "http" and scope["method"] in _WITH_BODY:
            scope = _read_as_json(scope)
            receive = known_beyond(receive, _STRANGERS_BYTES, lambda: self._ask_who(scope))
        await self._application(scope, bounded(receive, self._body_limit()), self._with_id(send))

    async def _ask_who(self, scope: Scope) -> None:
        headers = dict(reversed(scope["headers"]))
        await self._known(headers.get(b"authorization"), headers.get(b"x-api-key"))

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self._keeps_strangers_out():
                self._strangers.check(scope["headers"])
            sockets = self._sockets
        except Forbidden:
            sockets = None
        if sockets is None:
            await receive()
            await send({"type": "websocket.close"})  # before it is open: 403
        else:
            await sockets(scope, receive, send)

    def _with_id(self, send: Send) -> Send:
        header = (b"x-junto-request-id", self._make_id().encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        return send_with_id


def _read_as_json(scope: Scope) -> Scope:
    """The same request as JSON where it names no type, or the one that curl names by itself: as at the inference paths."""
    headers = scope["headers"]
    named = next((value for name, value in headers if name == b"content-type"), _FORM)
    if named != _FORM:
        return scope
    others = [header for header in headers if header[0] != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", b"application/json")]}
