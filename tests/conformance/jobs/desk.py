"""What the tests of stored jobs do to a database: submit, claim, let time pass, look at what there is."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update

from junto.core.usage import Usage
from junto.ports.identity import BudgetChange
from junto.ports.jobs import Claim, Ending, Job, NewJob, OnCrash, Room, Status
from junto.storage.repositories.budget_limits import set_budget
from junto.storage.repositories.jobs import StoredJobs
from junto.storage.repositories.jobs_fairness import VirtualTime
from junto.storage.repositories.jobs_sweep import StoredSweep
from junto.storage.repositories.jobs_work import StoredWork
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables import CLIENTS, IDEMPOTENCY, JOB_ATTEMPTS, JOBS, LEDGER, OUTBOX, RESERVATIONS, TENANTS
from junto.storage.tables.money import BUDGETS

if TYPE_CHECKING:
    from sqlalchemy import RowMapping, Table

    from junto.storage.engine import Database
    from junto.storage.sealing import Sealer

LEASE = 30_000
PLENTY = Room(1000, 1000)
ANSWERED = Ending(
    status=Status.COMPLETE,
    answer=b'{"response":"Yes."}',
    model="m",
    backend="desk",
    usage=Usage(input=7, output=2),
    cost_nano=40,
    webhook_id="evt_1",
)


class Desk:
    """Jobs of the tenants `default` and `other`, and of their clients `cli_a`, `cli_b` and `cli_o`."""

    def __init__(self, database: Database, sealer: Sealer | None = None) -> None:
        self.sessions = Sessions(database, sealer=sealer)
        parts: dict[str, Any] = {"ledger": LedgerWriter(), "fairness": VirtualTime()}
        keeping: dict[str, Any] = {"keeps_bodies": lambda tier: tier != "confidential"}
        self.jobs = StoredJobs(self.sessions, **parts, **keeping)
        self.work = StoredWork(self.sessions, **parts)
        self.sweep = StoredSweep(self.sessions, **parts, **keeping)
        self._numbers = count(1)

    async def set_up(self) -> None:
        """Make the tenants and clients, as far as they are not there."""
        async with self.sessions.write(OPERATOR) as session:
            there = set((await session.execute(select(TENANTS.c.id))).scalars())
            for tenant, clients in (("default", ("cli_a", "cli_b")), ("other", ("cli_o",))):
                if tenant not in there:
                    await session.execute(TENANTS.insert().values(filled(TENANTS, id=tenant, name=tenant, enabled=1)))
                for client in clients:
                    row = filled(CLIENTS, tenant_id=tenant, id=client, name=client, enabled=1, scopes="[]")
                    await session.execute(CLIENTS.insert().values(row))

    def make_id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers):06d}"

    def new(self, client: str = "cli_a", *, tenant: str = "default", **fields: Any) -> NewJob:
        plain = NewJob(
            tenant_id=tenant,
            id=self.make_id("job"),
            client_id=client,
            key_id="key_a",
            task_type="bio",
            default_route=False,
            priority=5,
            asked_sensitivity="",
            sensitivity="internal",
            model="fast",
            local=True,
            on_crash=OnCrash.RETRY,
            max_attempts=3,
            deadline_ms=None,
            request=b'{"prompt":"Who?"}',
            prompt_version="",
            metadata="{}",
            webhook="",
        )
        return msgspec.structs.replace(plain, **fields)

    async def submit(self, client: str = "cli_a", **fields: Any) -> Job:
        return (await self.jobs.submit(self.new(client, **fields))).job

    async def claim(self, worker: str = "w1", room: Room = PLENTY, **options: Any) -> Claim | None:
        claims = await self.work.claim(worker, room, lease_ms=LEASE, **options)
        return claims[0] if claims else None

    async def claimed(self, worker: str = "w1", **fields: Any) -> Claim:
        """A new job, and the claim of it."""
        job = await self.submit(**fields)
        claim = await self.claim(worker)
        assert claim is not None
        assert claim.job.id == job.id
        return claim

    async def job(self, job: Job) -> Job:
        found = await self.jobs.find(job.tenant_id, job.id)
        assert found is not None
        return found

    async def change(self, job: Job, **values: Any) -> None:
        """Let time pass for a job, or do whatever else to its row."""
        async with self.sessions.write(OPERATOR) as session:
            await session.execute(update(JOBS).where(JOBS.c.id == job.id).values(**values))

    async def budget(self, limit: int, client: str = "cli_a") -> str:
        change = BudgetChange(id=self.make_id("bud"), period="total", limit_nano=limit)
        async with self.sessions.write(OPERATOR) as session:
            await set_budget(session, tenant_id="default", scope="client", scope_id=client, change=change)
        return change.id

    async def rows(self, table: Table) -> list[RowMapping]:
        async with self.sessions.read(OPERATOR) as session:
            return list((await session.execute(select(table))).mappings())

    async def rows_of_jobs(self) -> list[RowMapping]:
        return await self.rows(JOBS)

    async def ledger(self) -> list[RowMapping]:
        return await self.rows(LEDGER)

    async def attempts(self) -> list[RowMapping]:
        return await self.rows(JOB_ATTEMPTS)

    async def reserved(self) -> int:
        """What is held back from all budgets, as the budgets say and as the reservations say, which must be the same."""
        async with self.sessions.read(OPERATOR) as session:
            of_budgets = (await session.execute(select(func.sum(BUDGETS.c.reserved_nano)))).scalar() or 0
            of_holders = (await session.execute(select(func.sum(RESERVATIONS.c.amount_nano)))).scalar() or 0
        assert of_budgets == of_holders
        return int(of_budgets)

    async def count(self, table: Table) -> int:
        return len(await self.rows(table))


def filled(table: Table, **values: Any) -> dict[str, Any]:
    """A row with something in every column that needs it."""
    row = {column.name: 0 if column.type.python_type is int else "" for column in table.columns if not column.nullable}
    return {**row, **values}


__all__ = ["ANSWERED", "IDEMPOTENCY", "LEASE", "OUTBOX", "PLENTY", "Desk", "filled"]
