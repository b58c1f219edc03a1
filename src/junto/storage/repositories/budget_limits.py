"""The limits of budgets: read, set and removed by an administrator. What is spent of them is another repository's business."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.identity import BudgetRecord
from junto.storage.tables.money import BUDGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import RowMapping

    from junto.ports.identity import BudgetChange
    from junto.storage.sessions import Session

_OWNER = (BUDGETS.c.tenant_id, BUDGETS.c.scope, BUDGETS.c.scope_id, BUDGETS.c.period)


async def set_budget(session: Session, *, tenant_id: str, scope: str, scope_id: str, change: BudgetChange) -> None:
    """Set the limit of one period, or remove that budget; what was spent and reserved stays as it is.

    A new budget has a window that begins at 0, which is over for every period that ends, and right for `total`.
    """
    whose = {"tenant_id": tenant_id, "scope": scope, "scope_id": scope_id, "period": change.period}
    if change.limit_nano is None:
        gone = delete(BUDGETS).where(
            session.within(BUDGETS), *(BUDGETS.c[name] == value for name, value in whose.items())
        )
        await session.execute(gone)
        return
    values: dict[str, Any] = {"limit_nano": change.limit_nano, "updated_ms": session.now_ms}
    fresh = {"id": change.id, "spent_nano": 0, "reserved_nano": 0, "window_ms": 0}
    insert = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
    await session.execute(
        insert(BUDGETS)
        .values(**whose, **fresh, **values)
        .on_conflict_do_update(index_elements=list(_OWNER), set_=values)
    )


async def budgets_of(session: Session, scope: str, scope_ids: Iterable[str]) -> Mapping[str, tuple[BudgetRecord, ...]]:
    """The budgets of those clients, tenants or keys, by their ids; one that has none is missing."""
    asked = (
        select(BUDGETS)
        .where(session.within(BUDGETS), BUDGETS.c.scope == scope, BUDGETS.c.scope_id.in_(list(scope_ids)))
        .order_by(BUDGETS.c.period)
    )
    found: dict[str, list[BudgetRecord]] = defaultdict(list)
    for row in (await session.execute(asked)).mappings():
        found[row["scope_id"]].append(_budget(row))
    return {owner: tuple(budgets) for owner, budgets in found.items()}


async def all_budgets(session: Session) -> list[BudgetRecord]:
    """Every budget of the session's scope."""
    asked = select(BUDGETS).where(session.within(BUDGETS)).order_by(BUDGETS.c.period)
    return [_budget(row) for row in (await session.execute(asked)).mappings()]


def _budget(row: RowMapping) -> BudgetRecord:
    return BudgetRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        scope=row["scope"],
        scope_id=row["scope_id"],
        period=row["period"],
        limit_nano=row["limit_nano"],
    )
