"""Jobs as their callers know them: submitted, read, listed, cancelled. Implements ports.jobs.JobStore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, literal, select, update

from junto.ports.jobs import Job, JobAttempt, JobQuery, Status, Submitted
from junto.storage.groups import Groups
from junto.storage.repositories.jobs_ends import end_unrun
from junto.storage.repositories.jobs_order import IS_PENDING
from junto.storage.repositories.jobs_rows import ANSWER, HEAD, Transactions, attempt_of, find_job, job_of
from junto.storage.repositories.jobs_submit import Submissions
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.jobs import JOB_ATTEMPTS, JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, ScalarSelect

    from junto.ports.jobs import NewJob
    from junto.storage.repositories.jobs_ends import KeepsBodies
    from junto.storage.repositories.jobs_fairness import VirtualTime
    from junto.storage.repositories.ledger import LedgerWriter
    from junto.storage.sessions import Sessions

_FURTHEST_PLACE: Final = 1000
_ASKED_AT_ONCE: Final = 32


class StoredJobs:
    """The jobs of one database. `keeps_bodies` says of a tier whether what was asked stays stored after a job's end."""

    def __init__(
        self, sessions: Sessions, *, ledger: LedgerWriter, fairness: VirtualTime, keeps_bodies: KeepsBodies
    ) -> None:
        self._transaction = Transactions(sessions)
        self._ledger = ledger
        self._submissions = Submissions(self._transaction, fairness)
        self._places: Groups[None, Job, int] = Groups(self._places_of, most=_ASKED_AT_ONCE)
        self._keeps_bodies = keeps_bodies

    async def submit(self, job: NewJob, *, worker: str | None = None, lease_ms: int = 0) -> Submitted:
        return await self._submissions.submit(job, worker, lease_ms)

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
            return [job_of(row, session.sealer) for row in found.mappings()]

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
        return await self._places.join(None, job)

    async def _places_of(self, _: None, jobs: Sequence[Job]) -> Sequence[int]:
        """A job's place is about one more than how many are before it, of whatever tenant: a number, of which nothing else is seen."""
        async with self._transaction(OPERATOR, reading=True) as session:
            found = [(await session.execute(_BEFORE, _given(job))).one() for job in jobs]
            return [_place(before.turns, before.own_turns, before.own_line) for before in found]

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
            return job if row is None else job_of(row, session.sealer)


def _waiting(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many jobs wait of which that is true: each a stretch of an index, and not counted without end."""
    found = select(literal(1)).where(IS_PENDING, *where).limit(_FURTHEST_PLACE)
    return select(func.count()).select_from(found.subquery()).scalar_subquery()


_OWN: Final = (JOBS.c.tenant_id == bindparam("of_tenant"), JOBS.c.client_id == bindparam("of_client"))
_BEFORE: Final = select(
    _waiting(JOBS.c.turn < bindparam("of_turn")).label("turns"),
    _waiting(*_OWN, JOBS.c.turn < bindparam("of_turn")).label("own_turns"),
    (
        _waiting(*_OWN, JOBS.c.priority > bindparam("of_priority"))
        + _waiting(*_OWN, JOBS.c.priority == bindparam("of_priority"), JOBS.c.id < bindparam("of_id"))
    ).label("own_line"),
)


def _given(job: Job) -> dict[str, Any]:
    own = {"of_tenant": job.tenant_id, "of_client": job.client_id, "of_id": job.id}
    return {**own, "of_turn": job.turn, "of_priority": job.priority}


def _place(turns: int, own_turns: int, own_line: int) -> int:
    """About which place that is: so many turns come before the job's, so many of them its client's, for those before it in line.

    Exact for a client that waits alone, and for one whose jobs are all as urgent.
    """
    before = turns * own_line // own_turns if own_turns else turns + own_line
    return min(before, _FURTHEST_PLACE) + 1
