"""The tables of the database, as SQLAlchemy Core metadata. SQL for SQLite 3.40 and up and for Postgres 15 and up.

`TENANT_TABLES` maps each table that holds what belongs to a tenant to the column that names the tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.storage.tables.agents import AGENTS, CONVERSATIONS, INBOX, TURNS
from junto.storage.tables.councils import COUNCIL_TEMPLATES
from junto.storage.tables.evals import (
    EVAL_DAYS,
    EVAL_LATENCIES,
    JUDGE_RUNS,
    JUDGEMENTS,
    PROPOSALS,
    SCORE_LINKS,
    SCORES,
    SHADOW_DAYS,
    SHADOWS,
    VERDICTS,
)
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.tables.identity import API_KEYS, CLIENTS, TENANTS
from junto.storage.tables.jobs import IDEMPOTENCY, JOB_ATTEMPTS, JOBS, OUTBOX, TRIAGE_DECISIONS
from junto.storage.tables.metadata import MARKERS, METADATA
from junto.storage.tables.money import BUDGETS, LEDGER, RESERVATIONS
from junto.storage.tables.routes import PROMPT_VERSIONS, ROUTE_VERSIONS, VERSIONS
from junto.storage.tables.speech import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Table

OPERATOR_TABLES: tuple[Table, ...] = (
    *(TENANTS, ROUTE_VERSIONS, PROMPT_VERSIONS, VERSIONS, MARKERS, COUNCIL_TEMPLATES),
    *(SHADOW_DAYS, JUDGE_RUNS, PROPOSALS),
)
TENANT_TABLES: Mapping[Table, str] = {
    EXCHANGES: "tenant",
    BODIES: "tenant",
    **dict.fromkeys(
        (CLIENTS, API_KEYS, BUDGETS, RESERVATIONS, LEDGER, JOBS, JOB_ATTEMPTS, IDEMPOTENCY, OUTBOX, TRIAGE_DECISIONS),
        "tenant_id",
    ),
    **dict.fromkeys((AGENTS, CONVERSATIONS, TURNS, INBOX), "tenant_id"),
    **dict.fromkeys(
        (SHADOWS, SCORES, SCORE_LINKS, VERDICTS, JUDGEMENTS, EVAL_DAYS, EVAL_LATENCIES, OUTPUTS), "tenant_id"
    ),
}

__all__ = [
    "AGENTS",
    "API_KEYS",
    "BODIES",
    "BUDGETS",
    "CLIENTS",
    "CONVERSATIONS",
    "COUNCIL_TEMPLATES",
    "EVAL_DAYS",
    "EVAL_LATENCIES",
    "EXCHANGES",
    "IDEMPOTENCY",
    "INBOX",
    "JOBS",
    "JOB_ATTEMPTS",
    "JUDGEMENTS",
    "JUDGE_RUNS",
    "LEDGER",
    "MARKERS",
    "METADATA",
    "OPERATOR_TABLES",
    "OUTBOX",
    "OUTPUTS",
    "PROMPT_VERSIONS",
    "PROPOSALS",
    "RESERVATIONS",
    "ROUTE_VERSIONS",
    "SCORES",
    "SCORE_LINKS",
    "SHADOWS",
    "SHADOW_DAYS",
    "TENANTS",
    "TENANT_TABLES",
    "TRIAGE_DECISIONS",
    "TURNS",
    "VERDICTS",
    "VERSIONS",
]
