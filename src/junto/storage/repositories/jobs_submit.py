"""Jobs written down: those of one tenant that are submitted at the same time in one transaction.

Invariant: a job, its idempotency key and its reservation are written in one transaction, so that none is without the others; one
that is refused leaves nothing, and does not keep the others of its group from being accepted.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from junto.jobs.model import Event
from junto.ports.jobs import Claim, Status, Submitted
from junto.storage.groups import Groups
from junto.storage.repositories.job_reservations import Wanted, reserve_for_jobs
from junto.storage.repositories.jobs_rows import (
    ANSWER,
    HEAD,
    REQUEST,
    find_job,
    is_scoped,
    job_of,
    one_or_many,
    open_attempts,
    pack,
    scope_id,
    sealed,
    target,
    with_sealed_texts,
    within,
)
from junto.storage.sessions import Tenant
from junto.storage.tables.jobs import IDEMPOTENCY, JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from junto.ports.jobs import Job, NewJob
    from junto.storage.bodies import Packed
    from junto.storage.groups import Outcome
    from junto.storage.repositories.jobs_fairness import VirtualTime
    from junto.storage.repositories.jobs_rows import Transactions
    from junto.storage.sessions import Session

_AT_ONCE: Final = 32
_SAME_MOMENT: Final = 64  # ids of one millisecond are in no order


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be written down; claimed for that worker at once, where there is one."""

    job: NewJob
    packed: Packed
    worker: str | None
    lease_ms: int

    @property
    def key(self) -> tuple[str, str] | None:
        """Its idempotency key and whose that is: two of one key have to be told apart by the database."""
        return None if self.job.idempotency is None else (self.job.client_id, self.job.idempotency.key)


class Submissions:
    """Writes jobs down as they come."""

    def __init__(self, transaction: Transactions, fairness: VirtualTime) -> None:
        self._transaction = transaction
        self._fairness = fairness
        self._groups: Groups[str, Wish, Submitted] = Groups(self._write, most=_AT_ONCE, apart=lambda wish: wish.key)

    async def submit(self, job: NewJob, worker: str | None, lease_ms: int) -> Submitted:
        """As ports.jobs.JobStore.submit."""
        packed = await pack(job.request)
        return await self._groups.join(job.tenant_id, Wish(job=job, packed=packed, worker=worker, lease_ms=lease_ms))

    async def _write(self, tenant_id: str, wishes: Sequence[Wish]) -> Sequence[Outcome[Submitted]]:
        outcomes: dict[str, Outcome[Submitted]] = {}
        async with self._transaction(Tenant(tenant_id)) as session:
            # Keys first, in one order, then budgets in theirs: no two groups wait for each other in a circle.
            for wish in sorted((wish for wish in wishes if wish.key), key=lambda wish: wish.key or ("", "")):
                if not await _take_key(session, wish.job):
                    outcomes[wish.job.id] = await _earlier(session, wish.job)
            paid = [
                Wanted(holder=wish.job.id, budgets=wish.job.budgets, nano=wish.job.reserve_nano)
                for wish in wishes
                if wish.job.reserve_nano and wish.job.budgets and wish.job.id not in outcomes
            ]
            refused = await reserve_for_jobs(session, paid)
            for wish in wishes:
                if wish.job.id in refused and wish.key:
                    await _forget_key(session, wish.job)
            outcomes |= refused
            fresh = [wish for wish in wishes if wish.job.id not in outcomes]
            if fresh:
                outcomes |= await self._insert(session, fresh)
        return [outcomes[wish.job.id] for wish in wishes]

    async def _insert(self, session: Session, wishes: Sequence[Wish]) -> dict[str, Submitted]:
        tags: dict[str, int] = {}
        rows: list[dict[str, Any]] = []
        now = 0
        wishes = sorted(wishes, key=lambda wish: wish.job.id)  # as a client's line goes, so go its turns
        for wish in wishes:
            job = wish.job
            if job.client_id not in tags:
                tags[job.client_id], now = await _last_tag(session, job)
            order = tags[job.client_id] = self._fairness.tag(tags[job.client_id], job.charge)
            packed = sealed(session, wish.packed, job.tenant_id, job.id, "request")
            rows.append(_row(now, job, packed, order, wish.worker, wish.lease_ms))
        await session.execute(_INSERT, one_or_many([with_sealed_texts(session, row) for row in rows]))
        written = [job_of({name: row[name] for name in _HEAD_NAMES}, None) for row in rows]
        for worker in {wish.worker for wish in wishes if wish.worker is not None}:
            claimed = [job for job, wish in zip(written, wishes, strict=True) if wish.worker == worker]
            await open_attempts(session, claimed, worker)
        return {job.id: _submitted(job, wish) for job, wish in zip(written, wishes, strict=True)}


