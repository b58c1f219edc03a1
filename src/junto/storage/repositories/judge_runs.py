"""Runs of judgements in the database: claimed by one worker at a time, under a fence, and taken up again when that one is gone.

Every write of a worker looks at the run's row first: with a stale fence it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, insert, not_, or_, select, update

from junto.core.errors import NotFound
from junto.ports.judging import Judgement, Run, RunClaim, Status
from junto.ports.scores import Pair
from junto.ports.subjects import Subject, SubjectKind
from junto.storage.repositories.judging import OPEN, end, judgement_of, values_of
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import JUDGE_RUNS, JUDGEMENTS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from junto.ports.judging import Decision, NewJudgement, NewRun, Plan, Unjudged
    from junto.storage.sessions import Session, Sessions

_DAY_MS: Final = 24 * 3600 * 1000
_LOCK: Final = "judge_runs"  # the counter whose row makes those who look for what is unjudged take turns
_WAITING: Final = JUDGE_RUNS.c.status.in_([Status.PENDING, Status.RUNNING])


class StoredRuns:
    """Implements ports.judging.RunStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def create(self, run: NewRun, judgements: Sequence[NewJudgement]) -> Run:
        async with self._sessions.write(OPERATOR) as session:
            return await _create(session, run, judgements)

    async def create_of(self, run: NewRun, unjudged: Unjudged, plan: Plan) -> Run:
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, _LOCK)
            pairs = await _pairs(session, unjudged)
            before = frozenset() if unjudged.again else await _judged(session, pairs, unjudged)
            return await _create(session, run, plan(pairs, before))

    async def run(self, run_id: str) -> Run | None:
        async with self._sessions.read(OPERATOR) as session:
            return await _find(session, run_id)

    async def runs(self, *, before: str | None, limit: int) -> Sequence[Run]:
        asked = select(JUDGE_RUNS).order_by(JUDGE_RUNS.c.id.desc()).limit(limit)
        if before is not None:
            asked = asked.where(JUDGE_RUNS.c.id < before)
        async with self._sessions.read(OPERATOR) as session:
            return [_run(row) for row in (await session.execute(asked)).mappings()]

    async def judgements(self, run_id: str, *, after: str | None, limit: int) -> Sequence[Judgement]:
        asked = select(JUDGEMENTS).where(JUDGEMENTS.c.run_id == run_id).order_by(JUDGEMENTS.c.id).limit(limit)
        if after is not None:
            asked = asked.where(JUDGEMENTS.c.id > after)
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(asked)
            return [judgement_of(row, session.sealer) for row in rows.mappings()]

    async def cancel(self, run_id: str) -> Run | None:
        async with self._sessions.write(OPERATOR) as session:
            cancelled = await session.execute(
                update(JUDGE_RUNS)
                .where(JUDGE_RUNS.c.id == run_id, _WAITING)
                .values(
                    status=Status.CANCELLED,
                    fence=JUDGE_RUNS.c.fence + 1,
                    lease_ms=None,
                    worker="",
                    finished_ms=session.now_ms,
                )
            )
            if cancelled.rowcount:
                await session.execute(
                    update(JUDGEMENTS)
                    .where(JUDGEMENTS.c.run_id == run_id, OPEN)
                    .values(status=Status.CANCELLED, finished_ms=session.now_ms)
                )
            return await _find(session, run_id)

    async def claim(self, worker: str, *, lease_ms: int) -> RunClaim | None:
        async with self._sessions.read(OPERATOR) as session:  # nearly always there is none, and looking writes nothing
            if (await session.execute(_oldest(session))).first() is None:
                return None
        async with self._sessions.write(OPERATOR) as session:
            oldest = _oldest(session)
            if session.connection.dialect.name == "postgresql":
                oldest = oldest.with_for_update(skip_locked=True)
            row = (await session.execute(oldest)).mappings().first()
            if row is None:
                return None
            taken = await session.execute(
                update(JUDGE_RUNS)
                .where(JUDGE_RUNS.c.id == row["id"], JUDGE_RUNS.c.fence == row["fence"], _free(session))
                .values(
                    status=Status.RUNNING,
                    fence=JUDGE_RUNS.c.fence + 1,
                    lease_ms=session.now_ms + lease_ms,
                    worker=worker,
                )
            )
            run = await _find(session, row["id"]) if taken.rowcount else None
            return None if run is None else RunClaim(run=run, worker=worker)

    async def renew(self, claim: RunClaim, *, lease_ms: int) -> bool:
        async with self._sessions.write(OPERATOR) as session:
            return await _change(session, claim, lease_ms=session.now_ms + lease_ms)

    async def next(self, claim: RunClaim) -> Judgement | None:
        async with self._sessions.write(OPERATOR) as session:
            if not await _change(session, claim, worker=claim.worker):
                return None
            asked = select(JUDGEMENTS).where(JUDGEMENTS.c.run_id == claim.run.id, OPEN).order_by(JUDGEMENTS.c.id)
            row = (await session.execute(asked.limit(1))).mappings().first()
            if row is None:
                return None
            of_it = and_(JUDGEMENTS.c.tenant_id == row["tenant_id"], JUDGEMENTS.c.id == row["id"])
            await session.execute(update(JUDGEMENTS).where(of_it).values(status=Status.RUNNING))
            return judgement_of(row, session.sealer)

    async def finish(self, claim: RunClaim, judgement: Judgement, decision: Decision) -> bool:
        counted = {
            "done": JUDGE_RUNS.c.done + 1,
            "failed": JUDGE_RUNS.c.failed + int(decision.status is Status.FAILED),
            "cost_nano": JUDGE_RUNS.c.cost_nano + decision.nano,
        }
        async with self._sessions.write(OPERATOR) as session:
            if not await _change(session, claim, **counted):
                return False
            await end(session, judgement, decision)
            await _end_if_done(session, claim.run.id)
            return True

    async def release(self, claim: RunClaim, *, delay_ms: int) -> None:
        async with self._sessions.write(OPERATOR) as session:
            until = session.now_ms + delay_ms
            if not await _change(session, claim, status=Status.PENDING, worker="", lease_ms=until):
                return
            running = and_(JUDGEMENTS.c.run_id == claim.run.id, JUDGEMENTS.c.status == Status.RUNNING)
            await session.execute(update(JUDGEMENTS).where(running).values(status=Status.PENDING))


