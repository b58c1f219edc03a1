"""Usage and cost by day, from the ledger: of one client for the administrator and for its own keys, of all for the administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from junto.core.errors import NotFound
from junto.core.money import usd_from_nano
from junto.ports.money import UsageQuery
from junto.web.deps import Services, UsageAccount

router = APIRouter(tags=["usage"])

type Days = Annotated[int, Query(ge=1, le=366)]
_COUNTS = ("jobs", "requests", "failures", "tokens_in", "tokens_out", "tokens_cached")
_SHOWN = 64


@router.get("/clients/{client_id}/usage")
async def client_usage(
    client_id: Annotated[str, Path(max_length=100)], services: Services, caller: UsageAccount, days: Days = 30
) -> dict[str, Any]:
    """A row for each of the last days (in UTC, today included) on which the client used anything, and the totals."""
    is_own = bool(caller.client_id) and caller.client_id == client_id
    if not (is_own or caller.is_admin) or await services.money.tenant_of_client(client_id) is None:
        raise NotFound(f"There is no client with the id {client_id[:_SHOWN]!r}.")
    return await _usage(services, days, client_id)


@router.get("/usage")
async def own_usage(services: Services, caller: UsageAccount, days: Days = 30) -> dict[str, Any]:
    """The same of the calling client; of all clients together for the administrator."""
    if not caller.client_id and not caller.is_admin:
        raise NotFound("Usage is counted by client, and this request comes from none: send a client's key.")
    return await _usage(services, days, caller.client_id or None)


async def _usage(services: Services, days: int, client_id: str | None) -> dict[str, Any]:
    rows = await services.money.usage(UsageQuery(days=days, client_id=client_id))
    totals = {name: sum(row[name] for row in rows) for name in _COUNTS}
    return {
        "client_id": client_id,
        "days": days,
        "usage": [
            {
                "date": row["date"],
                **{name: row[name] for name in _COUNTS},
                "cost_usd": usd_from_nano(row["cost_nano"]),
            }
            for row in rows
        ],
        "totals": {**totals, "cost_usd": usd_from_nano(sum(row["cost_nano"] for row in rows))},
    }
