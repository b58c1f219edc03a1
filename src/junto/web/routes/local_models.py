"""The models of the operator's own machines: which are in memory where, and bringing them there. The admin key everywhere."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response

from junto.catalog.places import Place, clouds, places
from junto.core.money import usd_from_nano
from junto.gateway.loading import Move
from junto.web.deps import Admin, Services

if TYPE_CHECKING:
    from junto.gateway.loading import Loader
    from junto.routing.facts import DeploymentFacts
    from junto.web.services import WebServices

router = APIRouter(tags=["administration"])

_PATIENCE = 3.0  # seconds; what takes longer goes on without its caller
_GIGABYTE = 1_000_000_000


@router.get("/models")
async def models(services: Services, _: Admin) -> dict[str, Any]:
    """Local models with their place in memory, and the cloud's with their prices."""
    deployments = services.current.runtime.snapshot.deployments
    known = places(deployments, services.heartbeats.found)
    return {
        "local": [_local(place, services.loader) for place in known],
        "cloud": [_cloud(deployment) for deployment in clouds(deployments)],
    }


@router.post("/models/{name:path}/load")
async def load(name: str, services: Services, _: Admin, response: Response) -> dict[str, Any]:
    """Bring a model into memory: 200 when it is there, 202 when that takes longer and goes on by itself."""
    return await _move(Move.LOAD, name, services, response)


@router.post("/models/{name:path}/unload")
async def unload(name: str, services: Services, _: Admin, response: Response) -> dict[str, Any]:
    """Put a model out of memory, on every backend that has it there."""
    return await _move(Move.UNLOAD, name, services, response)


async def _move(move: Move, name: str, services: WebServices, response: Response) -> dict[str, Any]:
    moved = await services.loader.move(move, name, patience=_PATIENCE)
    if moved is None:
        response.status_code = 202
        return {"name": name, "status": f"{move}ing", "poll_url": "/models"}
    return {"name": name, "status": f"{move}ed", "backends": moved.backends, "milliseconds": moved.milliseconds}


def _local(place: Place, loader: Loader) -> dict[str, Any]:
    facts = place.deployment
    moving = loader.under_way.get(facts.key)
    status = "loaded" if place.loaded else "unloaded"
    if place.loaded is None:
        status = "unknown"
    return {
        "name": facts.model,
        "status": f"{moving}ing" if moving is not None else status,
        "size_gb": _gigabytes(place.size_bytes),
        "vram_gb": _gigabytes(place.vram_bytes),
        "backend": facts.backend,
        "last_used": _time(facts.live.last_used_ms),
        "expires_at": place.expires_at or None,
        "error": loader.failures.get(facts.key),
    }


def _cloud(facts: DeploymentFacts) -> dict[str, Any]:
    return {
        "name": facts.model,
        "provider": facts.provider,
        "backend": facts.backend,
        "input_usd_per_mtok": usd_from_nano(facts.price.input),
        "output_usd_per_mtok": usd_from_nano(facts.price.output),
    }


def _gigabytes(size: int | None) -> float | None:
    return None if size is None else round(size / _GIGABYTE, 2)


def _time(milliseconds: int) -> str | None:
    """As ISO 8601 in UTC; None for never."""
    if not milliseconds:
        return None
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).isoformat(timespec="milliseconds")