async def purge_runs(sessions: Sessions, *, days: int | None, limit: int) -> int:
    """Delete runs that ended longer ago than that and of which no judgement is left; how many. None keeps all."""
    if days is None:
        return 0
    async with sessions.write(OPERATOR) as session:
        left = select(JUDGEMENTS.c.id).where(JUDGEMENTS.c.run_id == JUDGE_RUNS.c.id).exists()
        old = JUDGE_RUNS.c.finished_ms < session.now_ms - days * _DAY_MS
        some = select(JUDGE_RUNS.c.id).where(old, not_(left)).limit(limit)
        return (await session.execute(delete(JUDGE_RUNS).where(JUDGE_RUNS.c.id.in_(some)))).rowcount


def _free(session: Session) -> ColumnElement[bool]:
    """Runs that nobody has, or whose lease ran out."""
    return and_(_WAITING, or_(JUDGE_RUNS.c.lease_ms.is_(None), JUDGE_RUNS.c.lease_ms <= session.now_ms))


def _oldest(session: Session) -> Select[Any]:
    return select(JUDGE_RUNS.c.id, JUDGE_RUNS.c.fence).where(_free(session)).order_by(JUDGE_RUNS.c.id).limit(1)


async def _create(session: Session, run: NewRun, judgements: Sequence[NewJudgement]) -> Run:
    await session.execute(
        insert(JUDGE_RUNS).values(
            id=run.id,
            request=run.request.decode(),
            status=Status.PENDING if judgements else Status.COMPLETE,
            total=len(judgements),
            done=0,
            failed=0,
            cost_nano=0,
            fence=0,
            worker="",
            created_ms=session.now_ms,
            finished_ms=None if judgements else session.now_ms,
        )
    )
    for each in judgements:
        await session.execute(insert(JUDGEMENTS).values(**values_of(session, each, Status.PENDING)))
    created = await _find(session, run.id)
    if created is None:
        raise NotFound("There is no such run.")
    return created


