"""A store of tenants and clients in memory, with a clock that a test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from junto.core.errors import Conflict
from junto.ports.identity import (
    BudgetRecord,
    ClientRecord,
    IdentityRows,
    KeyRecord,
    TenantRecord,
    UsableKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.identity import BudgetChange, ClientChanges, ClientQuery, NewKey, TenantChanges


class Clock:
    """Time as a test sets it."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def wall_ms(self) -> int:
        return self.now_ms


class MemoryIdentity:
    """Implements ports.identity.IdentityStore; `reads` counts how often everything was read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tenants: dict[str, TenantRecord] = {}
        self._clients: dict[str, ClientRecord] = {}
        self._keys: dict[str, UsableKey] = {}
        self._shown: dict[str, KeyRecord] = {}
        self._budgets: dict[tuple[str, str, str], BudgetRecord] = {}
        self.reads = 0

    async def ensure_tenant(self, tenant: TenantRecord) -> None:
        self._tenants.setdefault(tenant.id, tenant)

    async def add_tenant(self, tenant: TenantRecord, budgets: Sequence[BudgetChange]) -> TenantRecord:
        if any(other.name == tenant.name for other in self._tenants.values()):
            raise Conflict("taken", param="name")
        self._tenants[tenant.id] = tenant
        self._set(tenant.id, "tenant", tenant.id, budgets)
        return tenant

    async def change_tenant(self, tenant_id: str, changes: TenantChanges) -> TenantRecord | None:
        if tenant_id not in self._tenants:
            return None
        self._tenants[tenant_id] = _changed(self._tenants[tenant_id], changes)
        self._set(tenant_id, "tenant", tenant_id, changes.budgets)
        return self._tenants[tenant_id]

    async def find_tenant(self, id_or_name: str) -> TenantRecord | None:
        by_name = {tenant.name: tenant for tenant in self._tenants.values()}
        return self._tenants.get(id_or_name) or by_name.get(id_or_name)

    async def tenants(self, *, after: str | None, limit: int) -> list[TenantRecord]:
        return [self._tenants[id] for id in sorted(self._tenants) if after is None or id > after][:limit]

    async def add_client(self, client: ClientRecord, key: NewKey, budgets: Sequence[BudgetChange]) -> ClientRecord:
        self._clients[client.id] = client
        self._add(client.id, key)
        self._set(client.tenant_id, "client", client.id, budgets)
        return self._full(client.id)

    async def change_client(self, client_id: str, changes: ClientChanges) -> ClientRecord | None:
        if client_id not in self._clients:
            return None
        self._clients[client_id] = _changed(self._clients[client_id], changes)
        self._set(self._clients[client_id].tenant_id, "client", client_id, changes.budgets)
        return self._full(client_id)

    async def find_client(self, client_id: str) -> ClientRecord | None:
        return self._full(client_id) if client_id in self._clients else None

    async def clients(self, query: ClientQuery) -> list[ClientRecord]:
        found = [self._full(id) for id in sorted(self._clients)]
        return [client for client in found if query.name in {None, client.name}][: query.limit]

    async def rotate_key(self, client_id: str, key: NewKey, *, overlap_ms: int) -> ClientRecord | None:
        if client_id not in self._clients:
            return None
        for id, old in list(self._keys.items()):
            if old.client_id == client_id:
                if overlap_ms:
                    self._keys[id] = msgspec.structs.replace(old, expires_ms=self._clock.now_ms + overlap_ms)
                else:
                    del self._keys[id]
        self._add(client_id, key)
        return self._full(client_id)

    async def everything(self) -> IdentityRows:
        self.reads += 1
        return IdentityRows(
            keys=list(self._keys.values()),
            clients=list(self._clients.values()),
            tenants=list(self._tenants.values()),
            budgets=list(self._budgets.values()),
        )

    def _add(self, client_id: str, key: NewKey) -> None:
        self._keys[key.id] = UsableKey(id=key.id, client_id=client_id, digest=key.digest, expires_ms=None)
        self._shown[key.id] = KeyRecord(id=key.id, client_id=client_id, prefix=key.prefix)

    def _set(self, tenant_id: str, scope: str, scope_id: str, budgets: Sequence[BudgetChange]) -> None:
        for budget in budgets:
            self._budgets.pop((scope, scope_id, budget.period), None)
            if budget.limit_nano is not None:
                self._budgets[scope, scope_id, budget.period] = BudgetRecord(
                    id=budget.id,
                    tenant_id=tenant_id,
                    scope=scope,
                    scope_id=scope_id,
                    period=budget.period,
                    limit_nano=budget.limit_nano,
                )

    def _full(self, client_id: str) -> ClientRecord:
        keys = tuple(self._shown[id] for id, key in self._keys.items() if key.client_id == client_id)
        return msgspec.structs.replace(self._clients[client_id], keys=keys)


def _changed(record: Any, changes: Any) -> Any:
    def given(struct: Any) -> dict[str, Any]:
        return {name: value for name in struct.__struct_fields__ if (value := getattr(struct, name)) is not UNSET}

    fields = {name: value for name, value in given(changes).items() if name not in {"limits", "budgets"}}
    limits = msgspec.structs.replace(record.limits, **given(changes.limits))
    return msgspec.structs.replace(record, limits=limits, **fields)
