"""Workers frozen past their leases and continued, again and again: what they then want to write is refused.

Many of the freezes come at the worst moment, right before an end is written; the others at any time. The lease is one second: a
freeze has to outlast it.
"""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.jobs.processes import Child, is_stopped, orders, until
from tests.chaos.jobs.stock import Stock
from tests.chaos.jobs.test_failpoints import PRICE
from tests.chaos.sizes import PATIENCE, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOBS = size(80, 3_000)
FREEZES = size(6, 200)
LEASE = 1.0
FROZEN_SECONDS = 2.0
FREEZING = 3


class Freezer:
    """Finds workers that have stopped, stops others at random, and continues all when their leases are over."""

    def __init__(self, workers: list[Child], stock: Stock) -> None:
        self._workers = workers
        self._stock = stock
        self._frozen: dict[int, float] = {}  # since when, by process
        self._chance = random.Random(3)
        self._next_random = time.monotonic()
        self.count = 0
        self.ended: dict[str, Any] = {}  # jobs that had ended when a worker was continued, as they were

    def turn(self) -> int:
        """Look at all workers once; how many have been continued in all."""
        now = time.monotonic()
        for worker in self._workers:
            since = self._frozen.get(worker.pid)
            if since is None and is_stopped(worker.pid):
                self._frozen[worker.pid] = now
            elif since is not None and now > since + FROZEN_SECONDS:
                self._continue(worker)
        awake = [worker for worker in self._workers if worker.pid not in self._frozen]
        if now > self._next_random and awake:
            self._chance.choice(awake).send(signal.SIGSTOP)
            self._next_random = now + self._chance.uniform(0.5, 2.5)
        time.sleep(0.02)
        return self.count

    def _continue(self, worker: Child) -> None:
        for id, job in ends(self._stock).items():
            assert self.ended.setdefault(id, job) == job
        del self._frozen[worker.pid]
        self.count += 1
        worker.send(signal.SIGCONT)

    def thaw(self) -> None:
        """Let all go on."""
        for worker in self._workers:
            worker.send(signal.SIGCONT)


def ends(stock: Stock) -> dict[str, tuple[Any, ...]]:
    """What is written of the jobs that have ended."""
    return {
        job["id"]: (job["status"], job["fence"], job["finished_ms"], job["answer"], job["cost_nano"])
        for job in stock.jobs()
        if job["finished_ms"] is not None
    }


@pytest.mark.timeout(PATIENCE)
def test_workers_that_were_frozen_past_their_leases_change_nothing(
    tmp_path: Path, postgres_url: str, report: Callable[..., None]
) -> None:
    begun, stock = time.monotonic(), Stock(postgres_url)
    stock.submit(JOBS)
    plan: dict[str, Any] = {"database_url": postgres_url, "works_only": True, "pause": 0.15, "lease": LEASE}
    freezing = {"stop_at": "before finish", "stop_each": 6}
    with ExitStack() as stack:
        stack.enter_context(Child(orders(tmp_path / "steady", **plan, concurrency=8))).ready()
        workers = [
            stack.enter_context(Child(orders(tmp_path / f"w{number}", **plan, **freezing))).ready()
            for number in range(FREEZING)
        ]
        freezer = Freezer(workers, stock)
        until(lambda: freezer.turn() >= FREEZES, PATIENCE)
        until(lambda: freezer.turn() > 0 and stock.are_over(), size(60, 600), every=0.5)
        freezer.thaw()
        until(lambda: any(worker.refused for worker in workers))
        refused = sum(worker.refused for worker in workers)
    jobs, ledger = {job["id"]: job for job in stock.jobs()}, {row["id"]: row for row in stock.ledger()}
    ok = [(row["job_id"], row["fence"]) for row in stock.attempts() if row["outcome"] == "ok"]
    complete = {id: job["fence"] for id, job in jobs.items() if job["status"] == "complete"}
    stale = [id for id, fence in ok if complete.get(id) != fence]
    changed = [id for id, job in ends(stock).items() if freezer.ended.get(id, job) != job]
    report(
        scenario="3. workers frozen",
        attempted=f"{JOBS:,} jobs, SIGSTOP past the lease of {LEASE:.0f} s, then SIGCONT x{freezer.count}",
        lost=JOBS - len(jobs) + len(set(jobs) - set(ledger)),
        doubled=len(ok) - len(set(ok)) + len(stale) + len(changed),
        refused=refused,
        seconds=time.monotonic() - begun,
        also=f"stale writes accepted: {len(stale) + len(changed)}; {len(complete):,} complete,"
        f" {len(jobs) - len(complete):,} set aside after three lost leases",
    )
    assert refused > 0
    assert (stale, changed) == ([], [])
    assert len(jobs) == JOBS
    assert sorted(id for id, _ in ok) == sorted(complete)
    assert set(ledger) == set(jobs)
    assert {job["error_code"] for id, job in jobs.items() if id not in complete} <= {"poisonous"}
    assert sum(row["cost_nano"] for row in ledger.values()) == PRICE * len(complete)
