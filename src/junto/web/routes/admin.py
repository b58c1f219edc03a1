"""Administration: backends, stored exchanges, reload. The admin key everywhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query

from junto.core.errors import NotFound
from junto.core.exchange import Outcome
from junto.ports.stores import ExchangeQuery
from junto.routing.facts import DeploymentFacts
from junto.web.deps import Admin, Services

router = APIRouter(tags=["administration"])


@router.get("/admin/backends")
async def backends(services: Services, _: Admin) -> dict[str, Any]:
    """Health, models, slots and latency of every backend."""
    deployments = services.current.runtime.snapshot.deployments
    return {
        "backends": [
            {
                "name": name,
                "status": "down" if watched.failure else "up",
                "failure": watched.failure or None,
                "probe_ms": watched.latency_ms,
                "checked_ms": watched.checked_ms or None,
                "version": watched.probe.version if watched.probe is not None else "",
                "slots": {"total": watched.live.slots, "in_use": watched.live.in_use, "queued": watched.live.queued},
                "in_flight": watched.live.in_flight,
                "resident": None if watched.live.resident is None else sorted(watched.live.resident),
                "models": [_deployment(one) for one in deployments if one.backend == name],
            }
            for name, watched in services.heartbeats.backends.items()
            if watched.is_shown
        ]
    }


@router.post("/admin/reload")
async def reload(services: Services, _: Admin) -> dict[str, Any]:
    """Read configuration and prices again; all of it takes effect, or (422, with every error) none of it."""
    return {"status": "reloaded", "warnings": await services.reload()}


@router.get("/admin/responses")
async def responses(  # noqa: PLR0917  one parameter a filter
    services: Services,
    _: Admin,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(max_length=64)] = None,
    model: Annotated[str | None, Query(max_length=300)] = None,
    backend: Annotated[str | None, Query(max_length=300)] = None,
    client: Annotated[str | None, Query(max_length=300)] = None,
    sensitivity: Literal["public", "internal", "confidential"] | None = None,
    outcome: Outcome | None = None,
    since_ms: Annotated[int | None, Query(ge=0)] = None,
) -> dict[str, Any]:
    """Stored exchanges, newest first, without bodies; `next` is the `before` of the following page."""
    query = ExchangeQuery(
        limit=limit,
        before=before,
        model=model,
        backend=backend,
        client=client,
        sensitivity=sensitivity,
        outcome=None if outcome is None else outcome.value,
        since_ms=since_ms,
    )
    page = await services.exchanges.page(query)
    return {"responses": page, "next": page[-1]["id"] if len(page) == limit else None}


@router.get("/admin/responses/stats")
async def response_stats(services: Services, _: Admin) -> dict[str, Any]:
    """Counts, sizes and the compression ratio of what is stored."""
    return await services.exchanges.stats()


@router.get("/admin/responses/{exchange_id}")
async def response(exchange_id: str, services: Services, _: Admin) -> dict[str, Any]:
    """One exchange in full, with its thinking, as far as its tier keeps it."""
    found = await services.exchanges.find(exchange_id)
    if found is None:
        raise NotFound(f"There is no stored exchange {exchange_id[:64]!r}.")
    return found


def _deployment(one: DeploymentFacts) -> dict[str, Any]:
    live = one.live
    return {
        "model": one.model,
        "locality": one.locality.value,
        "breaker": live.breaker.state.value,
        "in_flight": live.in_flight,
        "ttft_ms": round(live.ttft * 1000),
        "tokens_per_second": round(live.rate, 1),
        "load_ms": round(live.load * 1000),
        "price": msgspec.to_builtins(one.price),
        "price_date": one.price_date,
    }
