"""The one way in which a job ends: result, ledger entry, reservation, outbox and triage outcome, in one transaction."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, select, update

from junto.core.usage import Usage
from junto.ports.jobs import Ending, Job, Kind, Status
from junto.ports.money import Charge
from junto.storage.repositories import money
from junto.storage.repositories.jobs_rows import is_scoped, pack, scope_id, sealed, within
from junto.storage.repositories.outbox import add_webhook
from junto.storage.tables.jobs import JOBS, TRIAGE_DECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.dml import ReturningUpdate

    from junto.storage.repositories.ledger import LedgerWriter
    from junto.storage.sessions import Session

    type KeepsBodies = Callable[[str], bool]


async def end_job(  # noqa: PLR0917  the guard with its parameters, the job and its end
    session: Session,
    ledger: LedgerWriter,
    guard: ColumnElement[bool],
    guarded: Mapping[str, Any],
    job: Job,
    ending: Ending,
) -> int | None:
    """End the job if the guard still finds it, and say when; None, and nothing done, when it does not."""
    values = await _values(session, job, ending)
    ended = (await session.execute(_ending(guard, session.now_ms), {**values, **guarded})).first()
    if ended is None:
        return None
    holder = job.id if ending.reserved else None
    if ending.status is not Status.CANCELLED or ending.cost_nano:
        await ledger.charge_job(session, _charge(job, ending, ended.finished_ms), reservation_holder=holder)
    elif holder is not None:
        await money.release_holder(session, holder)
    if job.webhook and ending.webhook_id:
        await add_webhook(session, tenant_id=job.tenant_id, id=ending.webhook_id, job_id=job.id, url=job.webhook)
    if job.attempts > 1 or ending.status is not Status.COMPLETE:
        await _tell_triage(session, job, ending.status)
    return int(ended.finished_ms)


async def end_unrun(  # noqa: PLR0917  the job, its end and why
    session: Session,
    ledger: LedgerWriter,
    job: Job,
    status: Status,
    error_code: str = "",
    error_message: str = "",
    *,
    webhook_id: str,
    forget_request: bool,
) -> Job:
    """End a job that nobody runs, at no cost: the session holds its row. The job as it then stands."""
    guarded = {"of_scope": scope_id(session), "of_tenant": job.tenant_id, "of_id": job.id}
    guarded["of_status"] = job.status.value
    ending = Ending(
        status=status,
        error_code=error_code,
        error_message=error_message,
        webhook_id=webhook_id,
        forget_request=forget_request,
    )
    finished_ms = await end_job(session, ledger, _still(scoped=is_scoped(session)), guarded, job, ending)
    if finished_ms is None:
        return job
    return msgspec.structs.replace(
        job, status=status, finished_ms=finished_ms, error_code=error_code, error_message=error_message
    )


@cache
def _ending(guard: ColumnElement[bool], now_ms: ColumnElement[int]) -> ReturningUpdate[Any]:
    """Made once for each guard; the values come with the parameters."""
    return update(JOBS).where(guard).values(finished_ms=now_ms).returning(JOBS.c.finished_ms)


@cache
def _still(*, scoped: bool) -> ColumnElement[bool]:
    """The job is in the status in which it was found."""
    return and_(
        *within(JOBS, scoped=scoped),
        JOBS.c.tenant_id == bindparam("of_tenant"),
        JOBS.c.id == bindparam("of_id"),
        JOBS.c.status == bindparam("of_status"),
    )


async def _values(session: Session, job: Job, ending: Ending) -> dict[str, Any]:
    answer = None
    if ending.answer:
        answer = sealed(session, await pack(ending.answer), job.tenant_id, job.id, "answer")
    values: dict[str, Any] = {
        "status": ending.status.value,
        "lease_ms": None,
        "cancel_requested": 0,
        "answer_codec": "" if answer is None else answer.codec,
        "answer": None if answer is None else answer.content,
        "error_code": ending.error_code,
        "error_message": ending.error_message,
        "model_used": ending.model,
        "backend": ending.backend,
        "finish_reason": ending.finish_reason,
        "tokens_in": ending.usage.prompt,
        "tokens_out": ending.usage.output,
        "tokens_so_far": ending.usage.output,
        "latency_ms": ending.latency_ms,
        "cost_nano": ending.cost_nano,
    }
    if ending.forget_request:
        values["request"] = None
    return values


def _charge(job: Job, ending: Ending, at_ms: int) -> Charge:
    usage = ending.usage if ending.cost_nano or ending.status is Status.COMPLETE else Usage()
    if job.kind is Kind.SPEECH:
        usage = Usage(input=usage.input)  # what it made are bytes, and no tokens
    return Charge(
        id=job.id,
        tenant_id=job.tenant_id,
        client_id=job.client_id,
        key_id=job.key_id,
        at_ms=at_ms,
        task_type=job.task_type,
        model=ending.model,
        backend=ending.backend,
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
        usage_estimated=usage.estimated,
        failed=ending.status is Status.FAILED,
        cost_nano=ending.cost_nano,
        price_date=ending.price_date,
    )


async def _tell_triage(session: Session, job: Job, status: Status) -> None:
    """The outcome of what was decided on the way; most jobs had no decision."""
    mine = (
        session.within(TRIAGE_DECISIONS)
        & (TRIAGE_DECISIONS.c.tenant_id == job.tenant_id)
        & (TRIAGE_DECISIONS.c.job_id == job.id)
        & (TRIAGE_DECISIONS.c.outcome == "")
    )
    if (await session.execute(select(TRIAGE_DECISIONS.c.id).where(mine).limit(1))).first() is not None:
        await session.execute(update(TRIAGE_DECISIONS).where(mine).values(outcome=status.value))
