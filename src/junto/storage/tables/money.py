"""Budgets, what is held back from them, and the ledger. All amounts are integers of nano-dollars and never negative.

A ledger entry is written once and never changed; its id is that of the exchange or job it is for, so that writing it again
does nothing. A budget's `spent_nano` and `reserved_nano` are of its current window, which begins at `window_ms`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, Index, PrimaryKeyConstraint, Table, UniqueConstraint, event

from junto.storage.tables.columns import count, flag, text
from junto.storage.tables.metadata import METADATA

BUDGETS = Table(
    "budgets",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("scope"),  # key | client | tenant
    text("scope_id"),
    text("period"),  # daily | monthly | total
    count("limit_nano"),
    count("spent_nano"),
    count("reserved_nano"),
    count("window_ms"),
    count("updated_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "scope", "scope_id", "period"),
)

RESERVATIONS = Table(
    "reservations",
    METADATA,
    text("tenant_id"),
    text("id"),  # one holder's part of one budget
    text("budget_id"),
    text("holder"),  # a job's id, or the id of a node that has drawn money ahead for its requests
    count("amount_nano"),
    count("window_ms"),  # the budget's window that it was taken from
    count("expires_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_reservations_expiry", "expires_ms"),
    Index("ix_reservations_holder", "holder"),
)

LEDGER = Table(
    "ledger",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("kind"),  # exchange | job; the operator's own: shadow | judge
    text("client_id"),
    text("key_id"),
    count("at_ms"),
    text("day"),  # of at_ms, in UTC: 2026-11-21
    text("task_type"),
    text("model"),
    text("backend"),
    count("input_tokens"),
    count("cache_read_tokens"),
    count("cache_write_tokens"),
    count("output_tokens"),
    flag("usage_estimated"),
    flag("failed"),
    count("cost_nano"),
    text("price_date"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_ledger_client_day", "tenant_id", "client_id", "day"),
)

LEDGER_IS_FINAL: Final = tuple(
    f"CREATE TRIGGER ledger_no_{change.lower()} BEFORE {change} ON ledger"
    " BEGIN SELECT RAISE(ABORT, 'ledger entries are final'); END"
    for change in ("UPDATE", "DELETE")
)
"""For SQLite, which has no roles; on Postgres the rights are not given (migrations/versions/r0008_ledger_is_final.py)."""
for _trigger in LEDGER_IS_FINAL:
    event.listen(LEDGER, "after_create", DDL(_trigger).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
