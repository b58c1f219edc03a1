"""One node of the race for a budget: a process that asks when it is told to, and says how many requests were let in.

    budget_node.py URL NAME ID,SCOPE,LIMIT...

Reads `ask N` (N requests at once, of ten cents each, settled and posted when all are answered) and `give` (give back what is at
hand) line by line, and answers each with a number.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from junto.bootstrap.clock import SystemClock
from junto.core.errors import BudgetExceeded
from junto.core.exchange import ExchangeRecord
from junto.gateway.purse import Purse
from junto.identity.principal import Budget
from junto.storage.engine import Database
from junto.storage.repositories.credit import StoredCredit
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.sessions import OPERATOR, Sessions

if TYPE_CHECKING:
    from junto.gateway.credit import Hold

DIME = 100_000_000
PLAIN = ExchangeRecord(
    id="",
    started_ms=1,
    client_id="cli_a",
    key_id="key_a",
    wire="openai.chat",
    operation="chat",
    requested_model="fast",
    sensitivity="internal",
    cost_nano=DIME,
)


class Node:
    """A purse, and the ledger that its requests are written to."""

    def __init__(self, sessions: Sessions, name: str, budgets: tuple[Budget, ...]) -> None:
        self._sessions = sessions
        self._name = name
        self._budgets = budgets
        self._ledger = LedgerWriter()
        self._numbers = 0
        self.purse = Purse(StoredCredit(sessions, patience=60.0), SystemClock(), holder=f"{name}:1")

    async def ask(self, requests: int) -> int:
        """How many of these requests were let in."""
        answers = await asyncio.gather(*(self._one() for _ in range(requests)))
        holds = [hold for hold in answers if hold is not None]
        async with self._sessions.write(OPERATOR) as session:
            await self._ledger.post(session, [self._record(hold) for hold in holds])
        return len(holds)

    async def _one(self) -> Hold | None:
        try:
            return self.purse.reserve(self._budgets, DIME) or await self.purse.acquire(self._budgets, DIME)
        except BudgetExceeded:
            return None

    def _record(self, hold: Hold) -> ExchangeRecord:
        self._numbers += 1
        return msgspec.structs.replace(PLAIN, id=f"{self._name}_{self._numbers}", paid=hold.settle(DIME))


async def main(url: str, name: str, *told: str) -> None:
    """Answer until standard input ends."""
    parts = [one.split(",") for one in told]
    budgets = tuple(Budget(id=id, scope=scope, period="daily", limit_nano=int(limit)) for id, scope, limit in parts)
    async with Database(url) as database:
        node = Node(Sessions(database), name, budgets)
        print(0, flush=True)  # noqa: T201
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            if words[0] == "ask":
                answer = await node.ask(int(words[1]))
            else:
                answer = 0
                await node.purse.give_back(idle=-1)
            print(answer, flush=True)  # noqa: T201
        await node.purse.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
