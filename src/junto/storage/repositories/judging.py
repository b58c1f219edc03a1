"""Judgements in the database: written down when they begin, and once more when they end. Runs of many are in judge_runs.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, insert, or_, select, tuple_, update

from junto.core.errors import NotFound
from junto.ports.judging import Decision, Judgement, Mode, Status
from junto.ports.subjects import Subject, SubjectKind
from junto.storage.bodies import Packed
from junto.storage.repositories.jobs_rows import pack, sealed, unpacked
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import JUDGEMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from junto.ports.judging import NewJudgement
    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Session, Sessions

ENDS: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELLED)
OPEN: Final = JUDGEMENTS.c.status.in_([Status.PENDING, Status.RUNNING])
_DAY_MS: Final = 24 * 3600 * 1000
_DETAIL: Final = "judgement"  # what is sealed, beside the tenant and the id


class StoredJudgements:
    """Implements ports.judging.JudgementStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def begin(self, judgement: NewJudgement) -> Judgement:
        async with self._sessions.write(OPERATOR) as session:
            await session.execute(insert(JUDGEMENTS).values(**values_of(session, judgement, Status.RUNNING)))
            return await _found(session, judgement.id)

    async def end(self, judgement: Judgement, decision: Decision) -> Judgement | None:
        async with self._sessions.write(OPERATOR) as session:
            if not await end(session, judgement, decision):
                return None
            return await _found(session, judgement.id)

    async def find(self, judgement_id: str) -> Judgement | None:
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(select(JUDGEMENTS).where(JUDGEMENTS.c.id == judgement_id))
            row = rows.mappings().first()
            return None if row is None else judgement_of(row, session.sealer)

    async def of(self, subject: Subject, *, limit: int) -> Sequence[Judgement]:
        table = JUDGEMENTS
        asked = (
            select(table)
            .where(
                table.c.tenant_id == subject.tenant_id,
                or_(
                    and_(table.c.subject_id == subject.id, table.c.subject_kind == subject.kind),
                    and_(table.c.other_id == subject.id, table.c.other_kind == subject.kind),
                ),
            )
            .order_by(table.c.id.desc())
            .limit(limit)
        )
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(asked)
            return [judgement_of(row, session.sealer) for row in rows.mappings()]

    async def abandon(self, *, older_ms: int) -> int:
        async with self._sessions.write(OPERATOR) as session:
            gone = await session.execute(
                update(JUDGEMENTS)
                .where(
                    JUDGEMENTS.c.run_id == "",
                    JUDGEMENTS.c.status == Status.RUNNING,
                    JUDGEMENTS.c.created_ms < session.now_ms - older_ms,
                )
                .values(
                    status=Status.FAILED,
                    error_code="interrupted",
                    error_message="The process that asked the judge is gone.",
                    finished_ms=session.now_ms,
                )
            )
            return gone.rowcount


async def end(session: Session, judgement: Judgement, decision: Decision) -> bool:
    """What it came to, if it is not at its end."""
    packed = sealed(session, await pack(decision.detail), judgement.subject.tenant_id, judgement.id, _DETAIL)
    ended = await session.execute(
        update(JUDGEMENTS)
        .where(JUDGEMENTS.c.tenant_id == judgement.subject.tenant_id, JUDGEMENTS.c.id == judgement.id, OPEN)
        .values(
            status=decision.status,
            error_code=decision.error_code,
            error_message=decision.error_message,
            score=decision.score,
            winner=decision.winner,
            applied=int(decision.applied),
            sensitivity=decision.sensitivity or JUDGEMENTS.c.sensitivity,
            detail_codec=packed.codec,
            detail=packed.content,
            calls=JUDGEMENTS.c.calls + decision.calls,
            tokens=JUDGEMENTS.c.tokens + decision.tokens,
            cost_nano=JUDGEMENTS.c.cost_nano + decision.nano,
            finished_ms=session.now_ms,
        )
    )
    return bool(ended.rowcount)


def values_of(session: Session, judgement: NewJudgement, status: Status) -> dict[str, Any]:
    """A new row."""
    other = judgement.other
    return {
        "tenant_id": judgement.subject.tenant_id,
        "id": judgement.id,
        "run_id": judgement.run_id,
        "mode": judgement.mode,
        "task_type": judgement.task_type,
        "sensitivity": judgement.sensitivity,
        "subject_kind": judgement.subject.kind,
        "subject_id": judgement.subject.id,
        "other_kind": "" if other is None else other.kind,
        "other_id": "" if other is None else other.id,
        "status": status,
        "error_code": "",
        "error_message": "",
        "winner": "",
        "applied": 0,
        "detail_codec": "",
        "calls": 0,
        "tokens": 0,
        "cost_nano": 0,
        "created_ms": session.now_ms,
    }


def judgement_of(row: RowMapping, sealer: Sealer | None) -> Judgement:
    """The judgement of a row."""
    tenant_id = row["tenant_id"]
    detail = b""
    if row["detail"] is not None:
        detail = unpacked(Packed(row["detail_codec"], row["detail"]), sealer, tenant_id, row["id"], _DETAIL)
    return Judgement(
        id=row["id"],
        run_id=row["run_id"],
        mode=Mode(row["mode"]),
        task_type=row["task_type"],
        sensitivity=row["sensitivity"],
        subject=Subject(tenant_id, SubjectKind(row["subject_kind"]), row["subject_id"]),
        other=Subject(tenant_id, SubjectKind(row["other_kind"]), row["other_id"]) if row["other_id"] else None,
        status=Status(row["status"]),
        error_code=row["error_code"],
        error_message=row["error_message"],
        score=row["score"],
        winner=row["winner"],
        applied=bool(row["applied"]),
        detail=detail,
        calls=row["calls"],
        tokens=row["tokens"],
        nano=row["cost_nano"],
        created_ms=row["created_ms"],
        finished_ms=row["finished_ms"],
    )


async def _found(session: Session, judgement_id: str) -> Judgement:
    rows = await session.execute(select(JUDGEMENTS).where(JUDGEMENTS.c.id == judgement_id))
    row = rows.mappings().first()
    if row is None:
        raise NotFound("There is no such judgement.")
    return judgement_of(row, session.sealer)


async def purge_judgements(sessions: Sessions, *, days: int | None, limit: int) -> int:
    """Delete judgements that are at their end and older than that, with what was said in them; how many. None keeps all."""
    if days is None:
        return 0
    async with sessions.write(OPERATOR) as session:
        old = and_(JUDGEMENTS.c.created_ms < session.now_ms - days * _DAY_MS, JUDGEMENTS.c.status.in_(ENDS))
        some = select(JUDGEMENTS.c.tenant_id, JUDGEMENTS.c.id).where(old).limit(limit)
        found = [(row.tenant_id, row.id) for row in await session.execute(some)]
        which = tuple_(JUDGEMENTS.c.tenant_id, JUDGEMENTS.c.id)
        gone = await session.execute(delete(JUDGEMENTS).where(which.in_(found))) if found else None
        return 0 if gone is None else gone.rowcount
