"""The control plane: FastAPI with every router of it, for everything that is not inference.

Importing this module loads the framework and all models of bodies, so web/app.py does it when the first request is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from junto.web.errors import install_error_handlers
from junto.web.routes import (
    admin,
    agent_messages,
    agents,
    anthropic_models,
    budgets,
    chat,
    clients,
    councils,
    datasets,
    eval_compare,
    eval_judge,
    eval_proposals,
    eval_review,
    eval_scores,
    eval_shadows,
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
    speech,
    tenants,
    usage,
    webhooks,
)
from junto.web.speech import PATH as SPEECH
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from junto.web.services import WebServices


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
        speech,
        agents,
        agent_messages,
        chat,
        councils,
        datasets,
        eval_scores,
        eval_review,
        eval_compare,
        eval_shadows,
        eval_judge,
        eval_proposals,
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
    app.add_api_route(
        SPEECH,
        _served_at_the_door,
        methods=["POST"],
        tags=["speech"],
        summary="A text said aloud, as OpenAI's SDK asks for it.",
    )
    for path in services.channels:
        app.add_api_route(
            path, _served_at_the_door, methods=["POST"], tags=["channels"], summary="Events of a channel, signed by it."
        )
    install_error_handlers(app)
    return app


async def _served_at_the_door() -> None:
    """Never called: its route makes other methods at an inference path a 405 that names the right one."""
