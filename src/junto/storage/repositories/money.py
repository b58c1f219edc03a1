"""Budgets and the reservations on them. Locks rows in one order (key, client, tenant), so that nobody waits in a circle.

Invariant: `spent + reserved <= limit` whenever money is drawn, and a budget's `reserved` is the sum of its reservations. When a
window is over, `spent` begins again at nothing and `reserved` goes over into the next one: what is held is paid from the window
in which its ledger entry is written. Only the database's clock says when that is.

Budgets are looked up by id, or by whose they are, and not within a tenant: a service's own budgets pay for what it does on
behalf of another tenant. So these functions need a session of the operator, or one that sees all budgets that are named.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, case, delete, select, tuple_, update

from junto.core.money import usd_from_nano
from junto.core.periods import Period, instant, window_end, window_start
from junto.ports.money import BudgetState, NoRoom
from junto.storage.tables.money import BUDGETS, RESERVATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import RowMapping

    from junto.storage.sessions import Session

JOB_LIFE_MS: Final = 30 * 24 * 60 * 60 * 1000  # of a job's reservation, if nobody ends the job before
_SWEPT_AT_ONCE: Final = 500
_BOUND: Final = 400  # ids in one IN (...)

_RANK: Final = case((BUDGETS.c.scope == "key", 0), (BUDGETS.c.scope == "client", 1), else_=2)
_RESERVED: Final = bindparam("reserved", type_=BigInteger)
_WINDOW: Final = bindparam("window", type_=BigInteger)
# What is spent in the window of now, as the database computes it.
_SPENT: Final = case((BUDGETS.c.window_ms < _WINDOW, 0), else_=BUDGETS.c.spent_nano)
# Adds to both amounts, and opens the window of now if that is due.
_CHANGE: Final = (
    update(BUDGETS)
    .where(BUDGETS.c.tenant_id == bindparam("of_tenant"), BUDGETS.c.id == bindparam("of_id"))
    .values(
        spent_nano=_SPENT + bindparam("spent", type_=BigInteger),
        reserved_nano=BUDGETS.c.reserved_nano + _RESERVED,
        window_ms=_WINDOW,
        updated_ms=bindparam("now", type_=BigInteger),
    )
)
_DRAW: Final = _CHANGE.where(_SPENT + BUDGETS.c.reserved_nano + _RESERVED <= BUDGETS.c.limit_nano)
_TAKE: Final = (
    update(RESERVATIONS)
    .where(RESERVATIONS.c.tenant_id == bindparam("of_tenant"), RESERVATIONS.c.id == bindparam("of_id"))
    .values(amount_nano=RESERVATIONS.c.amount_nano - bindparam("by_nano", type_=BigInteger))
)
_HELD: Final = (RESERVATIONS.c.tenant_id, RESERVATIONS.c.id, RESERVATIONS.c.budget_id, RESERVATIONS.c.amount_nano)

type Owned = Mapping[tuple[str, str], int]  # amounts by scope and id of whose budgets they concern


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """A budget whose row nobody else can change until the transaction ends, in the window of now."""

    id: str
    tenant_id: str
    scope: str
    scope_id: str
    period: str
    limit_nano: int
    spent_nano: int
    reserved_nano: int
    window_ms: int
    now_ms: int

    @property
    def room(self) -> int:
        """What may still be drawn; below zero when a limit was lowered, or something cost more than was known."""
        return self.limit_nano - self.spent_nano - self.reserved_nano


async def lock_budgets(session: Session, which: ColumnElement[bool]) -> list[Locked]:
    """The budgets that match, locked, in the order in which everybody locks them."""
    found = await session.execute(locking(session.now_ms, which))
    return [locked(row) for row in found.mappings()]


async def lock_by_id(session: Session, ids: Iterable[str]) -> list[Locked]:
    """Those budgets that still are there."""
    found = await session.execute(_locking_ids(session.now_ms), {"of_ids": list(ids)})
    return [locked(row) for row in found.mappings()]


def locking(now_ms: ColumnElement[int], which: ColumnElement[bool]) -> Select[Any]:
    """The statement by which budgets are locked; `locked` reads what it finds."""
    asked = select(BUDGETS, now_ms.label("now_ms")).where(which)
    return asked.order_by(_RANK, BUDGETS.c.id).with_for_update()


# What each job runs is made once: putting a statement together costs more than running it.


@cache
def _locking_ids(now_ms: ColumnElement[int]) -> Select[Any]:
    return locking(now_ms, BUDGETS.c.id.in_(bindparam("of_ids", expanding=True)))


def no_room(budget: Locked, asked: int) -> NoRoom:
    """The refusal, in words that tell of the budget's limit and not of what others have used of it."""
    limit = f"The {budget.period} budget of {budget.scope} {budget.scope_id} ({usd_from_nano(budget.limit_nano)} USD)"
    end = window_end(budget.period, budget.now_ms)
    if asked > budget.limit_nano:
        message, until = f"{limit} is less than this request may cost ({usd_from_nano(asked)} USD).", None
    elif end is None:
        message, until = f"{limit} has no room left for this request, and does not reset.", None
    else:
        message, until = (
            f"{limit} has no room left for this request until {instant(end)}.",
            (end - budget.now_ms) / 1000,
        )
    return NoRoom(message, budget_id=budget.id, room=budget.room, retry_after=until)


