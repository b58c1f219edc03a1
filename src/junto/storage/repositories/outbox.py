"""The outbox: webhooks that are due, claimed by one node at a time. Implements ports.webhooks.WebhookStore.

Invariant: a claim is one guarded update. It moves `due_ms` beyond the hold and raises `attempts`, so two nodes that look at
the same row cannot both have it, and what a late one writes about an older attempt changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import and_, func, insert, select, tuple_, update

from junto.ports.webhooks import Delivery, Notice
from junto.storage.sealing import seal_text, unseal_text
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.jobs import JOBS, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Session, Sessions

_LONGEST_ERROR = 300


async def add_webhook(session: Session, *, tenant_id: str, id: str, job_id: str, url: str) -> None:
    """Put a webhook into the outbox, due at once: in the transaction that ends the job, so that neither is without the other."""
    await session.execute(
        insert(OUTBOX).values(
            tenant_id=tenant_id,
            id=id,
            job_id=job_id,
            kind="webhook",
            url=seal_text(url, session.sealer, tenant_id, id, "url"),
            attempts=0,
            due_ms=session.now_ms,
        )
    )


async def deliveries(session: Session, job_id: str) -> Sequence[Delivery]:
    """The webhooks of a job within the session's scope, oldest first."""
    found = await session.execute(
        select(OUTBOX).where(session.within(OUTBOX), OUTBOX.c.job_id == job_id).order_by(OUTBOX.c.id)
    )
    return [_delivery(row, session.sealer) for row in found.mappings()]


class StoredWebhooks:
    """The outbox of one database."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def claim(self, *, limit: int, hold_ms: int) -> Sequence[Notice]:
        async with self._sessions.read(
            OPERATOR
        ) as session:  # most of the time there is nothing: do not take the writer for that
            if not (await session.execute(_waiting(session, limit))).first():
                return ()
        async with self._sessions.write(OPERATOR) as session:
            claimed = await session.execute(
                update(OUTBOX)
                .where(
                    tuple_(OUTBOX.c.tenant_id, OUTBOX.c.id).in_(_waiting(session, limit)),
                    OUTBOX.c.done_ms.is_(None),
                    OUTBOX.c.due_ms <= session.now_ms,
                )
                .values(due_ms=session.now_ms + hold_ms, attempts=OUTBOX.c.attempts + 1)
                .returning(OUTBOX.c.tenant_id, OUTBOX.c.id)
            )
            keys = [tuple(row) for row in claimed]
            if not keys:
                return ()
            found = await session.execute(
                select(OUTBOX, JOBS.c.client_id, JOBS.c.sensitivity, JOBS.c.finished_ms, session.now_ms.label("now_ms"))
                .join_from(
                    OUTBOX,
                    JOBS,
                    and_(OUTBOX.c.tenant_id == JOBS.c.tenant_id, OUTBOX.c.job_id == JOBS.c.id),
                    isouter=True,
                )
                .where(tuple_(OUTBOX.c.tenant_id, OUTBOX.c.id).in_(keys))
            )
            return [_notice(row, session.sealer) for row in found.mappings()]

    async def delivered(self, notice: Notice) -> None:
        await self._end(notice, None)

    async def retry(self, notice: Notice, *, delay_ms: int, error: str) -> None:
        async with self._sessions.write(Tenant(notice.tenant_id)) as session:
            await session.execute(
                update(OUTBOX)
                .where(*_this_attempt(session, notice))
                .values(due_ms=session.now_ms + delay_ms, last_error=error[:_LONGEST_ERROR])
            )

    async def give_up(self, notice: Notice, *, error: str) -> None:
        await self._end(notice, error[:_LONGEST_ERROR])

    async def deliveries(self, tenant_id: str, job_id: str) -> Sequence[Delivery]:
        async with self._sessions.read(Tenant(tenant_id)) as session:
            return await deliveries(session, job_id)

    async def _end(self, notice: Notice, error: str | None) -> None:
        async with self._sessions.write(Tenant(notice.tenant_id)) as session:
            await session.execute(
                update(OUTBOX).where(*_this_attempt(session, notice)).values(done_ms=session.now_ms, last_error=error)
            )


def _waiting(session: Session, limit: int) -> Select[tuple[str, str]]:
    """The keys of what is due, each tenant's oldest first and tenants in turn, so that none waits behind all of another's."""
    place = func.row_number().over(partition_by=OUTBOX.c.tenant_id, order_by=(OUTBOX.c.due_ms, OUTBOX.c.id))
    due = (
        select(OUTBOX.c.tenant_id, OUTBOX.c.id, OUTBOX.c.due_ms, place.label("place"))
        .where(session.within(OUTBOX), OUTBOX.c.done_ms.is_(None), OUTBOX.c.due_ms <= session.now_ms)
        .subquery()
    )
    return select(due.c.tenant_id, due.c.id).order_by(due.c.place, due.c.due_ms).limit(limit)


def _url(row: RowMapping, sealer: Sealer | None) -> str:
    """Where to; "" where that cannot be read, which is no address, so that it is given up in the end."""
    try:
        return unseal_text(row["url"], sealer, row["tenant_id"], row["id"], "url")
    except ValueError as error:
        structlog.get_logger().error("webhook_unreadable", event_id=row["id"], error=str(error))
        return ""


def _this_attempt(session: Session, notice: Notice) -> tuple[ColumnElement[bool], ...]:
    return (
        session.within(OUTBOX),
        OUTBOX.c.tenant_id == notice.tenant_id,
        OUTBOX.c.id == notice.id,
        OUTBOX.c.attempts == notice.attempt,
        OUTBOX.c.done_ms.is_(None),
    )


def _notice(row: RowMapping, sealer: Sealer | None) -> Notice:
    return Notice(
        tenant_id=row["tenant_id"],
        id=row["id"],
        job_id=row["job_id"],
        client_id=row["client_id"] or "",
        url=_url(row, sealer),
        attempt=row["attempts"],
        sensitivity=row["sensitivity"] or "confidential",  # of a job that is gone nothing is known
        now_ms=row["now_ms"],
        finished_ms=row["finished_ms"],
    )


def _delivery(row: RowMapping, sealer: Sealer | None) -> Delivery:
    over = row["done_ms"] is not None
    state = "pending" if not over else "delivered" if row["last_error"] is None else "given_up"
    return Delivery(
        id=row["id"],
        url=_url(row, sealer),
        state=state,
        attempts=row["attempts"],
        last_error=row["last_error"],
        next_ms=None if over else row["due_ms"],
        done_ms=row["done_ms"],
    )
