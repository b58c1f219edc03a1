"""A thousand requests of ten cents at once, on a budget of five dollars: exactly fifty are let in, and five dollars are spent."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.clock import SystemClock
from junto.core.errors import BudgetExceeded
from junto.core.money import NANO_PER_USD
from junto.gateway.purse import Purse
from junto.storage.repositories.credit import StoredCredit
from tests.conformance.money.conftest import database, till
from tests.conformance.money.till import Till, record

if TYPE_CHECKING:
    from junto.gateway.credit import Hold
    from junto.identity.principal import Budget

pytestmark = pytest.mark.anyio

__all__ = ["database", "till"]  # fixtures

DIME = NANO_PER_USD // 10
FIVE_DOLLARS = 5 * NANO_PER_USD


def purses(till: Till, number: int) -> list[Purse]:
    return [
        Purse(StoredCredit(till.sessions, patience=60.0), SystemClock(), holder=f"node_{each}:1")
        for each in range(number)
    ]


async def asked(purse: Purse, budgets: tuple[Budget, ...]) -> Hold | None:
    """A request as the gateway makes it."""
    try:
        return purse.reserve(budgets, DIME) or await purse.acquire(budgets, DIME)
    except BudgetExceeded:
        return None


async def admitted(purses: list[Purse], budgets: tuple[Budget, ...], requests: int) -> list[Hold]:
    asking = (asked(purses[number % len(purses)], budgets) for number in range(requests))
    return [hold for hold in await asyncio.gather(*asking) if hold is not None]


async def settle(till: Till, holds: list[Hold], numbers: count[int]) -> None:
    """Every request costs what was held for it."""
    await till.post(*(record(f"req_{next(numbers)}", cost_nano=DIME, paid=hold.settle(DIME)) for hold in holds))


async def three_budgets(till: Till) -> tuple[Budget, ...]:
    """The client's is the one that is short."""
    return (
        await till.budget(100 * NANO_PER_USD, scope="key"),
        await till.budget(FIVE_DOLLARS, scope="client"),
        await till.budget(1000 * NANO_PER_USD, scope="tenant"),
    )


async def test_one_node_lets_exactly_fifty_in(till: Till) -> None:
    budgets = await three_budgets(till)
    (purse,) = purses(till, 1)
    holds = await admitted([purse], budgets, 1000)
    assert len(holds) == 50
    assert await till.stands(budgets[1]) == (0, FIVE_DOLLARS)
    await settle(till, holds, count())
    assert await till.stands(budgets[1]) == (FIVE_DOLLARS, 0)
    await purse.stop()
    assert [await till.stands(one) for one in budgets] == [(FIVE_DOLLARS, 0)] * 3
    assert await till.spent_in_all() == FIVE_DOLLARS


async def test_several_nodes_let_no_more_in_and_with_what_idles_given_back_exactly_fifty(till: Till) -> None:
    budgets = await three_budgets(till)
    nodes = purses(till, 4)
    numbers = count()
    holds = await admitted(nodes, budgets, 1000)
    assert len(holds) <= 50
    await settle(till, holds, numbers)
    total = len(holds)
    for _ in range(50):
        for node in nodes:
            await node.give_back(idle=-1)
        more = await admitted(nodes[:1], budgets, 1000)
        await settle(till, more, numbers)
        total += len(more)
        if not more:
            break
    assert total == 50
    for node in nodes:
        await node.stop()
    assert [await till.stands(one) for one in budgets] == [(FIVE_DOLLARS, 0)] * 3
    assert await till.spent_in_all() == FIVE_DOLLARS
