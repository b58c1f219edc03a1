"""All keys that work, in memory: from the digest of a key to its principal. Swapped whole whenever anything of it changes.

The look-up is by the whole digest of a key of 256 random bits: what a caller sends tells nothing about how near it was.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from junto.core.limits import LimitedBy, Limits
from junto.identity.principal import ApiScope, Budget, Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.ports.identity import BudgetRecord, ClientRecord, IdentityStore, TenantRecord, UsableKey

_SLICE = 500  # keys made into principals at a stretch; the event loop runs in between
_LATEST = ":latest"
_SCOPES = frozenset(ApiScope)


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a key is. `refusal` says why it is refused all the same; "" when it is not."""

    principal: Principal
    expires_ms: int | None = None
    refusal: str = ""


class KnownTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that a service may act for, with what then counts."""

    id: str
    enabled: bool = True
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()


class Keyring:
    """What is known of keys and tenants; empty until it is loaded for the first time."""

    def __init__(self) -> None:
        self._keys: Mapping[bytes, KnownKey] = {}
        self._clients: Mapping[str, KnownKey] = {}
        self._tenants: Mapping[str, KnownTenant] = {}

    def find(self, digest: bytes) -> KnownKey | None:
        """The key with this digest."""
        return self._keys.get(digest)

    def client(self, id: str) -> KnownKey | None:
        """What a client with this id may do as of now, with whatever key, and why it may nothing any more."""
        return self._clients.get(id)

    def acting(self, client_id: str, tenant_id: str) -> KnownKey | None:
        """The same of a client that acts for that tenant, which has to be enabled too."""
        known, tenant = self._clients.get(client_id), self._tenants.get(tenant_id)
        if known is None or known.refusal or (tenant is not None and tenant.enabled):
            return known
        return msgspec.structs.replace(known, refusal="The tenant of this job is disabled, or is no more.")

    def tenant(self, id: str) -> KnownTenant | None:
        """The tenant with this id."""
        return self._tenants.get(id)

    async def load(self, store: IdentityStore) -> None:
        """Read everything again and swap it in at once; what the store raises leaves the old keyring in force."""
        rows = await store.everything()
        budgets = _Budgets(rows.budgets)
        tenants = {tenant.id: _known_tenant(tenant, budgets) for tenant in rows.tenants}
        clients = {client.id: _known_client(client, tenants[client.tenant_id], budgets) for client in rows.clients}
        keys: dict[bytes, KnownKey] = {}
        for start in range(0, len(rows.keys), _SLICE):
            await asyncio.sleep(0)
            for key in rows.keys[start : start + _SLICE]:
                keys[key.digest] = _known_key(key, clients[key.client_id], budgets)
        self._keys, self._tenants = keys, tenants
        self._clients = clients


class _Budgets:
    """Budgets by what they are of."""

    def __init__(self, records: Iterable[BudgetRecord]) -> None:
        self._by_owner: dict[tuple[str, str], list[Budget]] = defaultdict(list)
        for record in records:
            budget = Budget(id=record.id, scope=record.scope, period=record.period, limit_nano=record.limit_nano)
            self._by_owner[record.scope, record.scope_id].append(budget)

    def of(self, scope: str, scope_id: str) -> tuple[Budget, ...]:
        return tuple(self._by_owner.get((scope, scope_id), ()))


def _known_tenant(tenant: TenantRecord, budgets: _Budgets) -> KnownTenant:
    return KnownTenant(
        id=tenant.id, enabled=tenant.enabled, limits=tenant.limits, budgets=budgets.of("tenant", tenant.id)
    )


def _known_client(client: ClientRecord, tenant: KnownTenant, budgets: _Budgets) -> KnownKey:
    """What all keys of a client have in common."""
    refusal = "" if tenant.enabled else "The tenant of this key is disabled."
    return KnownKey(
        principal=Principal(
            tenant=tenant.id,
            client=client.name,
            client_id=client.id,
            scopes=frozenset(ApiScope(scope) for scope in client.scopes if scope in _SCOPES),
            allow_cloud_for_internal=client.allow_cloud_for_internal,
            min_sensitivity=client.min_sensitivity,
            allowed_models=None if client.allowed_models is None else spellings(client.allowed_models),
            weight=client.weight,
            limited_by=limited_by(client.id, client.limits, tenant),
            budgets=(*budgets.of("client", client.id), *tenant.budgets),
        ),
        refusal=refusal if client.enabled else "The client of this key is disabled.",
    )


def _known_key(key: UsableKey, client: KnownKey, budgets: _Budgets) -> KnownKey:
    own = (*budgets.of("key", key.id), *client.principal.budgets)
    principal = msgspec.structs.replace(client.principal, key_id=key.id, budgets=own)
    return KnownKey(principal=principal, expires_ms=key.expires_ms, refusal=client.refusal)


def spellings(names: Iterable[str]) -> frozenset[str]:
    """The names, and of those that have no tag, or the tag that goes without saying, both spellings."""
    plain = {name.removesuffix(_LATEST) for name in names}
    return frozenset(names) | plain | {name + _LATEST for name in plain if ":" not in name.rpartition("/")[2]}


def limited_by(client_id: str, limits: Limits, tenant: KnownTenant) -> LimitedBy | None:
    """Whose limits count for a client in a tenant; None when neither has any."""
    if not limits.any and not tenant.limits.any:
        return None
    return LimitedBy(client_id=client_id, client=limits, tenant_id=tenant.id, tenant=tenant.limits)
