"""Whatever happens to a purse, and in whatever order: no budget is passed, no amount is below zero, no money appears or is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from junto.core.errors import BudgetExceeded, Overloaded
from junto.gateway.purse import Purse

from .bank import Bank, HandClock, Vault, budget

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from junto.gateway.credit import Hold, Paid

AMOUNTS = st.integers(0, 60)
HUGE = st.integers((1 << 61) - 1, 1 << 70)  # beyond what a database counts in, and any budget holds
_MOST_DRAWS = 100  # that one request may lead to: more is a loop


class Spending(RuleBasedStateMachine):
    """One node, its database, and requests on three budgets that never cost more than was held for them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = HandClock()
        self.lives = 0
        self.holds: list[Hold] = []
        self.unposted: list[tuple[int, Paid]] = []
        self.posted = 0
        self.charged = 0

    @initialize(key=st.integers(0, 300), client=st.integers(0, 600), tenant=st.integers(0, 900))
    def begin(self, key: int, client: int, tenant: int) -> None:
        self.budgets = (budget("k", key, "key"), budget("c", client), budget("t", tenant, "tenant"))
        self.bank = Bank(vaults={one.id: Vault(one.limit_nano) for one in self.budgets})
        self._live()

    @rule(nano=AMOUNTS | HUGE)
    def ask(self, nano: int) -> None:
        hold = self.purse.reserve(self.budgets, nano)
        if hold is None:
            hold = self._run(self.purse.acquire(self.budgets, nano))
        if hold is not None:
            self.holds.append(hold)

    @precondition(lambda self: self.holds)
    @rule(nano=AMOUNTS | HUGE, which=st.integers(0, 1000))
    def extend(self, nano: int, which: int) -> None:
        hold = self.holds[which % len(self.holds)]
        before = hold.nano
        grown = self._run(hold.extend(nano))
        assert hold.nano == before + (nano if grown else 0)

    @precondition(lambda self: self.holds)
    @rule(part=st.fractions(0, 1), which=st.integers(0, 1000))
    def settle(self, part: float, which: int) -> None:
        hold = self.holds.pop(which % len(self.holds))
        cost = int(hold.nano * part)
        paid = hold.settle(cost)
        assert hold.settle(cost + 1) == paid
        self.charged += cost
        self.unposted.append((cost, paid))

    @precondition(lambda self: self.unposted)
    @rule()
    def post(self) -> None:
        cost, paid = self.unposted.pop(0)
        self.bank.post(cost, paid, *self.budgets)
        self.posted += cost

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 70.0]))
    def wait(self, seconds: float) -> None:
        """At most a quarter of a lease, and then it is renewed, as the background does."""
        self.clock.now += seconds
        self._run(self.purse.renew())

    @rule()
    def give_back(self) -> None:
        self._run(self.purse.give_back(idle=-1))

    @rule(away=st.booleans(), loses=st.booleans())
    def weather(self, away: bool, loses: bool) -> None:  # noqa: FBT001
        self.bank.away, self.bank.loses_answers = away, loses

    @rule(which=st.integers(0, 2))
    def remove(self, which: int) -> None:
        """A budget is removed, and what was reserved of it with it, while requests name it and hold some."""
        id = self.budgets[which].id
        if self.bank.vaults.pop(id, None) is not None:
            self.bank.rows = {name: row for name, row in self.bank.rows.items() if row.budget_id != id}

    @rule()
    def die(self) -> None:
        """Requests under way are gone and cost nothing; the journal is replayed; only then the leftovers are given back."""
        self.bank.away = self.bank.loses_answers = False
        self.holds.clear()
        while self.unposted:
            self.post()
        self._live()
        self._run(self.purse.tend())

    @invariant()
    def nothing_is_passed_and_nothing_is_below_zero(self) -> None:
        for vault in getattr(self, "bank", Bank()).vaults.values():
            assert vault.spent >= 0
            assert vault.reserved >= 0
            assert vault.spent + vault.reserved <= vault.limit
            assert vault.spent == self.posted

    @invariant()
    def what_is_at_hand_is_never_below_zero(self) -> None:
        for account in self.purse._accounts.values() if hasattr(self, "purse") else ():
            assert account.credit.free >= 0
            assert account.credit.held >= 0

    @invariant()
    def what_is_reserved_is_what_is_held_at_hand_or_not_yet_written(self) -> None:
        if not hasattr(self, "bank"):
            return
        unwritten = dict.fromkeys(self.bank.rows, 0)
        for _, paid in self.unposted:
            for id, nano in paid:
                unwritten[id] = unwritten.get(id, 0) + nano
        known = {account.credit.id: account.credit for account in self.purse._accounts.values() if not account.doubtful}
        for id, row in self.bank.rows.items():
            assert row.amount >= unwritten[id]
            if id in known:
                assert row.amount == known[id].free + known[id].held + unwritten[id]
        for name, vault in self.bank.vaults.items():
            assert vault.reserved == sum(row.amount for row in self.bank.rows.values() if row.budget_id == name)

    def teardown(self) -> None:
        if hasattr(self, "bank"):
            self.die()
            self._run(self.purse.stop())
            assert all(vault.reserved == 0 for vault in self.bank.vaults.values())
            assert all(vault.spent == self.charged for vault in self.bank.vaults.values())
        self.runner.close()

    def _live(self) -> None:
        self.lives += 1
        self.purse = Purse(self.bank, self.clock, holder=f"node:{self.lives}", lease=300.0)

    def _run[T](self, doing: Coroutine[object, object, T]) -> T | None:
        self.bank.draws_left = _MOST_DRAWS
        try:
            return self.runner.run(doing)
        except (BudgetExceeded, Overloaded):
            return None


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40)
