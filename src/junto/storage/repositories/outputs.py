"""Rows of audio files. Implements ports.outputs.OutputStore. The files themselves are speech/outputs.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.outputs import Output
from junto.storage.repositories.jobs_rows import Transactions, held, holding
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.jobs import JOBS
from junto.storage.tables.speech import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import RowMapping

    from junto.ports.jobs import Claim
    from junto.storage.sessions import Session, Sessions


class StoredOutputs:
    """The outputs of one database."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def add(self, claim: Claim, output: Output) -> bool:
        async with self._transaction(Tenant(claim.job.tenant_id)) as session:
            mine = select(JOBS.c.id).where(held(session)).with_for_update()
            if (await session.execute(mine, holding(session, claim))).first() is None:
                return False
            into = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
            row = {name: getattr(output, name) for name in Output.__struct_fields__}
            await session.execute(
                into(OUTPUTS).values(**{**row, "created_ms": session.now_ms}).on_conflict_do_nothing()
            )
            done = select(func.count()).where(*_of_job(session, output.tenant_id, output.job_id)).scalar_subquery()
            stepped = update(JOBS).where(held(session)).values(steps_done=done)
            await session.execute(stepped, holding(session, claim))
        return True

    async def of_job(self, tenant_id: str, job_id: str) -> Sequence[Output]:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            asked = select(OUTPUTS).where(*_of_job(session, tenant_id, job_id)).order_by(OUTPUTS.c.number)
            return [_output_of(row) for row in (await session.execute(asked)).mappings()]

    async def find(self, name: str, tenant_id: str | None) -> Output | None:
        scope = OPERATOR if tenant_id is None else Tenant(tenant_id)
        async with self._transaction(scope, reading=True) as session:
            # Its job's id, which the name begins with, leads to it in all tenants: the primary key does only in one.
            job_id = name.partition(".")[0].partition("-")[0]
            asked = select(OUTPUTS).where(session.within(OUTPUTS), OUTPUTS.c.job_id == job_id, OUTPUTS.c.id == name)
            if tenant_id is not None:
                asked = asked.where(OUTPUTS.c.tenant_id == tenant_id)
            row = (await session.execute(asked)).mappings().first()
            return None if row is None else _output_of(row)

    async def known(self, job_ids: Collection[str]) -> Collection[tuple[str, str]]:
        async with self._transaction(OPERATOR, reading=True) as session:
            found = await session.execute(select(OUTPUTS).where(OUTPUTS.c.job_id.in_(job_ids)))
            return {_output_of(row).file for row in found.mappings()}

    async def delete_old(self, *, older_ms: int, limit: int = 500) -> int:
        old = select(OUTPUTS.c.tenant_id, OUTPUTS.c.id).order_by(OUTPUTS.c.created_ms).limit(limit)
        async with self._transaction(OPERATOR, reading=True) as session:
            found = await session.execute(old.where(OUTPUTS.c.created_ms < session.now_ms - older_ms))
            keys = [(row.tenant_id, row.id) for row in found]
        if not keys:
            return 0
        async with self._transaction(OPERATOR) as session:
            # The pairs say which; the two lists are there for SQLite, which finds pairs by no index.
            tenants, ids = {tenant for tenant, _ in keys}, [id for _, id in keys]
            by_index = OUTPUTS.c.tenant_id.in_(tenants) & OUTPUTS.c.id.in_(ids)
            gone = delete(OUTPUTS).where(by_index, tuple_(OUTPUTS.c.tenant_id, OUTPUTS.c.id).in_(keys))
            return int((await session.execute(gone)).rowcount)


def _of_job(session: Session, tenant_id: str, job_id: str) -> tuple[Any, ...]:
    return session.within(OUTPUTS), OUTPUTS.c.tenant_id == tenant_id, OUTPUTS.c.job_id == job_id


def _output_of(row: RowMapping) -> Output:
    return Output(**{name: row[name] for name in Output.__struct_fields__})
