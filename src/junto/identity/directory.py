"""Administering tenants, clients and their keys. Who may do that is the edge's business.

Each change is written to the audit log, by ids and by the names of what changed, and is in force on this node when the
method returns; the other nodes follow within a second.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from msgspec import UNSET

from junto.core.errors import InvalidField, NotFound
from junto.core.near import did_you_mean, near
from junto.core.secret import Secret
from junto.identity.keys import issue_key
from junto.identity.principal import DEFAULT_TENANT, ApiScope
from junto.ports.identity import ClientChanges, ClientQuery, ClientRecord, TenantChanges, TenantRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.ports.identity import IdentityStore

DEFAULT_SCOPES: Final = (ApiScope.INFERENCE.value, ApiScope.JOBS.value, ApiScope.READ_USAGE.value)
DEFAULT_OVERLAP_SECONDS: Final = 86_400
LONGEST_OVERLAP_SECONDS: Final = 30 * 86_400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it names folders of prompts, and stands in logs and metrics
_RESERVED = frozenset({"admin", "anonymous"})  # the callers that are no clients
_COMPARED = 500
_SHOWN = 64
_LISTED = 10


class IssuedClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client with its newest key, which nobody can ever see again."""

    client: ClientRecord
    key_id: str
    key: Secret


class Directory:
    """Creates, lists and changes tenants and clients, and rotates keys.

    `make_id` takes a kind (`ten`, `cli`, `key`) and gives an id that sorts by time; `entropy` gives that many random bytes;
    `announce` comes back when this node knows of a change, and tells the others.
    """

    def __init__(
        self,
        store: IdentityStore,
        *,
        make_id: Callable[[str], str],
        entropy: Callable[[], bytes],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._make_id = make_id
        self._entropy = entropy
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def create_client(self, tenant: str, changes: ClientChanges) -> IssuedClient:
        """A new client of a tenant (its id or name) with its first key; raises NotFound, Conflict, InvalidField."""
        _check_name(changes.name, reserved=_RESERVED)
        owner = await self.get_tenant(tenant)
        blank = ClientRecord(id=self._make_id("cli"), tenant_id=owner.id, name="", scopes=DEFAULT_SCOPES)
        key = issue_key(self._make_id("key"), self._entropy())
        client = await self._store.add_client(_with(blank, changes), key.stored, changes.budgets)
        await self._tell(
            "client.created", client_id=client.id, tenant_id=owner.id, name=client.name, key_id=key.stored.id
        )
        return IssuedClient(client=client, key_id=key.stored.id, key=key.text)

    async def change_client(self, client_id: str, changes: ClientChanges) -> ClientRecord:
        """Change a client; raises NotFound, Conflict, InvalidField."""
        if changes.name is not UNSET:
            _check_name(changes.name, reserved=_RESERVED)
        client = await self._store.change_client(client_id, changes)
        if client is None:
            raise await self._no_client(client_id)
        await self._tell("client.changed", client_id=client.id, enabled=client.enabled, fields=_fields(changes))
        return client

    async def rotate_key(self, client_id: str, *, overlap_seconds: int) -> IssuedClient:
        """A new key; the others of the client work for so long at most, and with 0 not once more. Raises NotFound."""
        key = issue_key(self._make_id("key"), self._entropy())
        client = await self._store.rotate_key(client_id, key.stored, overlap_ms=overlap_seconds * 1000)
        if client is None:
            raise await self._no_client(client_id)
        await self._tell("key.rotated", client_id=client.id, key_id=key.stored.id, overlap_s=overlap_seconds)
        return IssuedClient(client=client, key_id=key.stored.id, key=key.text)

    async def get_client(self, client_id: str) -> ClientRecord:
        """One client; raises NotFound, with the id of a client whose name is near."""
        client = await self._store.find_client(client_id)
        if client is None:
            raise await self._no_client(client_id)
        return client

    async def named_client(self, id_or_name: str) -> ClientRecord:
        """One client by its id, or by its name where only one has it; raises NotFound, and InvalidField with the ids of several."""
        found = await self._store.find_client(id_or_name)
        if found is not None:
            return found
        named = await self._store.clients(ClientQuery(name=id_or_name, limit=_COMPARED))
        if not named:
            raise await self._no_client(id_or_name)
        if len(named) > 1:
            ids = ", ".join(f"{client.id} (tenant {client.tenant_id})" for client in named[:_LISTED])
            raise InvalidField(f"Several clients are called {id_or_name[:_SHOWN]}: {ids}. Say which.", param="client")
        return named[0]

    async def clients(self, query: ClientQuery) -> list[ClientRecord]:
        """A page of clients; `tenant_id` may be a name. Raises NotFound for an unknown tenant."""
        if query.tenant_id is not None:
            query = msgspec.structs.replace(query, tenant_id=(await self.get_tenant(query.tenant_id)).id)
        return await self._store.clients(query)

    async def create_tenant(self, changes: TenantChanges) -> TenantRecord:
        """A new tenant; raises Conflict, InvalidField."""
        _check_name(changes.name)
        blank = TenantRecord(id=self._make_id("ten"), name="")
        tenant = await self._store.add_tenant(_with(blank, changes), changes.budgets)
        await self._tell("tenant.created", tenant_id=tenant.id, name=tenant.name)
        return tenant

    async def change_tenant(self, tenant_id: str, changes: TenantChanges) -> TenantRecord:
        """Change a tenant; raises NotFound, Conflict, InvalidField."""
        if changes.name is not UNSET:
            _check_name(changes.name)
        tenant = await self._store.change_tenant(tenant_id, changes)
        if tenant is None:
            raise await self._no_tenant(tenant_id)
        await self._tell("tenant.changed", tenant_id=tenant.id, enabled=tenant.enabled, fields=_fields(changes))
        return tenant

    async def get_tenant(self, id_or_name: str) -> TenantRecord:
        """One tenant; raises NotFound, with near names."""
        tenant = await self._store.find_tenant(id_or_name)
        if tenant is None:
            raise await self._no_tenant(id_or_name)
        return tenant

    async def tenants(self, *, after: str | None, limit: int) -> list[TenantRecord]:
        """A page of tenants."""
        return await self._store.tenants(after=after, limit=limit)

    def new_budget_id(self) -> str:
        """An id for a budget that a change may make."""
        return self._make_id("bud")

    async def ensure_default_tenant(self) -> None:
        """The tenant that everything belongs to unless it is said otherwise."""
        await self._store.ensure_tenant(TenantRecord(id=DEFAULT_TENANT, name=DEFAULT_TENANT))

    async def _tell(self, event: str, **what: Any) -> None:
        self._log.info(event, **what)
        await self._announce()

    async def _no_client(self, client_id: str) -> NotFound:
        known = await self._store.clients(ClientQuery(limit=_COMPARED))
        meant = set(near(client_id, {client.name for client in known}))
        ids = ", ".join(f"{client.id} ({client.name})" for client in known if client.name in meant)
        hint = f" Did you mean {ids}?" if ids else ""
        return NotFound(f"There is no client with the id {client_id[:_SHOWN]!r}.{hint}")

    async def _no_tenant(self, name: str) -> NotFound:
        known = await self._store.tenants(after=None, limit=_COMPARED)
        hint = did_you_mean(name, [tenant.name for tenant in known])
        return NotFound(f"There is no tenant {name[:_SHOWN]!r}.{hint}")


def _check_name(name: object, *, reserved: frozenset[str] = frozenset()) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidField("A name is 1 to 64 letters, digits, dots, dashes or underscores.", param="name")
    if name in reserved:
        raise InvalidField(f"The name {name} means a caller that is no client.", param="name")


def _set(changes: msgspec.Struct) -> dict[str, Any]:
    """The fields of changes that are not UNSET, without those that are changes themselves."""
    values = {name: getattr(changes, name) for name in changes.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET and name not in {"limits", "budgets"}}


def _with[Record: (ClientRecord, TenantRecord)](record: Record, changes: ClientChanges | TenantChanges) -> Record:
    limits = msgspec.structs.replace(record.limits, **_set(changes.limits))
    return msgspec.structs.replace(record, limits=limits, **_set(changes))


def _fields(changes: ClientChanges | TenantChanges) -> list[str]:
    """The names of what is changed."""
    budgets = ["budget"] if changes.budgets else []
    return sorted([*_set(changes), *_set(changes.limits), *budgets])
