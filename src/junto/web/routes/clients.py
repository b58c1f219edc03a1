"""Clients and their keys, for the administrator. A key is in the answer that makes it, and in no other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from junto.core.sensitivity import parse_sensitivity
from junto.identity.directory import DEFAULT_OVERLAP_SECONDS, LONGEST_OVERLAP_SECONDS, IssuedClient
from junto.identity.principal import DEFAULT_TENANT, ApiScope
from junto.ports.identity import ClientChanges, ClientQuery, ClientRecord
from junto.web.deps import Admin, Services
from junto.web.routes.policies import Name, Policy, shown_budgets, shown_limits

router = APIRouter(tags=["clients"])

type ClientId = Annotated[str, Path(max_length=100)]
type ModelName = Annotated[StrictStr, Field(min_length=1, max_length=300)]


class _ClientPolicy(Policy):
    allow_cloud_for_internal: StrictBool = False
    min_sensitivity: Literal["public", "internal", "confidential"] = "public"
    allowed_models: Annotated[list[ModelName], Field(max_length=1000)] | None = None
    weight: Annotated[StrictInt, Field(ge=1, le=1000)] = 1
    scopes: Annotated[list[ApiScope], Field(max_length=len(ApiScope))] = []

    def changes(self, services: Services) -> ClientChanges:
        """What the body says, as changes."""
        tier, models, scopes = self.given("min_sensitivity"), self.given("allowed_models"), self.given("scopes")
        return ClientChanges(
            name=self.given("name"),
            enabled=self.given("enabled"),
            limits=self.limits(),
            allow_cloud_for_internal=self.given("allow_cloud_for_internal"),
            min_sensitivity=parse_sensitivity(tier) if isinstance(tier, str) else tier,
            allowed_models=tuple(models) if isinstance(models, list) else models,
            weight=self.given("weight"),
            scopes=tuple(sorted({scope.value for scope in scopes})) if isinstance(scopes, list) else scopes,
            notes=self.given("notes"),
            budgets=self.budgets(services.directory.new_budget_id),
        )


class NewClient(_ClientPolicy):
    """A client to be made; without a tenant it belongs to the default one."""

    name: Name
    tenant: Annotated[StrictStr, Field(min_length=1, max_length=100)] = DEFAULT_TENANT


class ChangedClient(_ClientPolicy):
    """What to change of a client; `enabled: false` refuses its keys from the next request on."""

    name: Name = ""
    enabled: StrictBool = True


class Rotation(BaseModel):
    """How long the earlier keys still work, in seconds; 0 ends them at once."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: Annotated[StrictInt, Field(ge=0, le=LONGEST_OVERLAP_SECONDS)] = DEFAULT_OVERLAP_SECONDS


@router.post("/clients", status_code=201)
async def create_client(body: NewClient, services: Services, _: Admin) -> dict[str, Any]:
    """A new client and its key, which is shown here and never again."""
    return _issued(await services.directory.create_client(body.tenant, body.changes(services)))


@router.get("/clients")
async def list_clients(
    services: Services,
    _: Admin,
    *,
    tenant: Annotated[str | None, Query(max_length=100)] = None,
    name: Annotated[str | None, Query(max_length=64)] = None,
    enabled: bool | None = None,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Clients, oldest first; `next` is the `after` of the following page."""
    query = ClientQuery(tenant_id=tenant, name=name, enabled=enabled, after=after, limit=limit)
    page = await services.directory.clients(query)
    return {"clients": [shown(client) for client in page], "next": page[-1].id if len(page) == limit else None}


@router.get("/clients/{client_id}")
async def show_client(client_id: ClientId, services: Services, _: Admin) -> dict[str, Any]:
    """One client, its policy, and the beginnings of its keys."""
    return shown(await services.directory.get_client(client_id))


@router.patch("/clients/{client_id}")
async def change_client(client_id: ClientId, body: ChangedClient, services: Services, _: Admin) -> dict[str, Any]:
    """Change what the body names; in force from the next request on."""
    return shown(await services.directory.change_client(client_id, body.changes(services)))


@router.post("/clients/{client_id}/rotate-key")
async def rotate_key(client_id: ClientId, services: Services, _: Admin, body: Rotation | None = None) -> dict[str, Any]:
    """A new key, shown once; the earlier ones end after `overlap_s`."""
    overlap = (body or Rotation()).overlap_s
    return _issued(await services.directory.rotate_key(client_id, overlap_seconds=overlap))


def _issued(issued: IssuedClient) -> dict[str, Any]:
    return {**shown(issued.client), "key_id": issued.key_id, "api_key": issued.key.reveal()}


def shown(client: ClientRecord) -> dict[str, Any]:
    """A client as it is shown: never a key."""
    return {
        "id": client.id,
        "name": client.name,
        "tenant": client.tenant_id,
        "tenant_name": client.tenant_name,
        "enabled": client.enabled,
        **shown_limits(client.limits),
        "budgets": shown_budgets(client.budgets),
        "allow_cloud_for_internal": client.allow_cloud_for_internal,
        "min_sensitivity": client.min_sensitivity.label,
        "allowed_models": client.allowed_models,
        "weight": client.weight,
        "scopes": client.scopes,
        "notes": client.notes,
        "keys": [
            {"id": key.id, "prefix": key.prefix, "created_ms": key.created_ms, "expires_ms": key.expires_ms}
            for key in client.keys
        ],
        "created_ms": client.created_ms,
        "updated_ms": client.updated_ms,
    }
