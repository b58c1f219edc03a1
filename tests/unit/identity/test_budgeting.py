"""Administering budgets: what is told to whom when one is set or removed."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import structlog

from junto.core.errors import NotFound
from junto.identity.budgeting import Budgeting
from junto.ports.money import BudgetState, MoneyStore, UsageQuery

pytestmark = pytest.mark.anyio


class Shelf:
    """A store of budgets that knows one owner, `cli_1`."""

    def __init__(self) -> None:
        self.states: list[BudgetState] = []

    async def budgets(self, *, scope: str | None = None, scope_id: str | None = None) -> list[BudgetState]:
        return [one for one in self.states if scope in {None, one.scope} and scope_id in {None, one.scope_id}]

    async def set_budget(
        self, *, id: str, scope: str, scope_id: str, period: str, limit_nano: int
    ) -> BudgetState | None:
        if scope_id != "cli_1":
            return None
        state = BudgetState(
            id=id,
            tenant_id="default",
            scope=scope,
            scope_id=scope_id,
            period=period,
            limit_nano=limit_nano,
            spent_nano=0,
            reserved_nano=0,
            window_ms=0,
            resets_ms=None,
        )
        self.states.append(state)
        return state

    async def remove_budget(self, *, scope: str, scope_id: str, period: str) -> bool:
        found = [one for one in self.states if (one.scope, one.scope_id, one.period) == (scope, scope_id, period)]
        self.states = [one for one in self.states if one not in found]
        return bool(found)

    async def usage(self, query: UsageQuery) -> list[dict[str, Any]]:
        return []

    async def tenant_of_client(self, client_id: str) -> str | None:
        return "default" if client_id == "cli_1" else None


class Office:
    """A `Budgeting` over a shelf, and how often it told the nodes."""

    def __init__(self) -> None:
        store: MoneyStore = Shelf()
        numbers = count(1)
        self.told = 0
        self.budgeting = Budgeting(store, make_id=lambda: f"bud_{next(numbers)}", announce=self._announce)

    async def _announce(self) -> None:
        self.told += 1


async def test_a_budget_that_is_set_is_told_to_the_nodes_and_listed() -> None:
    office = Office()
    state = await office.budgeting.set(scope="client", owner="cli_1", period="daily", limit_nano=5)
    assert state.id == "bud_1"
    assert await office.budgeting.list(scope="client", owner="cli_1") == [state]
    assert office.told == 1


async def test_a_budget_of_nobody_is_not_found_and_nobody_is_told() -> None:
    office = Office()
    with pytest.raises(NotFound, match="no client with the id 'cli_2'"):
        await office.budgeting.set(scope="client", owner="cli_2", period="daily", limit_nano=5)
    assert office.told == 0


async def test_a_budget_is_removed_once() -> None:
    office = Office()
    await office.budgeting.set(scope="client", owner="cli_1", period="daily", limit_nano=5)
    await office.budgeting.remove(scope="client", owner="cli_1", period="daily")
    with pytest.raises(NotFound, match="no daily budget of the client 'cli_1'"):
        await office.budgeting.remove(scope="client", owner="cli_1", period="daily")
    assert await office.budgeting.list() == []
    assert office.told == 2


async def test_changes_are_lines_of_the_audit_log() -> None:
    office = Office()
    with structlog.testing.capture_logs() as lines:
        await office.budgeting.set(scope="client", owner="cli_1", period="daily", limit_nano=5)
        await office.budgeting.remove(scope="client", owner="cli_1", period="daily")
    assert [(line["event"], line["audit"]) for line in lines] == [("budget.set", True), ("budget.removed", True)]
