"""What Ollama's clients ask besides inference. Everything that would change an Ollama server is refused."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from junto.catalog.cards import ModelCard
from junto.catalog.model import Kind
from junto.core.capability import Capability
from junto.core.errors import Forbidden
from junto.core.sensitivity import Locality
from junto.dialects.ollama.catalog import (
    NO_TIME,
    Details,
    Running,
    Shown,
    Tag,
    capability_names,
    parse_show_request,
    render_ps,
    render_show,
    render_tags,
    render_version,
)
from junto.web.bodies import checked_body
from junto.web.deps import Caller, Services
from junto.web.visible import visible_card, visible_cards

router = APIRouter(tags=["ollama"])

# Clients compare this with the version that brought a feature they need; it is Ollama's, not Junto's.
SPOKEN_VERSION = "0.40.0"
_FORBIDDEN = ("create", "push", "pull", "copy", "delete", "blobs/{digest}")


@router.get("/api/tags")
async def tags(services: Services, caller: Caller) -> Response:
    """Every name that the caller's key may ask for, as models that this server has."""
    return _json(render_tags(_tag(one) for one in visible_cards(services, caller)))


@router.get("/api/ps")
async def ps(services: Services, caller: Caller) -> Response:
    """The models that are in some backend's memory."""
    known = (one for one in visible_cards(services, caller) if one.kind is not Kind.TASK)
    return _json(render_ps(running for one in known if (running := _running(one)) is not None))


@router.get("/api/version")
async def version() -> Response:
    """The version of Ollama whose dialect is spoken."""
    return _json(render_version(SPOKEN_VERSION))


@router.post("/api/show")
async def show(request: Request, services: Services, caller: Caller) -> Response:
    """One model in detail."""
    name = parse_show_request(await checked_body(request, services.body_limit()))
    return _json(render_show(_shown(visible_card(services, caller, name))))


async def _refuse() -> None:
    raise Forbidden("Models are managed on the backends, not through Junto.")


for _verb in _FORBIDDEN:
    router.add_api_route(f"/api/{_verb}", _refuse, methods=["GET", "POST", "HEAD", "DELETE"], include_in_schema=False)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _details(one: ModelCard) -> Details:
    found = one.found
    if found is None:
        return Details(family=one.provider)
    return Details(
        format="gguf",
        family=found.family or one.provider,
        families=(found.family,) if found.family else None,
        parameter_size=found.parameter_size,
        quantization_level=found.quantization,
    )


def _tag(one: ModelCard) -> Tag:
    found = one.found
    tag = Tag(name=one.name, details=_details(one), remote_host=_remote(one))
    if found is None:
        return tag
    return msgspec.structs.replace(
        tag, size=found.size_bytes or 0, digest=found.digest, modified_at=found.modified_at or NO_TIME
    )


def _running(one: ModelCard) -> Running | None:
    resident = one.resident
    if resident is None:
        return None
    return Running(
        name=one.name,
        size=resident.size_bytes,
        size_vram=resident.vram_bytes,
        digest=one.found.digest if one.found is not None else "",
        details=_details(one),
        context_length=resident.context_length,
        expires_at=resident.expires_at or NO_TIME,
    )


def _shown(one: ModelCard) -> Shown:
    able = one.capabilities if one.capabilities is not None else Capability.CHAT | Capability.TOOLS
    family = _details(one).family
    info: dict[str, object] = {"general.architecture": family}
    if one.context_length:
        info[f"{family}.context_length"] = one.context_length
    return Shown(details=_details(one), capabilities=capability_names(able), model_info=info, remote_host=_remote(one))


def _remote(one: ModelCard) -> str | None:
    """Said as Ollama says it: a model that only a cloud answers for has a remote host."""
    return one.backends[0] if one.localities == (Locality.CLOUD,) else None
