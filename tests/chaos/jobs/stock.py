"""Jobs in a database, put in and looked at from the outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from junto.jobs.request import JobCaller, JobRequest
from junto.ports.jobs import Status
from junto.storage.engine import Database
from junto.storage.tables import JOB_ATTEMPTS, JOBS, LEDGER
from tests.conformance.jobs.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Stock:
    """The jobs of one database: the URL of a Postgres, or the directory of a SQLite file that nobody has open."""

    def __init__(self, place: Path | str) -> None:
        self._place = place

    def submit(self, count: int) -> list[str]:
        """Put so many jobs in; their ids."""
        request = JobRequest(
            caller=JobCaller(client="one", allow_cloud_for_internal=True),
            model="cloud-model",
            messages=({"role": "user", "content": "Go."},),
        )
        what: dict[str, Any] = {
            "model": "cloud-model",
            "local": False,
            "sensitivity": "public",
            "request": request.encode(),
            "max_attempts": 10,
        }

        async def put(desk: Desk) -> list[str]:
            await desk.set_up()
            return [(await desk.submit(**what)).id for _ in range(count)]

        return self._with(put)

    def jobs(self) -> list[Any]:
        return self._with(lambda desk: desk.rows(JOBS))

    def attempts(self) -> list[Any]:
        return self._with(lambda desk: desk.rows(JOB_ATTEMPTS))

    def ledger(self, kind: str = "job") -> list[Any]:
        """The entries of that kind."""
        return [row for row in self._with(lambda desk: desk.rows(LEDGER)) if row["kind"] == kind]

    def are_over(self) -> bool:
        return all(Status(job["status"]).is_end for job in self.jobs())

    def _with[T](self, work: Callable[[Desk], Awaitable[T]]) -> T:
        async def run() -> T:
            async with Database(self._place) as database:
                return await work(Desk(database))

        return asyncio.run(run())
