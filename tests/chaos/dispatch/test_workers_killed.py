"""Workers that are killed again and again while they run jobs: none is lost, none charged twice, all run again in time.

The full run has the lease and the sweep of every installation (30 s, 5 s); the short one has a lease of 2 s.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.chaos.dispatch.books import Books
from tests.chaos.dispatch.cluster import Cluster, answer
from tests.chaos.dispatch.load import Load
from tests.chaos.jobs.processes import until
from tests.chaos.sizes import PATIENCE, size
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOBS = size(150, 2_000)
KILLS = size(4, 100)
LEASE = size(2.0, None)
WORKERS = 3


@pytest.mark.timeout(PATIENCE)
def test_killed_workers_lose_no_job_and_charge_none_twice(
    tmp_path: Path, postgres_url: str, report: Callable[..., None]
) -> None:
    chance = random.Random(6)
    books, begun = Books(postgres_url), time.monotonic()
    with (
        OpenAIEmulator() as upstream,
        Cluster(tmp_path, database_url=postgres_url, upstream_url=upstream.base_url, lease=LEASE) as cluster,
    ):
        upstream.script.always(answer(size(0.5, 1.5)))
        cluster.serve().ready()
        for number in range(WORKERS):
            cluster.worker(f"worker-{number}")
        key = cluster.client("caller", budget_usd=100, period="total")
        with Load(lambda: cluster.urls, key) as load:
            load.jobs(2, most=JOBS)
            for _ in range(KILLS):
                until(lambda: all(node.is_ready for node in cluster.workers), 60)
                time.sleep(chance.uniform(0.2, size(0.6, 1.5)))
                cluster.kill(chance.choice(cluster.workers))
            load.wait()
        left = books.open_jobs()
        books.drained(size(60, 600))
        until(lambda: all(node.is_ready for node in cluster.workers), 60)
        cluster.stop()
        dead = cluster.dead
        calls = len(upstream.script.inferences)
    verdict, recoveries = books.verdict(load.told.accepted), books.recoveries(dead)
    report(
        scenario="2. workers killed",
        attempted=f"{JOBS:,} jobs, kill -9 x{KILLS} over {WORKERS} workers, lease {LEASE or 30:.0f} s",
        lost=verdict.lost,
        doubled=verdict.doubled,
        recovery=max(recoveries, default=None),
        seconds=time.monotonic() - begun,
        also=f"{len(recoveries):,} attempts died, {left:,} jobs open after the last kill; {_words(verdict.ends)}; ledger {verdict.charged:,} of {verdict.due:,} nano",
    )
    assert load.told.complaints == []
    assert len(load.told.accepted) == JOBS
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.charged == verdict.due
    assert set(verdict.errors) <= {"poisonous"}  # set aside after three workers died of it, as told
    assert recoveries  # some were killed while they worked
    (attempts,) = books.ask("SELECT count(*) AS count FROM job_attempts")
    assert calls <= attempts["count"]  # each was written down before it began
    assert books.budgets() == [(verdict.charged, 0, 100_000_000_000)]


def _words(ends: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))
