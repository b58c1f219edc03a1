"""Whatever is drawn, used, given back and replayed, in whatever order: nothing below zero, nothing passed, nothing lost."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from junto.core.errors import BudgetExceeded

from .till import Till, record

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord

pytestmark = pytest.mark.anyio

_examples = count(1)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("draw"), st.integers(0, 400), st.integers(0, 2)),
        st.tuples(st.just("use"), st.integers(0, 200), st.integers(0, 2)),
        st.tuples(st.just("give"), st.integers(0, 200), st.integers(0, 2)),
        st.tuples(st.just("replay"), st.integers(0, 5), st.just(0)),
    ),
    max_size=12,
)


class Books:
    """What three nodes believe that they hold of one budget; `posted` is their journal."""

    def __init__(self, till: Till, example: int) -> None:
        self.till = till
        self.owner = f"cli_{example}"
        self.held = [0, 0, 0]
        self.posted: list[ExchangeRecord] = []
        self.spent = 0

    def reservation(self, node: int) -> str:
        return f"{self.owner}:{node}.1"

    async def begin(self, limit: int) -> None:
        self.budget = await self.till.budget(limit, of=self.owner)

    async def take(self, step: str, amount: int, node: int) -> None:
        if step == "draw":
            try:
                drawn = await self.till.draw(self.budget, amount, ahead=amount, id=self.reservation(node))
            except BudgetExceeded:
                return
            assert drawn is not None
            self.held[node] += drawn.amount
        elif step == "use":
            cost = min(amount, self.held[node])
            self.held[node] -= cost
            self.spent += cost
            entry = record(
                f"{self.owner}_{len(self.posted):04d}",
                client_id=self.owner,
                cost_nano=cost,
                paid=((self.reservation(node), cost),) if cost else (),
            )
            self.posted.append(entry)
            await self.till.post(entry)
        elif step == "give":
            amount = min(amount, self.held[node])
            self.held[node] -= amount
            await self.till.credit.give_back({self.reservation(node): amount})
        else:
            await self.till.post(*self.posted[-amount - 1 :])

    async def check(self) -> None:
        spent, reserved = await self.till.stands(self.budget)
        assert spent >= 0
        assert reserved >= 0
        assert spent + reserved <= self.budget.limit_nano
        assert spent == self.spent == sum(entry.cost_nano for entry in self.posted)
        assert reserved == sum(self.held)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(0, 1000), steps=steps)
async def test_spent_and_reserved_are_the_ledger_and_the_holds(
    till: Till, limit: int, steps: list[tuple[str, int, int]]
) -> None:
    books = Books(till, next(_examples))
    await books.begin(limit)
    for step, amount, node in steps:
        await books.take(step, amount, node)
        await books.check()
