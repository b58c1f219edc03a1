"""Administering budgets: whose there are, and setting and removing them. Draws and charges nothing.

A change is written to the audit log, and in force on this node when the method returns; the other nodes follow within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from junto.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.ports.money import BudgetState, MoneyStore

_SHOWN = 64


class Budgeting:
    """Lists, sets and removes budgets of keys, clients and tenants; `make_id` gives a new budget's id."""

    def __init__(
        self, store: MoneyStore, *, make_id: Callable[[], str], announce: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._make_id = make_id
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def list(self, *, scope: str | None = None, owner: str | None = None) -> list[BudgetState]:
        """Budgets with what is spent and reserved of them now."""
        return await self._store.budgets(scope=scope, scope_id=owner)

    async def set(self, *, scope: str, owner: str, period: str, limit_nano: int) -> BudgetState:
        """Set the limit for a period; what is spent in it stays. Raises NotFound when there is no such owner."""
        state = await self._store.set_budget(
            id=self._make_id(), scope=scope, scope_id=owner, period=period, limit_nano=limit_nano
        )
        if state is None:
            raise NotFound(f"There is no {scope} with the id {owner[:_SHOWN]!r}.")
        self._log.info("budget.set", budget_id=state.id, scope=scope, owner=owner, period=period, limit_nano=limit_nano)
        await self._announce()
        return state

    async def remove(self, *, scope: str, owner: str, period: str) -> None:
        """Remove a budget: its owner may spend without it from the next request on. Raises NotFound."""
        if not await self._store.remove_budget(scope=scope, scope_id=owner, period=period):
            raise NotFound(f"There is no {period} budget of the {scope} {owner[:_SHOWN]!r}.")
        self._log.info("budget.removed", scope=scope, owner=owner, period=period)
        await self._announce()
