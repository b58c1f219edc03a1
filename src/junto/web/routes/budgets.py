"""Budgets of keys, clients and tenants, for the administrator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from junto.core.money import nano_from_usd, usd_from_nano
from junto.core.periods import Period, instant
from junto.ports.money import BudgetState
from junto.web.deps import Admin, Services
from junto.web.routes.policies import Usd

router = APIRouter(tags=["budgets"])

type Owner = Literal["key", "client", "tenant"]
type OwnerId = Annotated[StrictStr, Field(min_length=1, max_length=100)]


class NewBudget(BaseModel):
    """A limit in dollars for each window of the period, of the key, client or tenant with that id."""

    model_config = ConfigDict(extra="forbid")

    scope: Owner
    id: OwnerId
    period: Period
    limit_usd: Usd


@router.get("/budgets")
async def list_budgets(
    services: Services,
    _: Admin,
    *,
    scope: Owner | None = None,
    id: Annotated[str | None, Query(max_length=100)] = None,
) -> dict[str, Any]:
    """Budgets with what is spent and reserved of them in their present window; all, or those of one kind or owner."""
    return {"budgets": [shown(state) for state in await services.budgeting.list(scope=scope, owner=id)]}


@router.put("/budgets")
async def set_budget(body: NewBudget, services: Services, _: Admin) -> dict[str, Any]:
    """Set a limit; in force from the next request on, and what was spent in this window counts."""
    return shown(
        await services.budgeting.set(
            scope=body.scope, owner=body.id, period=body.period.value, limit_nano=nano_from_usd(body.limit_usd)
        )
    )


@router.delete("/budgets", status_code=204)
async def remove_budget(
    services: Services,
    _: Admin,
    *,
    scope: Owner,
    id: Annotated[str, Query(min_length=1, max_length=100)],
    period: Period,
) -> None:
    """Remove a budget."""
    await services.budgeting.remove(scope=scope, owner=id, period=period.value)


def shown(state: BudgetState) -> dict[str, Any]:
    """A budget as it is shown: amounts in dollars, times in UTC."""
    return {
        "scope": state.scope,
        "id": state.scope_id,
        "tenant": state.tenant_id,
        "period": state.period,
        "limit_usd": usd_from_nano(state.limit_nano),
        "spent_usd": usd_from_nano(state.spent_nano),
        "reserved_usd": usd_from_nano(state.reserved_nano),
        "remaining_usd": usd_from_nano(max(0, state.limit_nano - state.spent_nano - state.reserved_nano)),
        "window_started": instant(state.window_ms) if state.window_ms else None,
        "resets": None if state.resets_ms is None else instant(state.resets_ms),
    }
