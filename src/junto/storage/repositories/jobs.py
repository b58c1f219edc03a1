"""Jobs as their callers know them: submitted, read, listed, cancelled. Implements ports.jobs.JobStore.

Invariant: a job, its idempotency key and its reservation are written in one transaction, so that none is without the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from junto.jobs.model import Event
from junto.ports.jobs import Claim, Job, JobAttempt, JobQuery, Status, Submitted
from junto.storage.repositories import money
from junto.storage.repositories.jobs_ends import end_unrun
from junto.storage.repositories.jobs_rows import (
    ANSWER,
    HEAD,
    REQUEST,
    Transactions,
    attempt_of,
    find_job,
    job_of,
    open_attempt,
    pack,
    sealed,
    target,
)
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.jobs import IDEMPOTENCY, JOB_ATTEMPTS, JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.jobs import NewJob
    from junto.storage.bodies import Packed
    from junto.storage.repositories.jobs_ends import KeepsBodies
    from junto.storage.repositories.jobs_fairness import VirtualTime
    from junto.storage.repositories.ledger import LedgerWriter
    from junto.storage.sessions import Session, Sessions

_FURTHEST_PLACE: Final = 1000
_SAME_MOMENT: Final = 16  # ids of one millisecond are in no order


class StoredJobs:
    """The jobs of one database. `keeps_bodies` says of a tier whether what was asked stays stored after a job's end."""

    def __init__(
        self, sessions: Sessions, *, ledger: LedgerWriter, fairness: VirtualTime, keeps_bodies: KeepsBodies
    ) -> None:
        self._transaction = Transactions(sessions)
        self._ledger = ledger
        self._fairness = fairness
        self._keeps_bodies = keeps_bodies

    async def submit(self, job: NewJob, *, worker: str | None = None, lease_ms: int = 0) -> Submitted:
        packed = await pack(job.request)
        async with self._transaction(Tenant(job.tenant_id)) as session:
            if job.idempotency is not None and not await _take_key(session, job):
                return await _earlier(session, job)
            if job.reserve_nano and job.budgets:
                await money.reserve_for_job(session, holder=job.id, budgets=job.budgets, nano=job.reserve_nano)
            last_tag, now = await _last_tag(session, job)
            packed = sealed(session, packed, job.tenant_id, job.id, "request")
            row = _row(now, job, packed, self._fairness.tag(last_tag, job.charge), worker, lease_ms)
            await session.execute(_INSERT, row)
            written = job_of({column.name: row[column.name] for column in HEAD})
            if worker is None:
                return Submitted(job=written, is_new=True)
            await open_attempt(session, written, worker)
        with_request = msgspec.structs.replace(written, request=job.request)
        claim = Claim(job=with_request, worker=worker, attempt=written.attempts, remaining_ms=job.deadline_ms)
        return Submitted(job=written, is_new=True, claim=claim)

    async def find(self, tenant_id: str, job_id: str) -> Job | None:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            return await find_job(session, job_id, *ANSWER, tenant_id=tenant_id)

    async def find_anywhere(self, job_id: str) -> Job | None:
        async with self._transaction(OPERATOR, reading=True) as session:
            return await find_job(session, job_id, *ANSWER)

    async def page(self, query: JobQuery) -> Sequence[Job]:
        asked = select(*HEAD).order_by(JOBS.c.id.desc()).limit(query.limit)
        if query.tenant_id is not None:
            asked = asked.where(JOBS.c.tenant_id == query.tenant_id)
        if query.client_id is not None:
            asked = asked.where(JOBS.c.client_id == query.client_id)
        if query.status is not None:
            asked = asked.where(JOBS.c.status == query.status.value)
        if query.task_type is not None:
            asked = asked.where(JOBS.c.task_type == query.task_type)
        if query.before is not None:
            asked = asked.where(JOBS.c.id < query.before)
        scope = OPERATOR if query.tenant_id is None else Tenant(query.tenant_id)
        async with self._transaction(scope, reading=True) as session:
            found = await session.execute(asked.where(session.within(JOBS)))
            return [job_of(row) for row in found.mappings()]

    async def attempts(self, tenant_id: str, job_id: str) -> Sequence[JobAttempt]:
        asked = (
            select(JOB_ATTEMPTS)
            .where(JOB_ATTEMPTS.c.tenant_id == tenant_id, JOB_ATTEMPTS.c.job_id == job_id)
            .order_by(JOB_ATTEMPTS.c.number)
        )
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            found = await session.execute(asked.where(session.within(JOB_ATTEMPTS)))
            return [attempt_of(row) for row in found.mappings()]

    async def place(self, job: Job) -> int:
        earlier = or_(
            JOBS.c.priority > job.priority,
            and_(JOBS.c.priority == job.priority, JOBS.c.served_order < job.served_order),
        )
        before = select(literal(1)).where(JOBS.c.status == Status.PENDING.value, earlier).limit(_FURTHEST_PLACE)
        async with self._transaction(OPERATOR, reading=True) as session:  # a number, of which nothing else is seen
            return int((await session.execute(select(func.count()).select_from(before.subquery()))).scalar_one()) + 1

    async def cancel(self, tenant_id: str, job_id: str, *, force: bool, webhook_id: str) -> Job | None:
        async with self._transaction(Tenant(tenant_id)) as session:
            job = await find_job(session, job_id, tenant_id=tenant_id, lock=True)
            if job is None:
                return None
            if job.status is Status.PENDING:
                forget = not self._keeps_bodies(job.sensitivity)
                return await end_unrun(
                    session, self._ledger, job, Status.CANCELLED, webhook_id=webhook_id, forget_request=forget
                )
            if job.status is not Status.RUNNING or not force:
                return job
            asked = (
                update(JOBS)
                .where(session.within(JOBS), JOBS.c.tenant_id == tenant_id, JOBS.c.id == job_id)
                .where(JOBS.c.status == Status.RUNNING.value)
                .values(cancel_requested=1)
                .returning(*HEAD)
            )
            row = (await session.execute(asked)).mappings().first()
            return job if row is None else job_of(row)


