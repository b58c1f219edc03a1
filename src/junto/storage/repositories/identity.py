"""Tenants, clients and keys in the database. Every change raises the counter of the nodes' copies in its own transaction."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import case, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from junto.core.errors import Conflict
from junto.ports.identity import IdentityRows
from junto.storage.repositories.budget_limits import all_budgets, budgets_of, set_budget
from junto.storage.repositories.identity_rows import (
    client_changes,
    client_from,
    client_row,
    key_from,
    tenant_changes,
    tenant_from,
    tenant_row,
    usable_key_from,
)
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR
from junto.storage.tables.identity import API_KEYS, CLIENTS, TENANTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import ColumnElement, Select

    from junto.ports.identity import (
        BudgetChange,
        ClientChanges,
        ClientQuery,
        ClientRecord,
        KeyRecord,
        NewKey,
        TenantChanges,
        TenantRecord,
    )
    from junto.storage.sessions import Session, Sessions

KEYS_VERSION: Final = "keys"


class StoredIdentity:
    """Implements ports.identity.IdentityStore, as the operator: whose keys and clients these are is not known beforehand."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def ensure_tenant(self, tenant: TenantRecord) -> None:
        try:
            async with self._changing(tenant.name) as session:
                if await _find_tenant(session, TENANTS.c.id == tenant.id) is None:
                    await _insert_tenant(session, tenant)
        except Conflict:
            return  # another process was faster

    async def add_tenant(self, tenant: TenantRecord, budgets: Sequence[BudgetChange]) -> TenantRecord:
        async with self._changing(tenant.name) as session:
            await _insert_tenant(session, tenant)
            await _set_budgets(session, tenant.id, "tenant", tenant.id, budgets)
            return await _get_tenant(session, tenant.id)

    async def change_tenant(self, tenant_id: str, changes: TenantChanges) -> TenantRecord | None:
        columns = {**tenant_changes(changes)}
        async with self._changing(columns.get("name", "")) as session:
            if await _find_tenant(session, TENANTS.c.id == tenant_id) is None:
                return None
            await session.execute(
                update(TENANTS).where(TENANTS.c.id == tenant_id).values(**columns, updated_ms=session.now_ms)
            )
            await _set_budgets(session, tenant_id, "tenant", tenant_id, changes.budgets)
            return await _get_tenant(session, tenant_id)

    async def find_tenant(self, id_or_name: str) -> TenantRecord | None:
        async with self._sessions.read(OPERATOR) as session:
            return await _find_tenant(
                session, or_(TENANTS.c.id == id_or_name, TENANTS.c.name == id_or_name), id_or_name
            )

    async def tenants(self, *, after: str | None, limit: int) -> list[TenantRecord]:
        asked = select(TENANTS).order_by(TENANTS.c.id).limit(limit)
        if after is not None:
            asked = asked.where(TENANTS.c.id > after)
        async with self._sessions.read(OPERATOR) as session:
            return await _tenants(session, asked)

    async def add_client(self, client: ClientRecord, key: NewKey, budgets: Sequence[BudgetChange]) -> ClientRecord:
        async with self._changing(client.name) as session:
            times = {"created_ms": session.now_ms, "updated_ms": session.now_ms}
            await session.execute(insert(CLIENTS).values(**client_row(client), **times))
            await _insert_key(session, client, key)
            await _set_budgets(session, client.tenant_id, "client", client.id, budgets)
            return await _get_client(session, client.id)

    async def change_client(self, client_id: str, changes: ClientChanges) -> ClientRecord | None:
        columns = client_changes(changes)
        async with self._changing(columns.get("name", "")) as session:
            client = await _find_client(session, client_id)
            if client is None:
                return None
            await session.execute(
                update(CLIENTS)
                .where(session.within(CLIENTS), CLIENTS.c.tenant_id == client.tenant_id, CLIENTS.c.id == client_id)
                .values(**columns, updated_ms=session.now_ms)
            )
            await _set_budgets(session, client.tenant_id, "client", client_id, changes.budgets)
            return await _get_client(session, client_id)

    async def find_client(self, client_id: str) -> ClientRecord | None:
        async with self._sessions.read(OPERATOR) as session:
            return await _find_client(session, client_id)

    async def clients(self, query: ClientQuery) -> list[ClientRecord]:
        async with self._sessions.read(OPERATOR) as session:
            asked = _client_rows(session).order_by(CLIENTS.c.id).limit(query.limit)
            if query.after is not None:
                asked = asked.where(CLIENTS.c.id > query.after)
            if query.tenant_id is not None:
                asked = asked.where(CLIENTS.c.tenant_id == query.tenant_id)
            if query.name is not None:
                asked = asked.where(CLIENTS.c.name == query.name)
            if query.enabled is not None:
                asked = asked.where(CLIENTS.c.enabled == int(query.enabled))
            return await _clients(session, asked)

    async def rotate_key(self, client_id: str, key: NewKey, *, overlap_ms: int) -> ClientRecord | None:
        async with self._changing("") as session:
            client = await _find_client(session, client_id)
            if client is None:
                return None
            await _let_go_of_keys(session, client, overlap_ms)
            await _insert_key(session, client, key)
            return await _get_client(session, client_id)

    async def everything(self) -> IdentityRows:
        async with self._sessions.read(OPERATOR) as session:
            # Invariant: keys first. What they refer to was there before them, and nothing of it is ever deleted.
            keys = await session.execute(select(API_KEYS).where(session.within(API_KEYS), _works(session)))
            clients = await session.execute(_client_rows(session))
            tenants = await session.execute(select(TENANTS))
            return IdentityRows(
                keys=[usable_key_from(row) for row in keys.mappings()],
                clients=[client_from(row) for row in clients.mappings()],
                tenants=[tenant_from(row) for row in tenants.mappings()],
                budgets=await all_budgets(session),
            )

    @asynccontextmanager
    async def _changing(self, name: str) -> AsyncIterator[Session]:
        """A transaction that makes every copy old; raises Conflict for a name that is taken."""
        try:
            async with self._sessions.write(OPERATOR) as session:
                yield session
                await bump(session, KEYS_VERSION)
        except IntegrityError as error:
            raise Conflict(f"The name {name} is taken already.", param="name") from error


