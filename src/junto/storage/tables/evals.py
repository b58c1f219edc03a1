"""Evidence: shadows, scores, verdicts of judges, daily figures, proposals. Content is compressed and sealed as other bodies are (`*codec`).

What is counted in daily figures comes from exchanges alone (storage/repositories/rollups.py); the other tables are written by evals/.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy import text as sql

from junto.storage.tables.columns import count, flag, maybe_bytes, maybe_count, text
from junto.storage.tables.metadata import METADATA

_WAITS: Final = sql("finished_ms IS NULL")

SHADOWS = Table(
    "shadows",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("source_kind"),  # exchange | job
    text("source_id"),
    text("task_type"),
    text("client_id"),  # whose the source is
    text("sensitivity"),
    text("wire"),  # of `request`
    text("production_model"),
    text("model"),  # as the route names it
    text("status"),  # pending | running | complete | failed | dropped
    text("day"),  # of its creation, in UTC: what its daily cap is of
    count("held_nano"),  # of that cap, until it has ended
    count("fence"),
    count("attempts"),
    maybe_count("lease_ms"),
    text("worker"),
    text("request_codec"),
    maybe_bytes("request"),
    text("answer_codec"),
    maybe_bytes("answer"),
    text("error_code"),
    text("model_used"),
    text("backend"),
    count("tokens_in"),
    count("tokens_out"),
    count("latency_ms"),
    count("cost_nano"),
    text("prompt_version"),
    count("route_version"),
    count("created_ms"),
    maybe_count("finished_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "source_id", "model"),
    Index("ix_shadows_waiting", "created_ms", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index("ix_shadows_task", "task_type", "created_ms"),
    Index("ix_shadows_age", "created_ms"),
    Index("ix_shadows_id", "id"),
)

SHADOW_DAYS = Table(
    "shadow_days",
    METADATA,
    text("day"),
    text("task_type"),
    text("model"),  # as the route names it
    count("spent_nano"),
    count("held_nano"),
    PrimaryKeyConstraint("day", "task_type", "model"),
)

SCORES = Table(
    "scores",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("subject_kind"),  # job | exchange | shadow
    text("subject_id"),
    text("task_type"),
    text("model"),  # that answered
    text("client_id"),  # whose the subject is
    text("sensitivity"),
    count("score"),  # 1 to 5
    text("dimensions"),  # JSON: name to 1..5
    text("note_codec"),
    maybe_bytes("note"),
    text("via"),  # admin | client | link | judge | judge-panel
    text("author"),  # a client's id, a link's, the model of a judge
    count("subject_ms"),  # when the subject began
    count("created_ms"),
    count("updated_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "subject_kind", "subject_id", "via", "author"),
    Index("ix_scores_task", "task_type", "subject_ms"),
)

SCORE_LINKS = Table(
    "score_links",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("digest"),  # of the token; the token itself is nowhere
    text("subject_kind"),
    text("subject_id"),
    count("created_ms"),
    count("expires_ms"),
    maybe_count("used_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("digest"),
    Index("ix_score_links_expiry", "expires_ms"),
    Index("ix_score_links_subject", "tenant_id", "subject_id"),
)

VERDICTS = Table(
    "verdicts",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("task_type"),
    text("sensitivity"),
    text("first_kind"),  # job | exchange | shadow
    text("first_id"),
    text("first_model"),
    text("second_kind"),
    text("second_id"),
    text("second_model"),
    text("winner"),  # first | second | tie
    text("via"),  # as of scores
    text("author"),
    text("note_codec"),
    maybe_bytes("note"),
    count("subject_ms"),
    count("created_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "first_id", "second_id", "via", "author"),
    Index("ix_verdicts_task", "task_type", "subject_ms"),
)

JUDGEMENTS = Table(
    "judgements",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("run_id"),  # of many judgements that were asked for at once
    text("mode"),  # pointwise | pairwise | panel
    text("task_type"),
    text("sensitivity"),
    text("subject_kind"),
    text("subject_id"),
    text("other_kind"),  # of a pair
    text("other_id"),
    text("status"),  # pending | running | complete | failed | cancelled
    text("error_code"),
    text("error_message"),
    maybe_count("score"),  # pointwise and panel
    text("winner"),  # pairwise
    flag("applied"),
    text("detail_codec"),
    maybe_bytes("detail"),  # JSON: what each juror said
    count("calls"),
    count("tokens"),
    count("cost_nano"),
    count("created_ms"),
    maybe_count("finished_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_judgements_subject", "tenant_id", "subject_id"),
    Index("ix_judgements_other", "tenant_id", "other_id"),
    Index("ix_judgements_run", "run_id", "id"),
)

JUDGE_RUNS = Table(
    "judge_runs",
    METADATA,
    text("id"),
    text("request"),  # JSON: mode, judges, rubric, what is judged
    text("status"),  # pending | running | complete | failed | cancelled
    count("total"),
    count("done"),
    count("failed"),
    count("cost_nano"),
    count("fence"),
    maybe_count("lease_ms"),
    text("worker"),
    count("created_ms"),
    maybe_count("finished_ms"),
    PrimaryKeyConstraint("id"),
)

EVAL_DAYS = Table(
    "eval_days",
    METADATA,
    text("day"),
    text("tenant_id"),
    text("task_type"),
    text("kind"),  # production | shadow
    text("model"),
    count("attempts"),
    count("failures"),  # of the attempts
    count("answers"),
    count("latency_ms"),  # of the answers, in all; so are these
    count("tokens_in"),
    count("tokens_out"),
    count("cost_nano"),  # of those that were broken off too
    # A task's days lie together: they are read for all tenants at once.
    PrimaryKeyConstraint("task_type", "day", "tenant_id", "kind", "model"),
    sqlite_with_rowid=False,
)

EVAL_LATENCIES = Table(
    "eval_latencies",
    METADATA,
    text("day"),
    text("tenant_id"),
    text("task_type"),
    text("kind"),
    text("model"),
    count("bucket"),  # evals/latency.py says which times
    count("answers"),
    PrimaryKeyConstraint("task_type", "day", "tenant_id", "kind", "model", "bucket"),
    sqlite_with_rowid=False,
)

PROPOSALS = Table(
    "proposals",
    METADATA,
    text("id"),
    text("task_type"),
    text("incumbent"),
    text("candidate"),
    count("route_version"),  # that it would change
    count("tried"),  # how often it was decided about that candidate before
    text("status"),  # open | accepted | canary | rejected | superseded | stopped
    text("evidence"),  # JSON, figures only
    text("reason"),  # of the latest change of its status
    text("decided_by"),
    count("new_version"),  # of the route, once there is one
    count("created_ms"),
    count("updated_ms"),
    maybe_count("decided_ms"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("task_type", "incumbent", "candidate", "route_version", "tried"),
    Index("ix_proposals_task", "task_type", "id"),
)
