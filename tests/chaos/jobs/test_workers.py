"""Workers that freeze, die and are told to stop, two of them on one Postgres: nothing is lost, nothing charged twice.

A short part of what `make chaos` does for longer.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from junto.jobs.request import JobCaller, JobRequest
from junto.ports.jobs import Status
from junto.storage.engine import Database
from junto.storage.tables import JOBS, LEDGER
from tests.chaos.jobs.processes import Child, is_stopped, orders, until
from tests.conformance.jobs.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.chaos.jobs.child import Orders

PRICE = 5 * 1_000 + 5 * 2_000
KILLS = 8


class Stock:
    """Jobs in a Postgres, put in and looked at from the outside."""

    def __init__(self, url: str) -> None:
        self._url = url

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

    def ledger(self) -> list[Any]:
        return self._with(lambda desk: desk.rows(LEDGER))

    def are_over(self) -> bool:
        return all(Status(job["status"]).is_end for job in self.jobs())

    def _with[T](self, work: Callable[[Desk], Awaitable[T]]) -> T:
        async def run() -> T:
            async with Database(self._url) as database:
                return await work(Desk(database))

        return asyncio.run(run())


def worker(tmp_path: Path, url: str, name: str, **more: object) -> Orders:
    return orders(tmp_path / name, database_url=url, works_only=True, **more)


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing(tmp_path: Path, postgres_url: str) -> None:
    stock = Stock(postgres_url)
    stock.submit(3)
    with ExitStack() as stack:
        frozen = stack.enter_context(Child(worker(tmp_path, postgres_url, "a", stop_at="before finish"))).ready()
        until(lambda: is_stopped(frozen.pid))
        stack.enter_context(Child(worker(tmp_path, postgres_url, "b"))).ready()
        until(stock.are_over, 30)
        before = [(job["id"], job["fence"], job["finished_ms"]) for job in stock.jobs()]
        frozen.send(signal.SIGCONT)
        until(lambda: frozen.refused > 0)
    after = stock.jobs()
    assert [(job["id"], job["fence"], job["finished_ms"]) for job in after] == before
    assert {job["status"] for job in after} == {"complete"}
    assert max(job["fence"] for job in after) == 2
    assert sorted(entry["id"] for entry in stock.ledger()) == sorted(job["id"] for job in after)
    assert {entry["cost_nano"] for entry in stock.ledger()} == {PRICE}


def test_killed_workers_lose_no_job_and_charge_none_twice(tmp_path: Path, postgres_url: str) -> None:
    stock, moments = Stock(postgres_url), random.Random(6)
    ids = stock.submit(150)
    for number in range(KILLS):
        with Child(worker(tmp_path, postgres_url, f"w{number % 2}", pause=0.02)) as child:
            child.ready()
            time.sleep(moments.uniform(0.0, 0.4))
            child.send(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
    with Child(worker(tmp_path, postgres_url, "w0")), Child(worker(tmp_path, postgres_url, "w1")):
        until(stock.are_over, 60)
    jobs, ledger = stock.jobs(), stock.ledger()
    assert sorted(job["id"] for job in jobs) == sorted(ids)
    assert sorted(entry["id"] for entry in ledger) == sorted(ids)
    ends = [job["status"] for job in jobs]
    assert ends.count("complete") + ends.count("failed") == len(ids)
    assert all(job["error_code"] == "poisonous" for job in jobs if job["status"] == "failed")
    assert sum(entry["cost_nano"] for entry in ledger) == PRICE * ends.count("complete")
    assert any(job["crashes"] for job in jobs)


def test_a_worker_that_is_told_to_stop_gives_back_what_it_cannot_finish(tmp_path: Path, postgres_url: str) -> None:
    stock = Stock(postgres_url)
    ids = stock.submit(12)
    with Child(worker(tmp_path, postgres_url, "a", pause=0.2, grace=0.3, lease=30.0)) as child:
        child.ready()
        until(lambda: any(job["status"] == "running" for job in stock.jobs()))
        child.send(signal.SIGTERM)
        assert child.wait() == 0
    assert not [job for job in stock.jobs() if job["status"] == "running"]
    assert [job for job in stock.jobs() if job["attempts"] and job["status"] == "pending"]
    with Child(worker(tmp_path, postgres_url, "b")):
        until(stock.are_over, 30)
    jobs = stock.jobs()
    assert [job["status"] for job in jobs] == ["complete"] * len(ids)
    assert not any(job["crashes"] for job in jobs)
    assert sum(entry["cost_nano"] for entry in stock.ledger()) == PRICE * len(ids)