async def _change(session: Session, claim: RunClaim, **values: Any) -> bool:
    """Write into the run's row, which locks it; False, and nothing written, where the claim no longer holds."""
    changed = await session.execute(
        update(JUDGE_RUNS)
        .where(
            JUDGE_RUNS.c.id == claim.run.id,
            JUDGE_RUNS.c.fence == claim.run.fence,
            JUDGE_RUNS.c.worker == claim.worker,
            JUDGE_RUNS.c.status == Status.RUNNING,
        )
        .values(**values)
    )
    return bool(changed.rowcount)


async def _end_if_done(session: Session, run_id: str) -> None:
    await session.execute(
        update(JUDGE_RUNS)
        .where(JUDGE_RUNS.c.id == run_id, JUDGE_RUNS.c.done >= JUDGE_RUNS.c.total)
        .values(status=Status.COMPLETE, lease_ms=None, worker="", finished_ms=session.now_ms)
    )


async def _pairs(session: Session, unjudged: Unjudged) -> list[Pair]:
    asked = (
        select(SHADOWS.c.tenant_id, SHADOWS.c.id, SHADOWS.c.source_kind, SHADOWS.c.source_id, SHADOWS.c.created_ms)
        .where(
            SHADOWS.c.task_type == unjudged.task_type,
            SHADOWS.c.status == "complete",
            SHADOWS.c.created_ms >= session.now_ms - unjudged.young_ms,
        )
        .order_by(SHADOWS.c.created_ms.desc(), SHADOWS.c.id.desc())
        .limit(unjudged.limit)
    )
    if not unjudged.again:
        asked = asked.where(not_(_has_judgement(unjudged)))
    return [_pair(row) for row in (await session.execute(asked)).mappings()]


def _has_judgement(unjudged: Unjudged) -> ColumnElement[bool]:
    """Whether the shadow is, or is about to be, judged in that mode; a judgement that failed does not count."""
    # Two look-ups, each by an index of its own.
    table = JUDGEMENTS
    alone = and_(table.c.subject_kind == SubjectKind.SHADOW, table.c.subject_id == SHADOWS.c.id)
    second = and_(table.c.other_kind == SubjectKind.SHADOW, table.c.other_id == SHADOWS.c.id)
    of_mode = and_(table.c.tenant_id == SHADOWS.c.tenant_id, _of_mode(unjudged))
    return or_(*(select(table.c.id).where(of_mode, which).exists() for which in (alone, second)))


async def _judged(session: Session, pairs: Sequence[Pair], unjudged: Unjudged) -> frozenset[Subject]:
    """Those of the sources that are judged by themselves in that mode; several shadows may have the same one."""
    sources = sorted({pair.source.id for pair in pairs})
    found: set[Subject] = set()
    for start in range(0, len(sources), 200):
        asked = select(JUDGEMENTS.c.tenant_id, JUDGEMENTS.c.subject_kind, JUDGEMENTS.c.subject_id).where(
            JUDGEMENTS.c.subject_id.in_(sources[start : start + 200]), JUDGEMENTS.c.other_id == "", _of_mode(unjudged)
        )
        for row in await session.execute(asked):
            found.add(Subject(row.tenant_id, SubjectKind(row.subject_kind), row.subject_id))
    return frozenset(found)


def _of_mode(unjudged: Unjudged) -> ColumnElement[bool]:
    complete = JUDGEMENTS.c.status == Status.COMPLETE
    if unjudged.applied:  # whoever looked first, and then wants it to count, is not told that nothing is left to do
        complete = and_(complete, JUDGEMENTS.c.applied == 1)
    return and_(JUDGEMENTS.c.mode == unjudged.mode, or_(OPEN, complete))


async def _find(session: Session, run_id: str) -> Run | None:
    row = (await session.execute(select(JUDGE_RUNS).where(JUDGE_RUNS.c.id == run_id))).mappings().first()
    return None if row is None else _run(row)


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        request=row["request"].encode(),
        status=Status(row["status"]),
        total=row["total"],
        done=row["done"],
        failed=row["failed"],
        nano=row["cost_nano"],
        fence=row["fence"],
        created_ms=row["created_ms"],
        finished_ms=row["finished_ms"],
    )


def _pair(row: RowMapping) -> Pair:
    tenant_id = row["tenant_id"]
    return Pair(
        source=Subject(tenant_id, SubjectKind(row["source_kind"]), row["source_id"]),
        shadow=Subject(tenant_id, SubjectKind.SHADOW, row["id"]),
        created_ms=row["created_ms"],
    )
