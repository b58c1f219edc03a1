"""Budgets and usage for administration: implements ports.money.MoneyStore. Draws and charges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from junto.ports.identity import BudgetChange
from junto.storage.repositories import ledger, money
from junto.storage.repositories.budget_limits import set_budget
from junto.storage.repositories.identity import KEYS_VERSION
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.identity import API_KEYS, CLIENTS, TENANTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from junto.ports.money import BudgetState, UsageQuery
    from junto.storage.sessions import Session, Sessions


class StoredMoney:
    """Budgets as administrators see and set them, and usage from the ledger. Raises the counter of the nodes' copies."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def budgets(self, *, scope: str | None = None, scope_id: str | None = None) -> list[BudgetState]:
        async with self._sessions.read(OPERATOR) as session:
            return await money.budget_states(session, scope, scope_id)

    async def set_budget(
        self, *, id: str, scope: str, scope_id: str, period: str, limit_nano: int
    ) -> BudgetState | None:
        async with self._sessions.write(OPERATOR) as session:
            tenant_id = await _tenant_of(session, scope, scope_id)
            if tenant_id is None:
                return None
            change = BudgetChange(id=id, period=period, limit_nano=limit_nano)
            await _change(session, tenant_id, scope, scope_id, change)
            states = await money.budget_states(session, scope, scope_id)
            return next(state for state in states if state.period == period)

    async def remove_budget(self, *, scope: str, scope_id: str, period: str) -> bool:
        async with self._sessions.write(OPERATOR) as session:
            states = await money.budget_states(session, scope, scope_id)
            gone = next((state for state in states if state.period == period), None)
            if gone is None:
                return False
            change = BudgetChange(id=gone.id, period=period, limit_nano=None)
            await _change(session, gone.tenant_id, scope, scope_id, change)
            return True

    async def usage(self, query: UsageQuery) -> list[dict[str, Any]]:
        scope = OPERATOR if query.tenant_id is None else Tenant(query.tenant_id)
        async with self._sessions.read(scope) as session:
            return await ledger.usage(session, query)

    async def tenant_of_client(self, client_id: str) -> str | None:
        async with self._sessions.read(OPERATOR) as session:
            return await _tenant_of(session, "client", client_id)


async def _change(session: Session, tenant_id: str, scope: str, scope_id: str, change: BudgetChange) -> None:
    """Budgets are a part of what nodes know of a key, so it is the keys' counter that goes up."""
    await set_budget(session, tenant_id=tenant_id, scope=scope, scope_id=scope_id, change=change)
    await bump(session, KEYS_VERSION)


async def _tenant_of(session: Session, scope: str, scope_id: str) -> str | None:
    """The tenant whose budget that is; None when there is no such key, client or tenant."""
    found: dict[str, tuple[ColumnElement[str], ColumnElement[str]]] = {
        "key": (API_KEYS.c.tenant_id, API_KEYS.c.id),
        "client": (CLIENTS.c.tenant_id, CLIENTS.c.id),
        "tenant": (TENANTS.c.id, TENANTS.c.id),
    }
    tenant_id, id = found[scope]
    return (await session.execute(select(tenant_id).where(id == scope_id))).scalar_one_or_none()
