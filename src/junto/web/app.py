"""Assembles the HTTP application: the door in front, FastAPI for the control plane behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from junto.core.chat import Operation
from junto.dialects import anthropic, native, ollama, openai
from junto.web.door import Door
from junto.web.errors import install_error_handlers
from junto.web.inference import InferenceEndpoint
from junto.web.residency import ResidencyEndpoint
from junto.web.routes import (
    admin,
    anthropic_models,
    budgets,
    clients,
    explain,
    health,
    home,
    jobs,
    local_models,
    metrics,
    models,
    ollama_catalog,
    prompts,
    routing,
    tenants,
    usage,
    webhooks,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.dialects.wire import Wire
    from junto.web.asgi import App
    from junto.web.services import WebServices

INFERENCE: Mapping[str, Wire] = {
    "/v1/chat/completions": openai.CHAT,
    "/v1/completions": openai.COMPLETIONS,
    "/v1/embeddings": openai.EMBEDDINGS,
    "/v1/messages": anthropic.MESSAGES,
    "/api/chat": ollama.CHAT,
    "/api/generate": ollama.GENERATE,
    "/api/embed": ollama.EMBED,
    "/api/embeddings": ollama.EMBEDDINGS,
    "/complete": native.COMPLETE,
    "/complete/stream": native.COMPLETE_STREAM,
}


def build_app(services: WebServices) -> App:
    """The outermost ASGI application."""
    handlers: dict[str, App] = {path: endpoint(wire, services) for path, wire in INFERENCE.items()}
    application = build_control_plane(services)
    return Door(
        handlers,
        application,
        make_id=services.make_id,
        body_limit=services.body_limit,
        keeps_strangers_out=services.keeps_strangers_out,
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


def build_control_plane(services: WebServices) -> FastAPI:
    """Everything that is not inference. Each router says for itself who may enter."""
    app = FastAPI(
        title="Junto",
        version=services.build.version,
        description="One door to every model.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for module in (
        jobs,  # the busiest of them: FastAPI asks one router after the other
        home,
        health,
        models,
        local_models,
        ollama_catalog,
        anthropic_models,
        explain,
        routing,
        prompts,
        clients,
        tenants,
        budgets,
        usage,
        webhooks,
        metrics,
        admin,
    ):
        app.include_router(module.router)
    for path, wire in INFERENCE.items():
        app.add_api_route(
            path,
            _served_at_the_door,
            methods=["POST"],
            tags=["inference"],
            summary=f"Inference in the wire {wire.name}.",
        )
    install_error_handlers(app)
    return app


async def _served_at_the_door() -> None:
    """Never called: its route makes other methods at an inference path a 405 that names the right one."""
