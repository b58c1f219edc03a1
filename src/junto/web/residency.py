"""Ollama's way to load and unload: an empty question. Everything else at these paths is inference."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.catalog.tasks import resolve_routed
from junto.core.errors import JuntoError
from junto.dialects import ollama
from junto.dialects.ollama.residency import Residency, render_residency, residency_of
from junto.dialects.wire import Rendering
from junto.gateway.loading import Move
from junto.identity.principal import ApiScope
from junto.routing.route_table import apply, opened
from junto.web.bodies import CallerGone, read_body
from junto.web.replies import send_error
from junto.web.server import HANGUP

if TYPE_CHECKING:
    from junto.dialects.wire import Wire
    from junto.identity.principal import Principal
    from junto.web.asgi import App, Message, Receive, Scope, Send
    from junto.web.services import WebServices

_SMALL = 2048  # bytes; a body above this asks something


class ResidencyEndpoint:
    """Serves load and unload by itself and passes real questions on, with their body as it was received."""

    def __init__(self, wire: Wire, inference: App, services: WebServices) -> None:
        self._wire = wire
        self._inference = inference
        self._services = services
        self._chat = wire is ollama.CHAT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = next((int(value) for name, value in scope["headers"] if name == b"content-length"), _SMALL + 1)
        if declared > _SMALL:
            await self._inference(scope, receive, send)
            return
        connection = scope.get("extensions", {}).get(HANGUP)
        if connection is not None:  # who goes away does not wait for the load, which ends when nobody does
            connection.cancel_on_hangup(asyncio.current_task())
        try:
            await self._answer(scope, receive, send, declared)
        except asyncio.CancelledError:
            if connection is None:
                raise
            connection.close()
        finally:
            if connection is not None:
                connection.cancel_on_hangup(None)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, declared: int) -> None:
        request_id = self._services.make_id()
        headers = dict(scope["headers"])
        try:
            principal = await self._services.authenticator().caller(
                headers.get(b"authorization"), headers.get(b"x-api-key"), ApiScope.INFERENCE
            )
            body = await read_body(receive, _SMALL, declared)
            residency = residency_of(body, chat=self._chat)
            if residency is None:
                await self._inference(scope, _replay(body, receive), send)
                return
            answer = await self._serve(body, residency, request_id, principal)
        except CallerGone:
            return
        except JuntoError as error:
            self._services.refusals.request_refused(status=error.status, code=error.code)
            await send_error(send, self._wire, error, request_id, started=False)
            return
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
            (b"x-junto-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    async def _serve(self, body: bytes, residency: Residency, request_id: str, principal: Principal) -> bytes:
        name = self._wire.peek(body).model
        move = Move.LOAD if residency is Residency.LOAD else Move.UNLOAD
        # Lenient: Ollama's clients load whatever they are about to use, a cloud's model or a group as well.
        meant, allowed = self._meant(name, principal.allowed_models)
        permit = await self._services.admit(principal, 0)  # whoever loads and unloads takes the others' time as well
        try:
            await self._services.loader.move(move, meant, allowed=allowed, lenient=True)
        finally:
            if permit is not None:
                permit.settle(0)
        rendering = Rendering(id=request_id, model=name, created=self._services.clock.wall_ms() // 1000)
        return render_residency(residency, rendering, chat=self._chat)

    def _meant(self, name: str, allowed: frozenset[str] | None) -> tuple[str, frozenset[str] | None]:
        """What is to be loaded for a name: of a task, the first of its route's names that something serves."""
        routed = apply(self._services.routes.table, name, "")
        if routed is None:
            return name, allowed
        stages = resolve_routed(self._services.current.runtime.snapshot, routed).stages
        served = next((stage.name for stage in stages if stage.candidates), routed.model)
        return served, allowed and opened(allowed, name, routed, (stage.name for stage in stages))


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, then whatever follows."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