async def _insert_tenant(session: Session, tenant: TenantRecord) -> None:
    times = {"created_ms": session.now_ms, "updated_ms": session.now_ms}
    await session.execute(insert(TENANTS).values(**tenant_row(tenant), **times))


async def _insert_key(session: Session, client: ClientRecord, key: NewKey) -> None:
    whose = {"tenant_id": client.tenant_id, "client_id": client.id}
    kept = {"id": key.id, "prefix": key.prefix, "digest": key.digest}
    await session.execute(insert(API_KEYS).values(**whose, **kept, created_ms=session.now_ms))


async def _set_budgets(
    session: Session, tenant_id: str, scope: str, scope_id: str, changes: Sequence[BudgetChange]
) -> None:
    for change in changes:
        await set_budget(session, tenant_id=tenant_id, scope=scope, scope_id=scope_id, change=change)


async def _let_go_of_keys(session: Session, client: ClientRecord, overlap_ms: int) -> None:
    """Let the client's keys end no later than in so many milliseconds; one that ends earlier keeps its end."""
    until = session.now_ms + overlap_ms
    works_longer = or_(API_KEYS.c.expires_ms.is_(None), API_KEYS.c.expires_ms > until)
    keys = update(API_KEYS).where(
        session.within(API_KEYS), API_KEYS.c.tenant_id == client.tenant_id, API_KEYS.c.client_id == client.id
    )
    if overlap_ms:
        await session.execute(keys.where(API_KEYS.c.revoked_ms.is_(None), works_longer).values(expires_ms=until))
    else:
        await session.execute(keys.where(_works(session)).values(revoked_ms=session.now_ms))


def _works(session: Session) -> ColumnElement[bool]:
    """The condition that a key is neither revoked nor expired."""
    return API_KEYS.c.revoked_ms.is_(None) & or_(
        API_KEYS.c.expires_ms.is_(None), API_KEYS.c.expires_ms > session.now_ms
    )


async def _get_tenant(session: Session, tenant_id: str) -> TenantRecord:
    (tenant,) = await _tenants(session, select(TENANTS).where(TENANTS.c.id == tenant_id))
    return tenant


async def _find_tenant(session: Session, which: ColumnElement[bool], first: str = "") -> TenantRecord | None:
    """The tenant that a condition holds for; of several the one whose id is `first`."""
    asked = select(TENANTS).where(which).order_by(case((TENANTS.c.id == first, 0), else_=1)).limit(1)
    return next(iter(await _tenants(session, asked)), None)


async def _tenants(session: Session, asked: Select[tuple[object, ...]]) -> list[TenantRecord]:
    tenants = [tenant_from(row) for row in (await session.execute(asked)).mappings()]
    budgets = await budgets_of(session, "tenant", [tenant.id for tenant in tenants])
    return [msgspec.structs.replace(tenant, budgets=budgets.get(tenant.id, ())) for tenant in tenants]


def _client_rows(session: Session) -> Select[tuple[object, ...]]:
    return (
        select(CLIENTS, TENANTS.c.name.label("tenant_name"))
        .join(TENANTS, TENANTS.c.id == CLIENTS.c.tenant_id)
        .where(session.within(CLIENTS))
    )


async def _find_client(session: Session, client_id: str) -> ClientRecord | None:
    return next(iter(await _clients(session, _client_rows(session).where(CLIENTS.c.id == client_id))), None)


async def _get_client(session: Session, client_id: str) -> ClientRecord:
    (client,) = await _clients(session, _client_rows(session).where(CLIENTS.c.id == client_id))
    return client


async def _clients(session: Session, asked: Select[tuple[object, ...]]) -> list[ClientRecord]:
    """The clients with their keys and budgets, in three queries however many they are."""
    clients = [client_from(row) for row in (await session.execute(asked)).mappings()]
    ids = [client.id for client in clients]
    keys: dict[str, list[KeyRecord]] = {id: [] for id in ids}
    wanted = select(API_KEYS).where(session.within(API_KEYS), API_KEYS.c.client_id.in_(ids), _works(session))
    for row in (await session.execute(wanted.order_by(API_KEYS.c.id))).mappings():
        keys[row["client_id"]].append(key_from(row))
    budgets = await budgets_of(session, "client", ids)
    return [
        msgspec.structs.replace(client, keys=tuple(keys[client.id]), budgets=budgets.get(client.id, ()))
        for client in clients
    ]