async def draw(session: Session, budget: Locked, nano: int) -> None:
    """Hold that much back from a locked budget that has room for it."""
    drawn = await session.execute(_DRAW, _amounts(budget, 0, nano))
    if drawn.rowcount != 1:  # cannot be while the row is locked
        raise no_room(budget, nano)


async def spend(session: Session, budgets: Iterable[Locked], *, spent: Owned, released: Mapping[str, int]) -> None:
    """What was used becomes spent (by owner), whatever the limit says, and is held back no longer (by budget)."""
    changes = []
    for budget in budgets:
        used, free = spent.get((budget.scope, budget.scope_id), 0), released.get(budget.id, 0)
        if used or free:
            changes.append(_amounts(budget, used, -min(free, budget.reserved_nano)))
    if changes:
        await session.execute(_CHANGE, changes)


async def take(session: Session, amounts: Mapping[str, int]) -> dict[str, int]:
    """Take so much, or what there is, out of reservations (by id) whose budgets are locked; gives what was taken, by budget.

    Invariant: whoever changes the amount of a reservation has its budget locked. So the reservations need no lock.
    """
    taken: dict[str, int] = defaultdict(int)
    changes = []
    for ids in _portions(sorted(amounts)):
        held = select(*_HELD).where(RESERVATIONS.c.id.in_(ids)).order_by(RESERVATIONS.c.id)
        for row in (await session.execute(held)).all():
            amount = min(amounts[row.id], row.amount_nano)
            if amount:
                taken[row.budget_id] += amount
                changes.append({"of_tenant": row.tenant_id, "of_id": row.id, "by_nano": amount})
    if changes:
        await session.execute(_TAKE, changes)
    return taken


def behind(reservations: Iterable[str]) -> ColumnElement[bool]:
    """The budgets that these reservations are of."""
    return BUDGETS.c.id.in_(select(RESERVATIONS.c.budget_id).where(RESERVATIONS.c.id.in_(list(reservations))))


async def give_back(session: Session, amounts: Mapping[str, int]) -> None:
    """Give back so much of each reservation, by its id."""
    budgets = await lock_budgets(session, behind(amounts))
    await spend(session, budgets, spent={}, released=await take(session, amounts))


