"""Rows of jobs as values and back, and the transactions that all repositories of jobs work in. Decides nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from sqlalchemy import and_, bindparam, insert, select, update

from junto.core.errors import Overloaded
from junto.jobs.model import TRANSITIONS, Event
from junto.ports.jobs import Claim, Job, JobAttempt, Kind, OnCrash, Status
from junto.storage.bodies import Packed, Packer, unpack
from junto.storage.sealing import seal_text, unseal_text, unsealed
from junto.storage.sessions import Tenant
from junto.storage.tables.jobs import JOB_ATTEMPTS, JOBS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Insert, RowMapping, Select, Table, Update

    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Scope, Session, Sessions

_PATIENCE_SECONDS: Final = 10.0
_RETRY_AFTER_SECONDS: Final = 2.0
_LARGE = 64 * 1024
_TEXTS: Final = ("metadata", "webhook")  # of the caller's own, so sealed as bodies are
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


def with_sealed_texts(session: Session, row: dict[str, Any]) -> dict[str, Any]:
    """The row as it is stored, of a session whose bodies are encrypted."""
    sealer, place = session.sealer, (row["tenant_id"], row["id"])
    return row if sealer is None else {**row, **{name: seal_text(row[name], sealer, *place, name) for name in _TEXTS}}


def readable(text: str, sealer: Sealer | None, *place: str) -> str:
    """A text as it was; "", and a word in the log, where it cannot be read."""
    try:
        return unseal_text(text, sealer, *place)
    except ValueError as error:
        structlog.get_logger().error("job_text_unreadable", place=place, error=str(error))
        return ""


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


def job_of(row: RowMapping | Mapping[str, Any], sealer: Sealer | None) -> Job:
    """The job of a row, with those bodies that were selected; `sealer` is the session's."""
    fields: dict[str, Any] = {name: value for name, value in row.items() if name in _PLAIN}
    for name in ("default_route", "local", "cancel_requested"):
        fields[name] = bool(fields[name])
    fields["status"] = Status(fields["status"])
    fields["on_crash"] = OnCrash(fields["on_crash"])
    fields["kind"] = Kind(fields["kind"])
    for name in _TEXTS:
        fields[name] = readable(fields[name], sealer, row["tenant_id"], row["id"], name)
    for name in ("request", "answer"):
        if row.get(name) is not None:
            packed = Packed(row[f"{name}_codec"], row[name])
            fields[name] = unpacked(packed, sealer, row["tenant_id"], row["id"], name)
    return Job(**fields)


def attempt_of(row: RowMapping) -> JobAttempt:
    """The attempt of a row."""
    fields = {name: row[name] for name in JobAttempt.__struct_fields__}
    fields["reasons"] = msgspec.json.decode(row["reasons"], type=tuple[str, ...]) if row["reasons"] else ()
    return JobAttempt(**fields)


async def find_job(
    session: Session, job_id: str, *columns: ColumnElement[Any], tenant_id: str | None = None, lock: bool = False
) -> Job | None:
    """One job within the session's scope."""
    asked = _finding(columns, scoped=is_scoped(session), by_tenant=tenant_id is not None, lock=lock)
    given = {"of_scope": scope_id(session), "of_tenant": tenant_id, "of_id": job_id}
    row = (await session.execute(asked, given)).mappings().first()
    return None if row is None else job_of(row, session.sealer)


def is_scoped(session: Session) -> bool:
    """Whether the session keeps statements to one tenant: then a statement's `of_scope` says which."""
    return session.filtered and isinstance(session.scope, Tenant)


def scope_id(session: Session) -> str:
    """The tenant of the session, "" for all."""
    return session.scope.id if isinstance(session.scope, Tenant) else ""


def within(table: Table, *, scoped: bool) -> tuple[ColumnElement[bool], ...]:
    """The condition of `Session.within` in a statement that is made once."""
    return (table.c.tenant_id == bindparam("of_scope"),) if scoped else ()


# Statements are made once for each form that they have: putting one together costs more than running it.


@cache
def _finding(columns: tuple[ColumnElement[Any], ...], *, scoped: bool, by_tenant: bool, lock: bool) -> Select[Any]:
    asked = select(*HEAD, *columns).where(*within(JOBS, scoped=scoped), JOBS.c.id == bindparam("of_id"))
    if by_tenant:
        asked = asked.where(JOBS.c.tenant_id == bindparam("of_tenant"))
    return asked.with_for_update() if lock else asked


def held(session: Session) -> ColumnElement[bool]:
    """The guard of every write that a claim allows: its fence, and that the job still runs under it. Needs `holding`."""
    return _held(scoped=is_scoped(session))


def holding(session: Session, claim: Claim) -> dict[str, Any]:
    """The parameters of `held`."""
    tenant_id, job_id, fence = claim.key
    return {"of_scope": scope_id(session), "of_tenant": tenant_id, "of_id": job_id, "of_fence": fence}


@cache
def _held(*, scoped: bool) -> ColumnElement[bool]:
    return and_(
        *within(JOBS, scoped=scoped),
        JOBS.c.tenant_id == bindparam("of_tenant"),
        JOBS.c.id == bindparam("of_id"),
        JOBS.c.fence == bindparam("of_fence"),
        JOBS.c.status == Status.RUNNING.value,
    )


async def open_attempts(session: Session, jobs: Sequence[Job], worker: str) -> None:
    """Write attempts down: in the transaction of their claims, so before their upstream calls."""
    rows = [
        {
            "tenant_id": job.tenant_id,
            "job_id": job.id,
            "number": job.attempts,
            "fence": job.fence,
            "worker": worker,
            "model": "",
            "backend": "",
            "outcome": "",
            "error": "",
            "tokens": 0,
            "swap_ms": 0,
        }
        for job in jobs
    ]
    if rows:
        await session.execute(_opening(session.now_ms), one_or_many(rows))


async def end_attempt(session: Session, job: Job, values: Mapping[str, Any]) -> None:
    """Write down how the job's latest attempt ended; `reasons` only where there are any."""
    if "reasons" in values:
        values = {**values, "reasons": msgspec.json.encode(values["reasons"]).decode()}
    mine = {"of_tenant": job.tenant_id, "of_job": job.id, "of_number": job.attempts, "of_fence": job.fence}
    await session.execute(
        _attempt_ends(session.now_ms, scoped=is_scoped(session)), {"of_scope": scope_id(session), **mine, **values}
    )


def one_or_many(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | Sequence[dict[str, Any]]:
    """Parameters of an insert: a single row goes the short way, which on Postgres is one round trip."""
    return rows[0] if len(rows) == 1 else rows


@cache
def _opening(now_ms: ColumnElement[int]) -> Insert:
    return insert(JOB_ATTEMPTS).values(started_ms=now_ms)


@cache
def _attempt_ends(now_ms: ColumnElement[int], *, scoped: bool) -> Update:
    return (
        update(JOB_ATTEMPTS)
        .where(
            *within(JOB_ATTEMPTS, scoped=scoped),
            JOB_ATTEMPTS.c.tenant_id == bindparam("of_tenant"),
            JOB_ATTEMPTS.c.job_id == bindparam("of_job"),
            JOB_ATTEMPTS.c.number == bindparam("of_number"),
            JOB_ATTEMPTS.c.fence == bindparam("of_fence"),
        )
        .values(ended_ms=now_ms)
    )
