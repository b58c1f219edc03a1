"""A thousand requests of ten cents at once, on a budget of five dollars: exactly fifty are let in, and five dollars are spent.

By one node, by four in one process, and by four processes on one Postgres.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.clock import SystemClock
from junto.core.errors import BudgetExceeded
from junto.core.money import NANO_PER_USD
from junto.gateway.purse import Purse
from junto.storage.engine import Database
from junto.storage.repositories.credit import StoredCredit
from tests.conformance.conftest import database, place
from tests.conformance.money.conftest import till
from tests.conformance.money.till import Till, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from junto.gateway.credit import Hold
    from junto.identity.principal import Budget

pytestmark = pytest.mark.anyio

__all__ = ["database", "place", "till"]  # fixtures

NODE = Path(__file__).with_name("budget_node.py")
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


class Node:
    """A process with a purse of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def node(url: str, name: str, budgets: Sequence[Budget]) -> Iterator[Node]:
    """A node that runs until the block ends."""
    told = [f"{one.id},{one.scope},{one.limit_nano}" for one in budgets]
    command = [sys.executable, str(NODE), url, name, *told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = Node(process)
        assert running.answer() == 0  # it is ready
        yield running
        assert process.stdin is not None
        process.stdin.close()


async def test_four_processes_on_one_postgres_let_exactly_fifty_in(
    postgres_url: str, report: Callable[..., None]
) -> None:
    begun = time.monotonic()
    async with Database(postgres_url) as shared:
        till = Till(shared)
        budgets = await three_budgets(till)
        with ExitStack() as stack:
            nodes = [stack.enter_context(node(postgres_url, f"node_{each}", budgets)) for each in range(4)]
            for one in nodes:
                one.tell("ask 250")
            total = sum(one.answer() for one in nodes)
            assert total <= 50
            for one in nodes:
                one.tell("give")
                one.answer()
            for one in nodes:
                one.tell("ask 250")
                total += one.answer()
                one.tell("give")
                one.answer()
            asked_in_all = 2 * 4 * 250
        spent = await till.spent_in_all()
        report(
            scenario="6. a budget of $5, four processes",
            attempted=f"1,000 requests of $0.10 at once, and again when what idled was given back: {asked_in_all:,}",
            seconds=time.monotonic() - begun,
            also=f"{total} admitted, ${spent / NANO_PER_USD:.2f} spent",
        )
        assert total == 50
        assert [await till.stands(one) for one in budgets] == [(FIVE_DOLLARS, 0)] * 3
        assert await till.spent_in_all() == FIVE_DOLLARS