async def release(session: Session, which: ColumnElement[bool]) -> int:
    """Give back all of the reservations that match, and delete them; returns how many there were."""
    held = select(RESERVATIONS.c.id, RESERVATIONS.c.budget_id).where(which).limit(_SWEPT_AT_ONCE)
    found = (await session.execute(held)).all()
    if not found:
        return 0
    budgets = await lock_by_id(session, {row.budget_id for row in found})
    # Once more by the same condition: a holder may have renewed between the look and the lock.
    gone = await session.execute(
        delete(RESERVATIONS)
        .where(which, RESERVATIONS.c.id.in_([row.id for row in found]))
        .returning(RESERVATIONS.c.budget_id, RESERVATIONS.c.amount_nano)
    )
    freed: dict[str, int] = defaultdict(int)
    count = 0
    for row in gone:
        freed[row.budget_id] += row.amount_nano
        count += 1
    await spend(session, budgets, spent={}, released=freed)
    return count


async def release_holder(session: Session, holder: str) -> int:
    """Give back all that this holder (a job that was cancelled, say) has reserved."""
    return await release(session, RESERVATIONS.c.holder == holder)


async def sweep(session: Session) -> int:
    """Give back what is left of expired reservations; returns how many there were."""
    return await release(session, RESERVATIONS.c.expires_ms < session.now_ms)


def job_row(budget: Locked, holder: str, nano: int, life_ms: int) -> dict[str, Any]:
    """A reservation that is made once and ended once."""
    return reservation_row(budget, id=f"{holder}.{budget.id}", holder=holder, nano=nano, life_ms=life_ms)


def reservation_row(budget: Locked, *, id: str, holder: str, nano: int, life_ms: int) -> dict[str, Any]:
    """A reservation on a locked budget, that expires so long from now."""
    return {
        "tenant_id": budget.tenant_id,
        "id": id,
        "budget_id": budget.id,
        "holder": holder,
        "amount_nano": nano,
        "window_ms": budget.window_ms,
        "expires_ms": budget.now_ms + life_ms,
    }


async def budget_states(session: Session, scope: str | None, scope_id: str | None) -> list[BudgetState]:
    """Budgets as they stand now; a window that is over shows as the one that has begun."""
    asked = _budgets(session).where(session.within(BUDGETS)).order_by(BUDGETS.c.tenant_id, _RANK, BUDGETS.c.scope_id)
    if scope is not None:
        asked = asked.where(BUDGETS.c.scope == scope)
    if scope_id is not None:
        asked = asked.where(BUDGETS.c.scope_id == scope_id)
    return [_state(locked(row)) for row in (await session.execute(asked)).mappings()]


def owned_by(owners: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """The budgets of these owners, each a scope and an id."""
    return tuple_(BUDGETS.c.scope, BUDGETS.c.scope_id).in_(list(owners))


def _budgets(session: Session) -> Select[Any]:
    return select(BUDGETS, session.now_ms.label("now_ms"))


def locked(row: RowMapping) -> Locked:
    """A budget's row in the window of now."""
    now = int(row["now_ms"])
    start = window_start(row["period"], now)
    over = row["period"] != Period.TOTAL and row["window_ms"] < start
    return Locked(
        id=row["id"],
        tenant_id=row["tenant_id"],
        scope=row["scope"],
        scope_id=row["scope_id"],
        period=row["period"],
        limit_nano=row["limit_nano"],
        spent_nano=0 if over else row["spent_nano"],
        reserved_nano=row["reserved_nano"],
        window_ms=start if over else row["window_ms"],
        now_ms=now,
    )


def _amounts(budget: Locked, spent: int, reserved: int) -> dict[str, Any]:
    """What `_CHANGE` is run with: amounts to add."""
    return {
        "of_tenant": budget.tenant_id,
        "of_id": budget.id,
        "spent": spent,
        "reserved": reserved,
        "window": budget.window_ms,
        "now": budget.now_ms,
    }


def _state(budget: Locked) -> BudgetState:
    return BudgetState(
        id=budget.id,
        tenant_id=budget.tenant_id,
        scope=budget.scope,
        scope_id=budget.scope_id,
        period=budget.period,
        limit_nano=budget.limit_nano,
        spent_nano=budget.spent_nano,
        reserved_nano=budget.reserved_nano,
        window_ms=budget.window_ms,
        resets_ms=window_end(budget.period, budget.now_ms),
    )


def _portions(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _BOUND] for start in range(0, len(ids), _BOUND))