async def _take_key(session: Session, job: NewJob) -> bool:
    """Write the idempotency key down; False when it is there already."""
    assert job.idempotency is not None  # noqa: S101  the caller has looked
    into = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
    row = {
        "tenant_id": job.tenant_id,
        "client_id": job.client_id,
        "key": job.idempotency.key,
        "body_digest": job.idempotency.digest,
        "job_id": job.id,
        "created_ms": session.now_ms,
    }
    taken = into(IDEMPOTENCY).values(row).on_conflict_do_nothing().returning(IDEMPOTENCY.c.key)
    return (await session.execute(taken)).first() is not None


async def _earlier(session: Session, job: NewJob) -> Submitted:
    """The job that the key was used for before."""
    assert job.idempotency is not None  # noqa: S101  the caller has looked
    mine = and_(
        session.within(IDEMPOTENCY),
        IDEMPOTENCY.c.tenant_id == job.tenant_id,
        IDEMPOTENCY.c.client_id == job.client_id,
        IDEMPOTENCY.c.key == job.idempotency.key,
    )
    asked = select(IDEMPOTENCY.c.job_id, IDEMPOTENCY.c.body_digest).where(mine)
    known = (await session.execute(asked)).one()
    earlier = await find_job(session, known.job_id, *ANSWER, *REQUEST, tenant_id=job.tenant_id)
    if earlier is None:  # keys are deleted with their jobs
        raise LookupError(known.job_id)
    return Submitted(job=earlier, is_new=False, digest=known.body_digest)


async def _last_tag(session: Session, job: NewJob) -> tuple[int, int]:
    """The virtual time of the client's latest jobs that were not cancelled, 0 when it has none; and the database's clock."""
    latest = (
        select(JOBS.c.served_order)
        .where(session.within(JOBS), JOBS.c.tenant_id == job.tenant_id, JOBS.c.client_id == job.client_id)
        .where(JOBS.c.status != Status.CANCELLED.value)
        .order_by(JOBS.c.id.desc())
        .limit(_SAME_MOMENT)
        .subquery()
    )
    asked = select(func.max(latest.c.served_order).label("tag"), session.now_ms.label("now"))
    found = (await session.execute(asked)).one()
    return int(found.tag or 0), int(found.now)


def _row(  # noqa: PLR0917  what a row is made of
    now: int, job: NewJob, packed: Packed, order: int, worker: str | None, lease_ms: int
) -> dict[str, Any]:
    begins = worker is not None
    return {
        **_BLANK,
        **{name: getattr(job, name) for name in _COPIED},
        "default_route": int(job.default_route),
        "local": int(job.local),
        "on_crash": job.on_crash.value,
        "status": target(Status.PENDING, Event.CLAIM) if begins else Status.PENDING.value,
        "due_ms": now,
        "deadline_ms": None if job.deadline_ms is None else now + job.deadline_ms,
        "served_order": order,
        "created_ms": now,
        "started_ms": now if begins else None,
        "fence": int(begins),
        "worker": worker or "",
        "lease_ms": now + lease_ms if begins else None,
        "attempts": int(begins),
        "request_codec": packed.codec,
        "request": packed.content,
    }


_INSERT: Final = insert(JOBS)
_BLANK: Final = {
    column.name: None if column.nullable else 0 if column.type.python_type is int else "" for column in JOBS.columns
}
_COPIED: Final = (
    *("tenant_id", "id", "client_id", "key_id", "task_type", "priority", "asked_sensitivity", "sensitivity", "model"),
    *("max_attempts", "prompt_version", "metadata", "webhook"),
)
