"""Jobs as the sweeper knows them: what ran out, what was left behind, what is old. Implements ports.jobs.SweepStore.

Any number of nodes sweep the same database. Rows are locked and passed over where another holds them, and each change is
guarded by the status it was decided on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, or_, select, tuple_, update

from junto.jobs.model import Event, after_lost_lease
from junto.ports.jobs import AttemptOutcome, Lapsed, Status
from junto.storage.repositories import money
from junto.storage.repositories.jobs_ends import end_unrun
from junto.storage.repositories.jobs_order import IS_PENDING
from junto.storage.repositories.jobs_rows import HEAD, Transactions, end_attempt, job_of, target
from junto.storage.sessions import OPERATOR
from junto.storage.tables.jobs import IDEMPOTENCY, JOB_ATTEMPTS, JOBS, OUTBOX, TRIAGE_DECISIONS
from junto.storage.tables.money import RESERVATIONS
from junto.storage.tables.speech import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from junto.ports.jobs import Job, MakeId
    from junto.storage.repositories.jobs_ends import KeepsBodies
    from junto.storage.repositories.jobs_fairness import VirtualTime
    from junto.storage.repositories.ledger import LedgerWriter
    from junto.storage.sessions import Session, Sessions

_ENDED: Final = [status.value for status in Status if status.is_end]
_DEADLINE = ("deadline_passed", "The deadline passed before the job began.")


class StoredSweep:
    """The sweeping of one database. `keeps_bodies` as in repositories/jobs.py."""

    def __init__(
        self, sessions: Sessions, *, ledger: LedgerWriter, fairness: VirtualTime, keeps_bodies: KeepsBodies
    ) -> None:
        self._transaction = Transactions(sessions)
        self._ledger = ledger
        self._fairness = fairness
        self._keeps_bodies = keeps_bodies

    async def expire_leases(self, *, make_id: MakeId, limit: int = 100) -> Sequence[Lapsed]:
        async with self._transaction(OPERATOR, reading=True) as session:
            await self._fairness.look(session)
            if not (await session.execute(_lapsed(session).limit(1))).first():
                return ()
        async with self._transaction(OPERATOR) as session:
            rows = await session.execute(_lapsed(session).limit(limit).with_for_update(skip_locked=True))
            return [await self._expire(session, job_of(row, session.sealer), make_id) for row in rows.mappings().all()]

    async def _expire(self, session: Session, job: Job, make_id: MakeId) -> Lapsed:
        verdict = after_lost_lease(
            cancel_requested=job.cancel_requested,
            on_crash=job.on_crash,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            crashes=job.crashes + 1,
        )
        status = Status(target(Status.RUNNING, verdict.event))
        back = {"due_ms": session.now_ms, "lease_ms": None, "worker": ""} if verdict.event is Event.PUT_BACK else {}
        values = {"crashes": job.crashes + 1, **({"status": status.value, **back} if back else {})}
        await session.execute(update(JOBS).where(_this(session, job), JOBS.c.fence == job.fence).values(values))
        await end_attempt(session, job, {"outcome": AttemptOutcome.CRASHED.value})
        if not back:
            said = (verdict.error_code, verdict.error_message)
            job = await self._end(session, job, status, said, make_id)
        return Lapsed(job=job, status=status)

    async def expire_deadlines(self, *, make_id: MakeId, limit: int = 100) -> Sequence[Lapsed]:
        async with self._transaction(OPERATOR, reading=True) as session:
            if not (await session.execute(_overdue(session).limit(1))).first():
                return ()
        async with self._transaction(OPERATOR) as session:
            rows = await session.execute(_overdue(session).limit(limit).with_for_update(skip_locked=True))
            lapsed = []
            for row in rows.mappings().all():
                job = job_of(row, session.sealer)
                status, said = (Status.CANCELLED, ("", "")) if job.cancel_requested else (Status.FAILED, _DEADLINE)
                lapsed.append(Lapsed(job=await self._end(session, job, status, said, make_id), status=status))
            return lapsed

    async def _end(self, session: Session, job: Job, status: Status, said: tuple[str, str], make_id: MakeId) -> Job:
        forget = not self._keeps_bodies(job.sensitivity)
        webhook_id = make_id("evt")
        return await end_unrun(session, self._ledger, job, status, *said, webhook_id=webhook_id, forget_request=forget)

    async def waiting(self, *, limit: int) -> Sequence[tuple[str, str]]:
        asked = select(JOBS.c.tenant_id, JOBS.c.id).where(IS_PENDING).order_by(JOBS.c.turn, JOBS.c.id).limit(limit)
        async with self._transaction(OPERATOR, reading=True) as session:
            found = await session.execute(asked.where(session.within(JOBS), JOBS.c.due_ms <= session.now_ms))
            return [(row.tenant_id, row.id) for row in found]

    async def settle_orphans(self) -> int:
        # By the whole key: a job is paid from budgets of its own tenant, and a look by its id alone goes through all jobs.
        over = exists().where(
            JOBS.c.tenant_id == RESERVATIONS.c.tenant_id,
            JOBS.c.id == RESERVATIONS.c.holder,
            JOBS.c.status.in_(_ENDED),
        )
        async with self._transaction(OPERATOR, reading=True) as session:
            orphans = (await session.execute(select(RESERVATIONS.c.id).where(over).limit(500))).scalars().all()
        if not orphans:
            return 0
        async with self._transaction(OPERATOR) as session:
            return await money.release(session, RESERVATIONS.c.id.in_(orphans))

    async def forget_keys(self, *, older_ms: int) -> int:
        async with self._transaction(OPERATOR, reading=True) as session:
            old = IDEMPOTENCY.c.created_ms < session.now_ms - older_ms
            if not (await session.execute(select(IDEMPOTENCY.c.key).where(old).limit(1))).first():
                return 0
        async with self._transaction(OPERATOR) as session:
            old = IDEMPOTENCY.c.created_ms < session.now_ms - older_ms
            return int((await session.execute(delete(IDEMPOTENCY).where(session.within(IDEMPOTENCY), old))).rowcount)

    async def delete_ended(self, *, older_ms: int, limit: int = 200) -> int:
        async with self._transaction(OPERATOR, reading=True) as session:
            asked = select(JOBS.c.tenant_id, JOBS.c.id).where(
                session.within(JOBS), JOBS.c.finished_ms < session.now_ms - older_ms
            )
            keys = [(row.tenant_id, row.id) for row in await session.execute(asked.limit(limit))]
        if not keys:
            return 0
        tenants, ids = {tenant for tenant, _ in keys}, [id for _, id in keys]
        async with self._transaction(OPERATOR) as session:
            for table, id in (
                (JOB_ATTEMPTS, JOB_ATTEMPTS.c.job_id),
                (IDEMPOTENCY, IDEMPOTENCY.c.job_id),
                (OUTBOX, OUTBOX.c.job_id),
                (TRIAGE_DECISIONS, TRIAGE_DECISIONS.c.job_id),
                (OUTPUTS, OUTPUTS.c.job_id),
                (JOBS, JOBS.c.id),
            ):
                # The pairs say which; the two lists are there for SQLite, which finds pairs by no index.
                by_index = table.c.tenant_id.in_(tenants) & id.in_(ids)
                await session.execute(
                    delete(table).where(session.within(table), by_index, tuple_(table.c.tenant_id, id).in_(keys))
                )
        return len(keys)


def _lapsed(session: Session) -> Select[Any]:
    """Running jobs whose lease is over by the database's clock."""
    return (
        select(*HEAD)
        .where(session.within(JOBS), JOBS.c.status == Status.RUNNING.value, JOBS.c.lease_ms < session.now_ms)
        .order_by(JOBS.c.tenant_id, JOBS.c.id)
    )


def _overdue(session: Session) -> Select[Any]:
    """Pending jobs that nobody may claim any more: past their deadline, or put back at the moment when they were cancelled."""
    over = or_(JOBS.c.deadline_ms < session.now_ms, JOBS.c.cancel_requested == 1)
    return (
        select(*HEAD)
        .where(session.within(JOBS), JOBS.c.status == Status.PENDING.value, over)
        .order_by(JOBS.c.tenant_id, JOBS.c.id)
    )


def _this(session: Session, job: Job) -> ColumnElement[bool]:
    return session.within(JOBS) & (JOBS.c.tenant_id == job.tenant_id) & (JOBS.c.id == job.id)
