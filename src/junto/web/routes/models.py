"""The list of models in OpenAI's shape; to a caller that sends `anthropic-version`, in Anthropic's."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from junto.catalog.cards import ModelCard
from junto.catalog.model import Kind
from junto.core.money import usd_from_nano
from junto.web.deps import Caller, Services
from junto.web.visible import visible_card, visible_cards

router = APIRouter(tags=["models"])


@router.get("/v1/models")
async def list_models(request: Request, services: Services, caller: Caller) -> dict[str, Any]:
    """Every name that the caller's key may ask for."""
    known = visible_cards(services, caller)
    if "anthropic-version" in request.headers:
        entries = [_anthropic(one) for one in known]
        ends = {"first_id": entries[0]["id"], "last_id": entries[-1]["id"]} if entries else {}
        return {"data": entries, "has_more": False, **ends}
    return {"object": "list", "data": [_openai(one) for one in known]}


@router.get("/v1/models/{model_id:path}")
async def show_model(model_id: str, request: Request, services: Services, caller: Caller) -> dict[str, Any]:
    """One name, pinned ones too; 404 with near names."""
    one = visible_card(services, caller, model_id)
    return _anthropic(one) if "anthropic-version" in request.headers else _openai(one)


def _openai(one: ModelCard) -> dict[str, Any]:
    return {
        "id": one.name,
        "object": "model",
        "created": 0,
        "owned_by": one.provider,
        "junto": {
            "kind": "model" if one.kind is Kind.PINNED else one.kind.value,
            "backends": one.backends,
            "locality": [locality.value for locality in one.localities],
            "context_length": one.context_length,
            "capabilities": None if one.capabilities is None else one.capabilities.labels,
            "prices": {
                "input_usd_per_mtok": usd_from_nano(one.price.input),
                "output_usd_per_mtok": usd_from_nano(one.price.output),
            },
        },
    }


def _anthropic(one: ModelCard) -> dict[str, Any]:
    return {"type": "model", "id": one.name, "display_name": one.name, "created_at": "1970-01-01T00:00:00Z"}
