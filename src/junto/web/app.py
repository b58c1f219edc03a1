"""Assembles the HTTP application: the door in front, and behind it the control plane, which is loaded when it is first asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from junto.core.chat import Operation
from junto.dialects import ollama
from junto.web.door import Door
from junto.web.inference import InferenceEndpoint
from junto.web.on_demand import OnDemand
from junto.web.residency import ResidencyEndpoint
from junto.web.speech import PATH as SPEECH
from junto.web.speech import SpeechEndpoint
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from junto.dialects.wire import Wire
    from junto.web.asgi import App
    from junto.web.services import WebServices


def build_app(services: WebServices) -> App:
    """The outermost ASGI application."""
    handlers: dict[str, App] = {path: endpoint(wire, services) for path, wire in INFERENCE.items()}
    handlers[SPEECH] = SpeechEndpoint(services)
    handlers.update(services.channels)
    return Door(
        handlers,
        OnDemand(partial(_control_plane, services)),
        make_id=services.make_id,
        body_limit=services.body_limit,
        known=lambda *credentials: services.authenticator().known(*credentials),
        keeps_strangers_out=services.keeps_strangers_out,
        signed=services.channels.keys(),
        sockets=services.chat,
    )


def endpoint(wire: Wire, services: WebServices) -> App:
    """The endpoint of one wire; Ollama's chat and generate also take requests that only load or unload."""
    inference = InferenceEndpoint(
        wire,
        pipeline=services.pipeline,
        authenticator=services.authenticator,
        body_limit=services.body_limit,
        make_id=services.make_id,
        outbox=services.outbox,
        refusals=services.refusals,
    )
    if wire.dialect == ollama.CHAT.dialect and wire.operation is Operation.CHAT:
        return ResidencyEndpoint(wire, inference, services)
    return inference


def _control_plane(services: WebServices) -> App:
    # Imported by the first request that needs it: FastAPI, its routers and their models are a third of the whole start.
    from junto.web.control_plane import build_control_plane  # noqa: PLC0415

    return build_control_plane(services)
