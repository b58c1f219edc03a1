"""What jobs hold back from budgets: at submit, for many jobs at once; more while an answer grows; given back at their end.

The rules of repositories/money.py hold here as well.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from junto.core.errors import JuntoError, Overloaded
from junto.storage.repositories.jobs_rows import one_or_many
from junto.storage.repositories.money import JOB_LIFE_MS, draw, job_row, lock_by_id, locked, locking, no_room, spend
from junto.storage.sessions import Operator
from junto.storage.tables.money import BUDGETS, RESERVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Select

    from junto.storage.repositories.money import Locked, Owned
    from junto.storage.sessions import Session


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a job may cost, and the ids of the budgets that it is paid from, each of which holds it back."""

    holder: str
    budgets: tuple[str, ...]
    nano: int


_INSERT: Final = insert(RESERVATIONS)
_GONE: Final = (
    delete(RESERVATIONS)
    .where(RESERVATIONS.c.holder == bindparam("of_holder"))
    .returning(RESERVATIONS.c.budget_id, RESERVATIONS.c.amount_nano)
)


async def reserve_for_jobs(
    session: Session, wanted: Sequence[Wanted], *, life_ms: int = JOB_LIFE_MS
) -> dict[str, JuntoError]:
    """Hold back what these jobs may cost, from every budget of a job or from none; why a job (by its holder) cannot be paid for.

    Belongs into the transaction that writes the jobs down. A budget that was removed meanwhile is none; the refusal is Overloaded
    where one may be there and cannot be seen in the session, and NoRoom, a BudgetExceeded, else.
    """
    if not wanted:
        return {}
    found = {budget.id: budget for budget in await lock_by_id(session, {id for one in wanted for id in one.budgets})}
    refused: dict[str, JuntoError] = {}
    drawn: dict[str, int] = defaultdict(int)
    rows = []
    for one in wanted:
        own = [budget for budget in found.values() if budget.id in one.budgets]
        refusal = _refusal(session, one, own, drawn)
        if refusal is not None:
            refused[one.holder] = refusal
            continue
        for budget in own:
            drawn[budget.id] += one.nano
            rows.append(job_row(budget, one.holder, one.nano, life_ms))
    for id, nano in drawn.items():
        await draw(session, found[id], nano)
    if rows:
        await session.execute(_INSERT, one_or_many(rows))
    return refused


def _refusal(session: Session, wanted: Wanted, own: Sequence[Locked], drawn: Mapping[str, int]) -> JuntoError | None:
    if len(own) < len(set(wanted.budgets)) and not isinstance(session.scope, Operator):
        # It may be there and be another tenant's (a service acts for that one): then it must not be passed over.
        return Overloaded("The budgets of this job cannot be seen right now.", retry_after=1.0)
    full = next((budget for budget in own if budget.room - drawn.get(budget.id, 0) < wanted.nano), None)
    return None if full is None else no_room(full, wanted.nano)


async def settle_holder(session: Session, spent: Owned, holder: str | None) -> None:
    """What a holder has used becomes spent (by owner), and all that it has reserved is given back and deleted."""
    concerned = {"of_owners": list(spent) or [("", "")], "of_holder": holder or ""}
    found = await session.execute(_locking_concerned(session.now_ms), concerned)
    budgets = [locked(row) for row in found.mappings()]
    freed: dict[str, int] = defaultdict(int)
    if holder is not None:
        for row in await session.execute(_GONE, {"of_holder": holder}):
            freed[row.budget_id] += row.amount_nano
    await spend(session, budgets, spent=spent, released=freed)


@cache
def _locking_concerned(now_ms: ColumnElement[int]) -> Select[Any]:
    """The budgets of some owners, and those that a holder has reserved from."""
    owned = tuple_(BUDGETS.c.scope, BUDGETS.c.scope_id).in_(bindparam("of_owners", expanding=True))
    reserved = select(RESERVATIONS.c.budget_id).where(RESERVATIONS.c.holder == bindparam("of_holder"))
    return locking(now_ms, owned | BUDGETS.c.id.in_(reserved))


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
