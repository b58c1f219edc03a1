"""Jobs as workers know them: claimed, renewed, ended, given back. Implements ports.jobs.WorkStore.

Invariant: every write for a claim is guarded by its fence and by the status, in one statement; where that statement finds no row,
nothing else of the transaction happens.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, bindparam, case, insert, select, tuple_, update

from junto.jobs.model import Event
from junto.ports.jobs import AttemptOutcome, Claim, Renewal, Status
from junto.ports.money import NoRoom
from junto.storage.repositories.job_reservations import hold_for_job
from junto.storage.repositories.jobs_ends import end_job
from junto.storage.repositories.jobs_order import claimable, next_jobs, pending_by_key
from junto.storage.repositories.jobs_rows import (
    HEAD,
    REQUEST,
    Transactions,
    end_attempt,
    held,
    holding,
    job_of,
    open_attempts,
    target,
)
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.jobs import JOBS, TRIAGE_DECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.dml import ReturningUpdate

    from junto.ports.jobs import Ending, Retry, Room, TriageDecision
    from junto.storage.repositories.jobs_fairness import VirtualTime
    from junto.storage.repositories.ledger import LedgerWriter
    from junto.storage.sessions import Session, Sessions

_AT_ONCE: Final = 300
_KEY: Final = tuple_(JOBS.c.tenant_id, JOBS.c.id, JOBS.c.fence)
_OUTCOMES: Final[Mapping[Status, AttemptOutcome]] = {
    Status.COMPLETE: AttemptOutcome.OK,
    Status.FAILED: AttemptOutcome.FAILED,
    Status.CANCELLED: AttemptOutcome.CANCELLED,
}


class StoredWork:
    """The work of one database."""

    def __init__(self, sessions: Sessions, *, ledger: LedgerWriter, fairness: VirtualTime) -> None:
        self._transaction = Transactions(sessions)
        self._ledger = ledger
        self._fairness = fairness

    async def claim(
        self, worker: str, room: Room, *, lease_ms: int, limit: int = 1, prefer: Sequence[str] = ()
    ) -> Sequence[Claim]:
        if room.local <= 0 and room.cloud <= 0:
            return ()
        async with self._transaction(OPERATOR) as session:
            keys = await next_jobs(session, room, limit, prefer)
            return await self._take(session, keys, worker, lease_ms) if keys else ()

    async def _take(
        self, session: Session, keys: Sequence[tuple[str, str]], worker: str, lease_ms: int
    ) -> Sequence[Claim]:
        which = {"of_tenants": [*{tenant for tenant, _ in keys}], "of_ids": [id for _, id in keys], "of_keys": keys}
        taken = await session.execute(
            _taking(session.now_ms), {**which, "of_lease": lease_ms, "worker": worker, "tokens_so_far": 0}
        )
        claims = {}
        for row in taken.mappings():
            job = job_of(row, session.sealer)
            self._fairness.served(job.turn)
            claim = Claim(job=job, worker=worker, attempt=job.attempts, remaining_ms=row["remaining_ms"])
            claims[job.tenant_id, job.id] = claim
        await open_attempts(session, [claim.job for claim in claims.values()], worker)
        return [claims[key] for key in keys if key in claims]

    async def renew(self, claims: Sequence[tuple[Claim, int]], *, lease_ms: int) -> Sequence[Renewal]:
        renewed: list[Renewal] = []
        for start in range(0, len(claims), _AT_ONCE):
            renewed += await self._renew(claims[start : start + _AT_ONCE], lease_ms)
        return renewed

    async def _renew(self, claims: Sequence[tuple[Claim, int]], lease_ms: int) -> Sequence[Renewal]:
        async with self._transaction(OPERATOR) as session:
            # Locked in one order first: two workers' renewals, or a sweep, must not wait for each other in a circle.
            asked = (
                select(JOBS.c.tenant_id, JOBS.c.id, JOBS.c.fence, JOBS.c.cancel_requested)
                .where(session.within(JOBS), _KEY.in_([claim.key for claim, _ in claims]))
                .where(JOBS.c.status == Status.RUNNING.value)
                .order_by(JOBS.c.tenant_id, JOBS.c.id)
            )
            rows = (await session.execute(asked.with_for_update())).all()
            if not rows:
                return ()
            tokens = {claim.key: so_far for claim, so_far in claims}
            await session.execute(
                _RENEW.values(
                    lease_ms=session.now_ms + lease_ms, tokens_so_far=bindparam("of_tokens", type_=BigInteger)
                ),
                [
                    {
                        "of_tenant": row.tenant_id,
                        "of_id": row.id,
                        "of_fence": row.fence,
                        "of_tokens": tokens[row.tenant_id, row.id, row.fence],
                    }
                    for row in rows
                ],
            )
            return [Renewal((row.tenant_id, row.id, row.fence), bool(row.cancel_requested)) for row in rows]

    async def to_cancel(self, worker: str) -> Sequence[tuple[str, str, int]]:
        asked = select(JOBS.c.tenant_id, JOBS.c.id, JOBS.c.fence).where(
            JOBS.c.status == Status.RUNNING.value, JOBS.c.worker == worker, JOBS.c.cancel_requested == 1
        )
        async with self._transaction(OPERATOR, reading=True) as session:
            found = await session.execute(asked.where(session.within(JOBS)))
            return [(row.tenant_id, row.id, row.fence) for row in found]

    async def hold(self, claim: Claim, nano: int) -> bool:
        try:
            async with self._transaction(Tenant(claim.job.tenant_id)) as session:
                mine = select(JOBS.c.id).where(held(session)).with_for_update()
                if (await session.execute(mine, holding(session, claim))).first() is None:
                    return False
                await hold_for_job(session, holder=claim.job.id, nano=nano)
        except NoRoom:
            return False
        return True

    async def finish(self, claim: Claim, ending: Ending) -> int | None:
        async with self._transaction(Tenant(claim.job.tenant_id)) as session:
            guard, guarded = held(session), holding(session, claim)
            finished_ms = await end_job(session, self._ledger, guard, guarded, claim.job, ending)
            if finished_ms is None:
                return None
            ended: dict[str, Any] = {"model": ending.model, "backend": ending.backend, "tokens": ending.usage.output}
            ended["swap_ms"] = ending.swap_ms
            ended |= {"outcome": _OUTCOMES[ending.status].value, "error": ending.error_code, **_why(ending.reasons)}
            await end_attempt(session, claim.job, ended)
        return finished_ms

    async def retry(self, claim: Claim, retry: Retry) -> bool:
        changed: dict[str, Any] = {"error_code": retry.error_code}
        if retry.model is not None:
            changed["model"] = retry.model
        if not retry.counts:
            changed["max_attempts"] = JOBS.c.max_attempts + 1
        outcome = {"outcome": AttemptOutcome.FAILED.value, "error": retry.error_code, **_why(retry.reasons)}
        return await self._put_back(claim, retry.delay_ms, changed, outcome)

    async def release(self, claim: Claim) -> bool:
        changed = {"max_attempts": JOBS.c.max_attempts + 1}  # this attempt was not the job's fault
        return await self._put_back(claim, 0, changed, {"outcome": AttemptOutcome.RELEASED.value})

    async def _put_back(
        self, claim: Claim, delay_ms: int, changed: Mapping[str, Any], attempt: Mapping[str, Any]
    ) -> bool:
        async with self._transaction(Tenant(claim.job.tenant_id)) as session:
            put_back = {
                "status": target(Status.RUNNING, Event.PUT_BACK),
                "due_ms": session.now_ms + delay_ms,
                "lease_ms": None,
                "worker": "",
                **changed,
            }
            done = await session.execute(update(JOBS).where(held(session)).values(put_back), holding(session, claim))
            if done.rowcount != 1:
                return False
            await end_attempt(session, claim.job, attempt)
        return True

    async def record_triage(self, decision: TriageDecision) -> None:
        async with self._transaction(Tenant(decision.tenant_id)) as session:
            row = {name: getattr(decision, name) for name in decision.__struct_fields__}
            await session.execute(insert(TRIAGE_DECISIONS).values(**row, outcome="", at_ms=session.now_ms))


def _why(reasons: Sequence[str]) -> dict[str, Sequence[str]]:
    return {"reasons": reasons} if reasons else {}


_RENEW: Final = update(JOBS).where(
    JOBS.c.tenant_id == bindparam("of_tenant"),
    JOBS.c.id == bindparam("of_id"),
    JOBS.c.fence == bindparam("of_fence"),
    JOBS.c.status == Status.RUNNING.value,
)


@cache
def _taking(now_ms: ColumnElement[int]) -> ReturningUpdate[Any]:
    """Made once: putting it together costs more than running it.

    The pairs say which. The lists beside them, and a status that is not a bare column, lead SQLite to the primary key: it would
    go through all that wait otherwise.
    """
    return (
        update(JOBS)
        .where(
            JOBS.c.tenant_id.in_(bindparam("of_tenants", expanding=True)),
            JOBS.c.id.in_(bindparam("of_ids", expanding=True)),
            tuple_(JOBS.c.tenant_id, JOBS.c.id).in_(bindparam("of_keys", expanding=True)),
            *claimable(now_ms, pending_by_key()),
        )
        .values(
            status=target(Status.PENDING, Event.CLAIM),
            fence=JOBS.c.fence + 1,
            attempts=JOBS.c.attempts + 1,
            lease_ms=now_ms + bindparam("of_lease", type_=BigInteger),
            started_ms=case((JOBS.c.started_ms.is_(None), now_ms), else_=JOBS.c.started_ms),
        )
        .returning(*HEAD, *REQUEST, (JOBS.c.deadline_ms - now_ms).label("remaining_ms"))
    )
