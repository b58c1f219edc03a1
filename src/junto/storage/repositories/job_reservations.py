"""A job's reservation made larger while its answer grows. The rules of repositories/money.py hold here as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from junto.storage.repositories.money import draw, lock_by_id, no_room
from junto.storage.tables.money import RESERVATIONS

if TYPE_CHECKING:
    from junto.storage.sessions import Session


async def hold_for_job(session: Session, *, holder: str, nano: int) -> None:
    """Have so much in all held back for a job from each budget that it is paid from, or (NoRoom) no more than before."""
    mine = RESERVATIONS.c.holder == holder
    asked = select(RESERVATIONS.c.id, RESERVATIONS.c.budget_id, RESERVATIONS.c.amount_nano).where(mine)
    budgets = await lock_by_id(session, {row.budget_id for row in await session.execute(asked)})
    held = {row.budget_id: row for row in await session.execute(asked)}  # as it is under the lock
    short = [(budget, nano - held[budget.id].amount_nano) for budget in budgets if budget.id in held]
    for budget, more in short:
        if more > budget.room:
            raise no_room(budget, more)
    for budget, more in short:
        if more > 0:
            await draw(session, budget, more)
            mine = (RESERVATIONS.c.tenant_id == budget.tenant_id) & (RESERVATIONS.c.id == held[budget.id].id)
            await session.execute(
                update(RESERVATIONS).where(mine).values(amount_nano=RESERVATIONS.c.amount_nano + more)
            )
