"""Evidence (shadows, scores, verdicts, daily figures, proposals) and the files of speech jobs. On Postgres with row-level security as r0003's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OF_TENANTS = ("shadows", "scores", "score_links", "verdicts", "judgements", "eval_days", "eval_latencies", "outputs")
_OF_THE_OPERATOR = ("shadow_days", "judge_runs", "proposals")


def upgrade() -> None:
    """Take the step."""
    op.add_column("exchanges", sa.Column("purpose", sa.Text, server_default="", nullable=False))
    op.add_column("exchanges", sa.Column("parts_nano", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("kind", sa.Text, server_default="", nullable=False))
    op.add_column("jobs", sa.Column("steps", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("steps_done", sa.BigInteger, server_default="0", nullable=False))
    _shadows()
    _scores()
    _judges()
    _figures()
    _outputs()
    if op.get_bind().dialect.name == "postgresql":
        _row_security()


def _shadows() -> None:
    waits = sa.text("finished_ms IS NULL")
    op.create_table(
        "shadows",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source_kind", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("sensitivity", sa.Text, nullable=False),
        sa.Column("wire", sa.Text, nullable=False),
        sa.Column("production_model", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("held_nano", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("lease_ms", sa.BigInteger, nullable=True),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("request_codec", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=True),
        sa.Column("answer_codec", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=True),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("model_used", sa.Text, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("tokens_in", sa.BigInteger, nullable=False),
        sa.Column("tokens_out", sa.BigInteger, nullable=False),
        sa.Column("latency_ms", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.Column("prompt_version", sa.Text, nullable=False),
        sa.Column("route_version", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger, nullable=True),
        sa.UniqueConstraint("tenant_id", "source_id", "model", name="uq_shadows_tenant_id_source_id_model"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_shadows"),
    )
    op.create_index("ix_shadows_age", "shadows", ["created_ms"])
    op.create_index("ix_shadows_id", "shadows", ["id"])
    op.create_index("ix_shadows_task", "shadows", ["task_type", "created_ms"])
    op.create_index("ix_shadows_waiting", "shadows", ["created_ms", "id"], sqlite_where=waits, postgresql_where=waits)
    op.create_table(
        "shadow_days",
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("spent_nano", sa.BigInteger, nullable=False),
        sa.Column("held_nano", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "task_type", "model", name="pk_shadow_days"),
    )


def _scores() -> None:
    op.create_table(
        "scores",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("sensitivity", sa.Text, nullable=False),
        sa.Column("score", sa.BigInteger, nullable=False),
        sa.Column("dimensions", sa.Text, nullable=False),
        sa.Column("note_codec", sa.Text, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=True),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("subject_ms", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_scores"),
        sa.UniqueConstraint(
            "tenant_id",
            "subject_kind",
            "subject_id",
            "via",
            "author",
            name="uq_scores_tenant_id_subject_kind_subject_id_via_author",
        ),
    )
    op.create_index("ix_scores_task", "scores", ["task_type", "subject_ms"])
    op.create_table(
        "score_links",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("used_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_score_links"),
        sa.UniqueConstraint("digest", name="uq_score_links_digest"),
    )
    op.create_index("ix_score_links_expiry", "score_links", ["expires_ms"])
    op.create_index("ix_score_links_subject", "score_links", ["tenant_id", "subject_id"])
    op.create_table(
        "verdicts",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("sensitivity", sa.Text, nullable=False),
        sa.Column("first_kind", sa.Text, nullable=False),
        sa.Column("first_id", sa.Text, nullable=False),
        sa.Column("first_model", sa.Text, nullable=False),
        sa.Column("second_kind", sa.Text, nullable=False),
        sa.Column("second_id", sa.Text, nullable=False),
        sa.Column("second_model", sa.Text, nullable=False),
        sa.Column("winner", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("note_codec", sa.Text, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=True),
        sa.Column("subject_ms", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_verdicts"),
        sa.UniqueConstraint(
            "tenant_id",
            "first_id",
            "second_id",
            "via",
            "author",
            name="uq_verdicts_tenant_id_first_id_second_id_via_author",
        ),
    )
    op.create_index("ix_verdicts_task", "verdicts", ["task_type", "subject_ms"])


def _judges() -> None:
    op.create_table(
        "judgements",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("sensitivity", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("other_kind", sa.Text, nullable=False),
        sa.Column("other_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("score", sa.BigInteger, nullable=True),
        sa.Column("winner", sa.Text, nullable=False),
        sa.Column("applied", sa.Integer, nullable=False),
        sa.Column("detail_codec", sa.Text, nullable=False),
        sa.Column("detail", sa.LargeBinary, nullable=True),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_judgements"),
    )
    op.create_index("ix_judgements_other", "judgements", ["tenant_id", "other_id"])
    op.create_index("ix_judgements_run", "judgements", ["run_id", "id"])
    op.create_index("ix_judgements_subject", "judgements", ["tenant_id", "subject_id"])
    op.create_table(
        "judge_runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_ms", sa.BigInteger, nullable=True),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_judge_runs"),
    )


def _figures() -> None:
    op.create_table(
        "eval_days",
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.Column("latency_ms", sa.BigInteger, nullable=False),
        sa.Column("tokens_in", sa.BigInteger, nullable=False),
        sa.Column("tokens_out", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("task_type", "day", "tenant_id", "kind", "model", name="pk_eval_days"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "eval_latencies",
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("bucket", sa.BigInteger, nullable=False),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("task_type", "day", "tenant_id", "kind", "model", "bucket", name="pk_eval_latencies"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("incumbent", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("route_version", sa.BigInteger, nullable=False),
        sa.Column("tried", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("new_version", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("decided_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_proposals"),
        sa.UniqueConstraint(
            "task_type",
            "incumbent",
            "candidate",
            "route_version",
            "tried",
            name="uq_proposals_task_type_incumbent_candidate_route_version_tried",
        ),
    )
    op.create_index("ix_proposals_task", "proposals", ["task_type", "id"])


def _outputs() -> None:
    op.create_table(
        "outputs",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("voice", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("audio_ms", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_outputs"),
    )
    op.create_index("ix_outputs_age", "outputs", ["created_ms"])
    op.create_index("ix_outputs_job", "outputs", ["job_id", "tenant_id"])


def _row_security() -> None:
    own = "current_user = 'junto_app' AND tenant_id = NULLIF(current_setting('junto.tenant', true), '')"
    every = "current_user = 'junto_operator'"
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({own}) WITH CHECK ({own})")
        op.execute(f"CREATE POLICY operator ON {table} USING ({every}) WITH CHECK ({every})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO junto_app, junto_operator")
    for table in _OF_THE_OPERATOR:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO junto_operator")
