"""Rows of jobs as values and back, and the transactions that all repositories of jobs work in. Decides nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy import and_, select, update

from junto.core.errors import Overloaded
from junto.jobs.model import TRANSITIONS, Event
from junto.ports.jobs import Claim, Job, JobAttempt, OnCrash, Status
from junto.storage.bodies import Packed, Packer, unpack
from junto.storage.sealing import unsealed
from junto.storage.tables.jobs import JOB_ATTEMPTS, JOBS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy import ColumnElement, RowMapping, Update

    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Scope, Session, Sessions

_PATIENCE_SECONDS: Final = 10.0
_RETRY_AFTER_SECONDS: Final = 2.0
_LARGE = 64 * 1024
_BODIES: Final = frozenset({"request", "request_codec", "answer", "answer_codec"})

HEAD: Final = tuple(column for column in JOBS.columns if column.name not in _BODIES)
REQUEST: Final = (JOBS.c.request_codec, JOBS.c.request)
ANSWER: Final = (JOBS.c.answer_codec, JOBS.c.answer)
_PLAIN: Final = frozenset(Job.__struct_fields__) - _BODIES


class Transactions:
    """Begins transactions that are bounded in time; Overloaded when the database is away, or does not come back in time."""

    def __init__(self, sessions: Sessions, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._sessions = sessions
        self._patience = patience

    @asynccontextmanager
    async def __call__(self, scope: Scope, *, reading: bool = False) -> AsyncIterator[Session]:
        begin = self._sessions.read if reading else self._sessions.write
        try:
            async with asyncio.timeout(self._patience), begin(scope) as session:
                yield session
        except TimeoutError as error:
            raise Overloaded("The database does not answer right now.", retry_after=_RETRY_AFTER_SECONDS) from error


async def pack(body: bytes) -> Packed:
    """Compress a body, a large one in a thread."""
    if len(body) > _LARGE:
        return await asyncio.to_thread(Packer().pack, body, b"")
    return Packer().pack(body, b"")


def sealed(session: Session, packed: Packed, *place: str) -> Packed:
    """The body encrypted for that place (tenant, job, which body), where bodies are."""
    return packed if session.sealer is None else session.sealer.seal(packed, *place)


def unpacked(packed: Packed, sealer: Sealer | None, *place: str) -> bytes:
    """A body as it was; b"", and a word in the log, where it cannot be read: one such job must not stop the others."""
    try:
        body, rest = unpack(unsealed(packed, sealer, *place), 0)
    except ValueError as error:
        structlog.get_logger().error("job_body_unreadable", place=place, error=str(error))
        return b""
    return body or rest


def sources(event: Event) -> list[str]:
    """The statuses in which that can happen, for a guard."""
    return [status.value for (status, what) in TRANSITIONS if what is event]


def target(status: Status, event: Event) -> str:
    """What the status becomes."""
    return TRANSITIONS[status, event].value


def job_of(row: RowMapping | Mapping[str, Any], sealer: Sealer | None = None) -> Job:
    """The job of a row, with those bodies that were selected; `sealer` is the session's."""
    fields: dict[str, Any] = {name: value for name, value in row.items() if name in _PLAIN}
    for name in ("default_route", "local", "cancel_requested"):
        fields[name] = bool(fields[name])
    fields["status"] = Status(fields["status"])
    fields["on_crash"] = OnCrash(fields["on_crash"])
    for name in ("request", "answer"):
        if row.get(name) is not None:
            packed = Packed(row[f"{name}_codec"], row[name])
            fields[name] = unpacked(packed, sealer, row["tenant_id"], row["id"], name)
    return Job(**fields)


def attempt_of(row: RowMapping) -> JobAttempt:
    """The attempt of a row."""
    return JobAttempt(**{name: row[name] for name in JobAttempt.__struct_fields__})


async def find_job(
    session: Session, job_id: str, *columns: ColumnElement[Any], tenant_id: str | None = None, lock: bool = False
) -> Job | None:
    """One job within the session's scope."""
    asked = select(*HEAD, *columns).where(session.within(JOBS), JOBS.c.id == job_id)
    if tenant_id is not None:
        asked = asked.where(JOBS.c.tenant_id == tenant_id)
    row = (await session.execute(asked.with_for_update() if lock else asked)).mappings().first()
    return None if row is None else job_of(row, session.sealer)


def held(session: Session, claim: Claim) -> ColumnElement[bool]:
    """The guard of every write that a claim allows: its fence, and that the job still runs under it."""
    tenant_id, job_id, fence = claim.key
    return and_(
        session.within(JOBS),
        JOBS.c.tenant_id == tenant_id,
        JOBS.c.id == job_id,
        JOBS.c.fence == fence,
        JOBS.c.status == Status.RUNNING.value,
    )


async def open_attempt(session: Session, job: Job, worker: str) -> None:
    """Write an attempt down: in the transaction of its claim, so before its upstream call."""
    row = {
        "tenant_id": job.tenant_id,
        "job_id": job.id,
        "number": job.attempts,
        "fence": job.fence,
        "worker": worker,
        "started_ms": session.now_ms,
        "model": "",
        "backend": "",
        "outcome": "",
        "error": "",
        "tokens": 0,
        "swap_ms": 0,
    }
    await session.execute(JOB_ATTEMPTS.insert().values(row))


async def end_attempt(session: Session, job: Job, values: Mapping[str, Any]) -> None:
    """Write down how the job's latest attempt ended."""
    await session.execute(_attempt(session, job).values(ended_ms=session.now_ms, **values))


def _attempt(session: Session, job: Job) -> Update:
    return update(JOB_ATTEMPTS).where(
        session.within(JOB_ATTEMPTS),
        JOB_ATTEMPTS.c.tenant_id == job.tenant_id,
        JOB_ATTEMPTS.c.job_id == job.id,
        JOB_ATTEMPTS.c.number == job.attempts,
        JOB_ATTEMPTS.c.fence == job.fence,
    )
