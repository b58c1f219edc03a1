"""The credit of nodes: implements ports.money.CreditStore on budgets and reservations.

Each method is a transaction of its own, in the operator's scope and bounded in time. What goes wrong with the database becomes
Overloaded: a budget that cannot be asked is never taken for one that has room.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from junto.core.errors import Overloaded
from junto.ports.money import Drawn, Wanted
from junto.storage.repositories import money
from junto.storage.sessions import OPERATOR
from junto.storage.tables.money import RESERVATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from junto.storage.repositories.money import Locked
    from junto.storage.sessions import Session, Sessions

_SHARE: Final = 16  # at most this part of what a budget has left is drawn ahead by one node at a time
_PATIENCE_SECONDS: Final = 5.0
_RETRY_AFTER_SECONDS: Final = 5.0

_ONE: Final = update(RESERVATIONS).where(
    RESERVATIONS.c.tenant_id == bindparam("of_tenant"), RESERVATIONS.c.id == bindparam("of_id")
)


class StoredCredit:
    """Draws money for a node, ahead of its requests."""

    def __init__(self, sessions: Sessions, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._sessions = sessions
        self._patience = patience

    async def draw(self, holder: str, wanted: Sequence[Wanted], *, lease_ms: int) -> Sequence[Drawn | None]:
        """Draw from all of these budgets or from none; None for a budget that was removed."""
        async with self._transaction() as session:
            found = {budget.id: budget for budget in await money.lock_by_id(session, [one.budget_id for one in wanted])}
            for one in wanted:
                budget = found.get(one.budget_id)
                if budget is not None and budget.room < one.least:
                    raise money.no_room(budget, one.least)
            by_budget = {one.budget_id: one for one in wanted}
            drawn: dict[str, Drawn] = {}
            for budget in found.values():
                drawn[budget.id] = await _drawn(session, budget, by_budget[budget.id], holder, lease_ms)
        return [drawn.get(one.budget_id) for one in wanted]

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        """Give back so much of each reservation."""
        async with self._transaction() as session:
            await money.give_back(session, amounts)

    async def renew(self, reservations: Sequence[str], *, lease_ms: int) -> AbstractSet[str]:
        """Keep these reservations for so long from now; returns those that are still there."""
        asked = select(RESERVATIONS.c.tenant_id, RESERVATIONS.c.id).where(RESERVATIONS.c.id.in_(reservations))
        if not reservations:
            return frozenset()
        async with self._transaction() as session:
            alive = (await session.execute(asked.order_by(RESERVATIONS.c.id))).all()
            if alive:
                until = session.now_ms + lease_ms
                one = _ONE.values(expires_ms=until)
                await session.execute(one, [{"of_tenant": row.tenant_id, "of_id": row.id} for row in alive])
        return frozenset(row.id for row in alive)

    async def release_earlier(self, node: str, *, but: str) -> int:
        """Give back what is left of the reservations of this node's earlier lives (`<node>:<life>`)."""
        count = 0
        while True:
            async with self._transaction() as session:
                earlier = RESERVATIONS.c.holder.startswith(f"{node}:", autoescape=True) & (RESERVATIONS.c.holder != but)
                found = await money.release(session, earlier)
            count += found
            if not found:
                return count

    async def sweep(self) -> int:
        """Give back what is left of expired reservations. Looks first, so that nothing is written when there are none."""
        async with self._transaction(reading=True) as session:
            expired = select(RESERVATIONS.c.id).where(RESERVATIONS.c.expires_ms < session.now_ms).limit(1)
            if (await session.execute(expired)).first() is None:
                return 0
        async with self._transaction() as session:
            return await money.sweep(session)

    @asynccontextmanager
    async def _transaction(self, *, reading: bool = False) -> AsyncIterator[Session]:
        begin = self._sessions.read if reading else self._sessions.write
        try:
            async with asyncio.timeout(self._patience), begin(OPERATOR) as session:
                yield session
        except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
            raise Overloaded(
                "Budgets cannot be checked right now: the database does not answer.", retry_after=_RETRY_AFTER_SECONDS
            ) from error


async def _drawn(session: Session, budget: Locked, wanted: Wanted, holder: str, lease_ms: int) -> Drawn:
    ahead = min(wanted.most - wanted.least, (budget.room - wanted.least) // _SHARE)
    nano = wanted.least + max(0, ahead)
    await money.draw(session, budget, nano)
    row = money.reservation_row(budget, id=wanted.reservation_id, holder=holder, nano=nano, life_ms=lease_ms)
    into = _insert(session)
    await session.execute(
        into.values(row).on_conflict_do_update(
            index_elements=[RESERVATIONS.c.tenant_id, RESERVATIONS.c.id],
            set_={
                "amount_nano": RESERVATIONS.c.amount_nano + into.excluded.amount_nano,
                "window_ms": into.excluded.window_ms,
                "expires_ms": into.excluded.expires_ms,
            },
        )
    )
    return Drawn(amount=nano, room=budget.room - nano)


def _insert(session: Session) -> sqlite.Insert | postgresql.Insert:
    if session.connection.dialect.name == "sqlite":
        return sqlite.insert(RESERVATIONS)
    return postgresql.insert(RESERVATIONS)
