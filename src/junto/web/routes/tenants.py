"""Tenants, for the administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import StrictBool

from junto.ports.identity import TenantChanges, TenantRecord
from junto.web.deps import Admin, Services
from junto.web.routes.policies import Name, Policy, shown_budgets, shown_limits

router = APIRouter(tags=["clients"])


class _TenantPolicy(Policy):
    def changes(self, services: Services) -> TenantChanges:
        """What the body says, as changes."""
        return TenantChanges(
            name=self.given("name"),
            enabled=self.given("enabled"),
            limits=self.limits(),
            notes=self.given("notes"),
            budgets=self.budgets(services.directory.new_budget_id),
        )


class NewTenant(_TenantPolicy):
    """A tenant to be made. Its limits and budgets are for all of its clients together."""

    name: Name


class ChangedTenant(_TenantPolicy):
    """What to change of a tenant; `enabled: false` refuses the keys of all its clients."""

    name: Name = ""
    enabled: StrictBool = True


@router.post("/tenants", status_code=201)
async def create_tenant(body: NewTenant, services: Services, _: Admin) -> dict[str, Any]:
    """A new tenant."""
    return shown(await services.directory.create_tenant(body.changes(services)))


@router.get("/tenants")
async def list_tenants(
    services: Services,
    _: Admin,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Tenants in the order of their ids; `next` is the `after` of the following page."""
    page = await services.directory.tenants(after=after, limit=limit)
    return {"tenants": [shown(tenant) for tenant in page], "next": page[-1].id if len(page) == limit else None}


@router.patch("/tenants/{tenant_id}")
async def change_tenant(
    tenant_id: Annotated[str, Path(max_length=100)], body: ChangedTenant, services: Services, _: Admin
) -> dict[str, Any]:
    """Change what the body names; in force from the next request on."""
    return shown(await services.directory.change_tenant(tenant_id, body.changes(services)))


def shown(tenant: TenantRecord) -> dict[str, Any]:
    """A tenant as it is shown."""
    return {
        "id": tenant.id,
        "name": tenant.name,
        "enabled": tenant.enabled,
        **shown_limits(tenant.limits),
        "budgets": shown_budgets(tenant.budgets),
        "notes": tenant.notes,
        "created_ms": tenant.created_ms,
        "updated_ms": tenant.updated_ms,
    }
