"""What the tests of money do to a database: set budgets, write entries, look at what there is."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update

from junto.core.exchange import ExchangeRecord
from junto.identity.principal import Budget
from junto.ports.identity import BudgetChange
from junto.ports.money import Drawn, Wanted
from junto.storage.repositories import money
from junto.storage.repositories.budget_limits import set_budget
from junto.storage.repositories.credit import StoredCredit
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.money import BUDGETS, LEDGER, RESERVATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from junto.ports.money import BudgetState
    from junto.storage.engine import Database

DAY = 24 * 60 * 60 * 1000
NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z


def record(id: str, **fields: Any) -> ExchangeRecord:
    """An exchange of the client `cli_a` with the key `key_a`."""
    plain = ExchangeRecord(
        id=id,
        started_ms=NOW,
        client_id="cli_a",
        key_id="key_a",
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model="llama3.2:3b",
        backend="desk",
        sensitivity="internal",
        input_tokens=100,
        output_tokens=20,
    )
    return msgspec.structs.replace(plain, **fields)


class Till:
    """Budgets of `key_a`, `cli_a` and `default`, unless it is said whose."""

    def __init__(self, database: Database) -> None:
        self.sessions = Sessions(database)
        self.credit = StoredCredit(self.sessions)
        self.ledger = LedgerWriter()
        self._numbers = count(1)

    async def budget(
        self,
        limit: int,
        *,
        scope: str = "client",
        of: str | None = None,
        period: str = "daily",
        tenant: str = "default",
    ) -> Budget:
        owner = of or {"key": "key_a", "client": "cli_a", "tenant": tenant}[scope]
        change = BudgetChange(id=f"bud_{next(self._numbers)}_{owner}", period=period, limit_nano=limit)
        async with self.sessions.write(OPERATOR) as session:
            await set_budget(session, tenant_id=tenant, scope=scope, scope_id=owner, change=change)
        return Budget(id=change.id, scope=scope, period=period, limit_nano=limit)

    async def draw(
        self, budget: Budget, least: int, *, ahead: int = 0, holder: str = "n:1", id: str = "", lease_ms: int = 60_000
    ) -> Drawn | None:
        wanted = Wanted(
            budget_id=budget.id, reservation_id=id or f"{holder}.{budget.id}", least=least, most=least + ahead
        )
        (drawn,) = await self.credit.draw(holder, [wanted], lease_ms=lease_ms)
        return drawn

    async def post(self, *records: ExchangeRecord) -> None:
        async with self.sessions.write(OPERATOR) as session:
            await self.ledger.post(session, records)

    async def state(self, budget: Budget) -> BudgetState:
        async with self.sessions.read(OPERATOR) as session:
            return next(one for one in await money.budget_states(session, None, None) if one.id == budget.id)

    async def stands(self, budget: Budget) -> tuple[int, int]:
        """What is spent and what is reserved."""
        state = await self.state(budget)
        return state.spent_nano, state.reserved_nano

    async def reservations(self) -> dict[str, int]:
        async with self.sessions.read(OPERATOR) as session:
            rows = await session.execute(select(RESERVATIONS.c.id, RESERVATIONS.c.amount_nano))
            return {row.id: row.amount_nano for row in rows}

    async def entries(self) -> list[dict[str, Any]]:
        async with self.sessions.read(OPERATOR) as session:
            return [dict(row) for row in (await session.execute(select(LEDGER).order_by(LEDGER.c.id))).mappings()]

    async def spent_in_all(self) -> int:
        """The sum of the ledger."""
        async with self.sessions.read(OPERATOR) as session:
            return int((await session.execute(select(func.coalesce(func.sum(LEDGER.c.cost_nano), 0)))).scalar_one())

    async def alter(self, table: Table, **values: Any) -> None:
        """Make time pass: set these columns of all rows."""
        async with self.sessions.write(OPERATOR) as session:
            await session.execute(update(table).values(**values))

    async def put_back(self, budget: Budget, *, window_ms: int, spent: int) -> None:
        """Let a budget be where it was in an earlier window."""
        async with self.sessions.write(OPERATOR) as session:
            await session.execute(
                update(BUDGETS).where(BUDGETS.c.id == budget.id).values(window_ms=window_ms, spent_nano=spent)
            )

    async def now(self) -> int:
        async with self.sessions.read(OPERATOR) as session:
            return int((await session.execute(select(session.now_ms))).scalar_one())


def ids(entries: Sequence[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]
