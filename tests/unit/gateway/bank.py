"""A store of credit in memory, as strict as the real one, and budgets to ask it for. Made to be counted and to be broken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from junto.core.errors import Overloaded
from junto.identity.principal import Budget
from junto.ports.money import Drawn, NoRoom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from junto.ports.money import Wanted


class HandClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)


@dataclass
class Vault:
    """One budget in the bank."""

    limit: int
    spent: int = 0
    reserved: int = 0

    @property
    def room(self) -> int:
        return self.limit - self.spent - self.reserved


@dataclass
class Row:
    budget_id: str
    holder: str
    amount: int


@dataclass
class Bank:
    """`away`: nothing is done; `loses_answers`: everything is done, and nobody is told."""

    vaults: dict[str, Vault] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    draws: int = 0
    draws_left: int = 1_000_000
    sweeps: int = 0
    away: bool = False
    loses_answers: bool = False
    gate: asyncio.Event | None = None  # drawing waits for it

    async def draw(self, holder: str, wanted: Sequence[Wanted], *, lease_ms: int) -> Sequence[Drawn | None]:
        self.draws += 1
        self.draws_left -= 1
        assert self.draws_left >= 0, "it draws without end"
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        self._refuse_if(self.away)
        for one in wanted:
            vault = self.vaults.get(one.budget_id)
            if vault is not None and vault.room < one.least:
                raise NoRoom("no room", budget_id=one.budget_id, room=vault.room, retry_after=60.0)
        drawn = [self._drawn(holder, one) for one in wanted]
        self._refuse_if(self.loses_answers)
        return drawn

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        await asyncio.sleep(0)
        self._refuse_if(self.away)
        for id, nano in amounts.items():
            assert 0 <= nano < 1 << 63, "a database takes no such amount"
            self._take(id, nano)
        self._refuse_if(self.loses_answers)

    async def renew(self, reservations: Sequence[str], *, lease_ms: int) -> AbstractSet[str]:
        await asyncio.sleep(0)
        self._refuse_if(self.away)
        return {id for id in reservations if id in self.rows}

    async def release_earlier(self, node: str, *, but: str) -> int:
        self._refuse_if(self.away)
        return self.drop(id for id, row in self.rows.items() if row.holder.startswith(f"{node}:") and row.holder != but)

    async def sweep(self) -> int:
        self.sweeps += 1
        return 0

    def drop(self, ids: Iterable[str]) -> int:
        """Take reservations away, as a sweep does."""
        gone = list(ids)
        for id in gone:
            self._take(id, self.rows[id].amount)
            del self.rows[id]
        return len(gone)

    def post(self, cost: int, paid: Iterable[tuple[str, int]], *budgets: Budget) -> None:
        """Write a ledger entry: what was used becomes spent, and is reserved no longer."""
        for budget in budgets:
            if budget.id in self.vaults:
                self.vaults[budget.id].spent += cost
        for id, nano in paid:
            self._take(id, nano)

    def _drawn(self, holder: str, one: Wanted) -> Drawn | None:
        vault = self.vaults.get(one.budget_id)
        if vault is None:
            return None
        nano = one.least + max(0, min(one.most - one.least, (vault.room - one.least) // 16))
        vault.reserved += nano
        row = self.rows.setdefault(one.reservation_id, Row(one.budget_id, holder, 0))
        row.amount += nano
        return Drawn(amount=nano, room=vault.room)

    def _take(self, id: str, nano: int) -> None:
        row = self.rows.get(id)
        if row is not None:
            taken = min(nano, row.amount)
            row.amount -= taken
            self.vaults[row.budget_id].reserved -= taken

    def _refuse_if(self, broken: bool) -> None:  # noqa: FBT001
        if broken:
            raise Overloaded("away", retry_after=5.0)


def budget(id: str, limit: int, scope: str = "client") -> Budget:
    """A budget of so many nano-dollars a day."""
    return Budget(id=id, scope=scope, period="daily", limit_nano=limit)


def bank_of(*budgets: Budget) -> Bank:
    """A bank that has these budgets, whole."""
    return Bank(vaults={one.id: Vault(one.limit_nano) for one in budgets})
