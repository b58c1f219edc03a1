"""Jobs: the row is the truth, and its fence tells a worker that has lost its lease from the one that has it now.

`request` and `answer` are JSON, compressed as exchange bodies are (`*_codec`). `tokens_so_far` grows with each renewal.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy import text as sql

from junto.storage.tables.columns import count, flag, maybe_bytes, maybe_count, text
from junto.storage.tables.metadata import METADATA

_IS_OVER: Final = sql("finished_ms IS NOT NULL")
_WAITS: Final = sql("finished_ms IS NULL AND lease_ms IS NULL")  # pending, in words that no other index begins with

JOBS = Table(
    "jobs",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("client_id"),
    text("key_id"),
    text("task_type"),
    flag("default_route"),  # the task type is unknown and the default route was used
    text("status"),  # pending | running | complete | failed | cancelled
    count("priority"),  # 1..10, higher first
    text("asked_sensitivity"),
    text("sensitivity"),  # in force
    text("model"),  # that it runs under: a model or a group
    flag("local"),  # it waits for local hardware
    text("on_crash"),  # retry | fail
    count("due_ms"),  # not before
    maybe_count("deadline_ms"),
    count("served_order"),  # fair order across clients: the virtual time at submit
    count("created_ms"),
    maybe_count("started_ms"),
    maybe_count("finished_ms"),
    count("fence"),
    text("worker"),
    maybe_count("lease_ms"),  # until when
    count("attempts"),
    count("max_attempts"),
    count("crashes"),  # leases that expired
    flag("cancel_requested"),
    count("tokens_so_far"),
    text("request_codec"),
    maybe_bytes("request"),
    text("answer_codec"),
    maybe_bytes("answer"),
    text("error_code"),
    text("error_message"),
    text("model_used"),
    text("backend"),
    text("finish_reason"),
    count("tokens_in"),
    count("tokens_out"),
    count("latency_ms"),
    count("cost_nano"),
    text("prompt_version"),
    text("metadata"),  # the caller's, JSON, at most 16 kB
    text("webhook"),
    count("turn", default=0),  # in virtual time; `served_order` until it was exchanged with another one of its client
    text("kind", default=""),  # "" for a chat | speech
    count("steps", default=0),  # of a job that is done in parts: how many there are
    count("steps_done", default=0),
    PrimaryKeyConstraint("tenant_id", "id"),
    # What waits: clients in turn, and each client's own line.
    Index("ix_jobs_turn", "turn", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index(
        "ix_jobs_line",
        *("tenant_id", "client_id", sql("priority DESC"), "id", "turn"),
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    ),
    Index("ix_jobs_lease", "status", "lease_ms"),
    Index("ix_jobs_client", "tenant_id", "client_id", "id"),
    Index("ix_jobs_finished", "finished_ms", sqlite_where=_IS_OVER, postgresql_where=_IS_OVER),
)

JOB_ATTEMPTS = Table(
    "job_attempts",
    METADATA,
    text("tenant_id"),
    text("job_id"),
    Column("number", Integer, nullable=False),
    count("fence"),
    text("worker"),
    count("started_ms"),
    maybe_count("ended_ms"),
    text("model"),
    text("backend"),
    text("outcome"),  # "" while it runs | ok | failed | cancelled | released | crashed
    text("error"),
    count("tokens"),
    count("swap_ms"),
    text("reasons", default=""),  # JSON: a line for each deployment that did not answer, "" for none
    PrimaryKeyConstraint("tenant_id", "job_id", "number"),
    ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.id"]),
)

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    text("tenant_id"),
    text("client_id"),
    text("key"),
    text("body_digest"),
    text("job_id"),
    count("created_ms"),
    PrimaryKeyConstraint("tenant_id", "client_id", "key"),
    Index("ix_idempotency_job", "tenant_id", "job_id"),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("job_id"),
    text("kind"),  # webhook
    text("url"),
    count("attempts"),
    count("due_ms"),
    maybe_count("done_ms"),
    Column("last_error", Text, nullable=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_outbox_due", "done_ms", "due_ms"),
    Index("ix_outbox_job", "tenant_id", "job_id"),
)

TRIAGE_DECISIONS = Table(
    "triage_decisions",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("job_id"),
    text("facts"),  # JSON: operational metadata, never content
    text("decision"),
    text("outcome"),
    count("latency_ms"),
    count("at_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_triage_decisions_job", "tenant_id", "job_id"),
)