def _submitted(written: Job, wish: Wish) -> Submitted:
    if wish.worker is None:
        return Submitted(job=written, is_new=True)
    with_request = msgspec.structs.replace(written, request=wish.job.request)
    remaining = wish.job.deadline_ms
    claim = Claim(job=with_request, worker=wish.worker, attempt=written.attempts, remaining_ms=remaining)
    return Submitted(job=written, is_new=True, claim=claim)


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


async def _forget_key(session: Session, job: NewJob) -> None:
    """Take the key of a job back that is refused in the same transaction."""
    await session.execute(delete(IDEMPOTENCY).where(_key_of(session, job), IDEMPOTENCY.c.job_id == job.id))


async def _earlier(session: Session, job: NewJob) -> Submitted:
    """The job that the key was used for before."""
    asked = select(IDEMPOTENCY.c.job_id, IDEMPOTENCY.c.body_digest).where(_key_of(session, job))
    known = (await session.execute(asked)).one()
    earlier = await find_job(session, known.job_id, *ANSWER, *REQUEST, tenant_id=job.tenant_id)
    if earlier is None:  # keys are deleted with their jobs
        raise LookupError(known.job_id)
    return Submitted(job=earlier, is_new=False, digest=known.body_digest)


def _key_of(session: Session, job: NewJob) -> ColumnElement[bool]:
    assert job.idempotency is not None  # noqa: S101  the caller has looked
    return and_(
        session.within(IDEMPOTENCY),
        IDEMPOTENCY.c.tenant_id == job.tenant_id,
        IDEMPOTENCY.c.client_id == job.client_id,
        IDEMPOTENCY.c.key == job.idempotency.key,
    )


async def _last_tag(session: Session, job: NewJob) -> tuple[int, int]:
    """The virtual time of the client's latest jobs that were not cancelled, 0 when it has none; and the database's clock."""
    given = {"of_scope": scope_id(session), "of_tenant": job.tenant_id, "of_client": job.client_id}
    found = (await session.execute(_latest(session.now_ms, scoped=is_scoped(session)), given)).one()
    return int(found.tag or 0), int(found.now)


@cache
def _latest(now_ms: ColumnElement[int], *, scoped: bool) -> Select[Any, int]:
    """Made once: putting it together costs more than running it."""
    latest = (
        select(JOBS.c.served_order)
        .where(*within(JOBS, scoped=scoped), JOBS.c.tenant_id == bindparam("of_tenant"))
        .where(JOBS.c.client_id == bindparam("of_client"), JOBS.c.status != Status.CANCELLED.value)
        .order_by(JOBS.c.id.desc())
        .limit(_SAME_MOMENT)
        .subquery()
    )
    return select(func.max(latest.c.served_order).label("tag"), now_ms.label("now"))


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
        "kind": job.kind.value,
        "status": target(Status.PENDING, Event.CLAIM) if begins else Status.PENDING.value,
        "due_ms": now,
        "deadline_ms": None if job.deadline_ms is None else now + job.deadline_ms,
        "served_order": order,
        "turn": order,
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
_HEAD_NAMES: Final = tuple(column.name for column in HEAD)
_COPIED: Final = (
    *("tenant_id", "id", "client_id", "key_id", "task_type", "priority", "asked_sensitivity", "sensitivity", "model"),
    *("max_attempts", "prompt_version", "metadata", "webhook", "steps"),
)
