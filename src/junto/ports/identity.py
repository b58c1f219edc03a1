"""Tenants, clients and keys as they are stored, and where they are stored.

Plain values: what a key may do is decided in identity. Times are milliseconds since the epoch, by the database's clock. Of a
key there is its prefix and its SHA-256 digest, never the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from junto.core.limits import Limits
from junto.core.sensitivity import Sensitivity

if TYPE_CHECKING:
    from collections.abc import Sequence


class BudgetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One budget: of a key, a client or a tenant (`scope`), for each `period` (daily, monthly, total)."""

    id: str
    tenant_id: str
    scope: str
    scope_id: str
    period: str
    limit_nano: int


class BudgetChange(msgspec.Struct, frozen=True, kw_only=True):
    """Sets the limit of the budget of a period, making it if need be; None removes it. `id` is for a new one."""

    id: str
    period: str
    limit_nano: int | None


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as far as it may be shown. `expires_ms` was set by a rotation."""

    id: str
    client_id: str
    prefix: str
    created_ms: int = 0
    expires_ms: int | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a key that was just made."""

    id: str
    prefix: str
    digest: bytes


class TenantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant: the boundary of isolation and of billing."""

    id: str
    name: str
    enabled: bool = True
    limits: Limits = Limits()
    notes: str = ""
    budgets: tuple[BudgetRecord, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0


class ClientRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An application of a tenant, with its policy. `allowed_models` None allows all; `keys` are those that still work."""

    id: str
    tenant_id: str
    tenant_name: str = ""
    name: str
    enabled: bool = True
    limits: Limits = Limits()
    allow_cloud_for_internal: bool = False
    min_sensitivity: Sensitivity = Sensitivity.PUBLIC
    allowed_models: tuple[str, ...] | None = None
    weight: int = 1
    scopes: tuple[str, ...] = ()
    notes: str = ""
    keys: tuple[KeyRecord, ...] = ()
    budgets: tuple[BudgetRecord, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0


class LimitChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Limits to change: None lifts one, UNSET leaves it."""

    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    max_concurrency: int | UnsetType | None = UNSET


class TenantChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a tenant; UNSET leaves a field as it is."""

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    limits: LimitChanges = LimitChanges()
    notes: str | UnsetType = UNSET
    budgets: tuple[BudgetChange, ...] = ()


class ClientChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a client; UNSET leaves a field as it is."""

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    limits: LimitChanges = LimitChanges()
    allow_cloud_for_internal: bool | UnsetType = UNSET
    min_sensitivity: Sensitivity | UnsetType = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    weight: int | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET
    notes: str | UnsetType = UNSET
    budgets: tuple[BudgetChange, ...] = ()


class ClientQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which clients to list, oldest first; `after` is the id before the page; `limit` is at most 500."""

    tenant_id: str | None = None
    name: str | None = None
    enabled: bool | None = None
    after: str | None = None
    limit: int = 100


class UsableKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is neither revoked nor expired, as a request is checked against it."""

    id: str
    client_id: str
    digest: bytes
    expires_ms: int | None


class IdentityRows(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that requests are checked against, of all tenants. The records come without keys and budgets in them."""

    keys: Sequence[UsableKey]
    clients: Sequence[ClientRecord]
    tenants: Sequence[TenantRecord]
    budgets: Sequence[BudgetRecord]


class IdentityStore(Protocol):
    """Each method is one transaction. A change raises the counter that makes every node load its copy again."""

    async def ensure_tenant(self, tenant: TenantRecord) -> None:
        """Add the tenant unless there is one of that id."""

    async def add_tenant(self, tenant: TenantRecord, budgets: Sequence[BudgetChange]) -> TenantRecord:
        """Add a tenant; raises Conflict when its name is taken."""

    async def change_tenant(self, tenant_id: str, changes: TenantChanges) -> TenantRecord | None:
        """Change a tenant; None when there is none, raises Conflict when its new name is taken."""

    async def find_tenant(self, id_or_name: str) -> TenantRecord | None:
        """The tenant of that id, else the one of that name."""

    async def tenants(self, *, after: str | None, limit: int) -> list[TenantRecord]:
        """A page of tenants, in the order of their ids."""

    async def add_client(self, client: ClientRecord, key: NewKey, budgets: Sequence[BudgetChange]) -> ClientRecord:
        """Add a client with its first key; raises Conflict when its name is taken in its tenant."""

    async def change_client(self, client_id: str, changes: ClientChanges) -> ClientRecord | None:
        """Change a client; None when there is none, raises Conflict when its new name is taken."""

    async def find_client(self, client_id: str) -> ClientRecord | None:
        """The client of that id."""

    async def clients(self, query: ClientQuery) -> list[ClientRecord]:
        """A page of clients, in the order of their ids, which is the order in which they were made."""

    async def rotate_key(self, client_id: str, key: NewKey, *, overlap_ms: int) -> ClientRecord | None:
        """Add a key, and let the client's others work for so long at most; 0 revokes them now. None: no such client."""

    async def everything(self) -> IdentityRows:
        """What requests are checked against."""
