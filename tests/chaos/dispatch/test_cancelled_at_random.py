"""Jobs that are cancelled at any time of their lives: each ends once, complete or cancelled, and its upstream call ends with it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import httpx2
import pytest

from tests.chaos.dispatch.books import Books
from tests.chaos.dispatch.cluster import Cluster, answer
from tests.chaos.dispatch.load import Load
from tests.chaos.jobs.processes import until
from tests.chaos.sizes import PATIENCE, size
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conformance.redis_server import RedisServer
    from tests.upstreams import Received

JOBS = size(80, 2_000)
CALLERS = 16
ANSWER_SECONDS: Final = 0.8
LATEST_CANCEL: Final = 1.2  # some come too late


class Cancels:
    """Callers that submit a job, wait for a while, and cancel it."""

    def __init__(self, cluster: Cluster, key: str) -> None:
        self._cluster = cluster
        self._key = key
        self._numbers = iter(range(JOBS))
        self._lock = threading.Lock()
        self.at: dict[str, float] = {}  # when each was cancelled, by the key that its prompt says
        self.at_ms: dict[str, int] = {}  # and by the wall clock, by the job
        self.answers: Counter[int] = Counter()
        self.load = Load(lambda: cluster.urls, key)

    def run(self) -> None:
        """All jobs, by all callers."""
        threads = [threading.Thread(target=self._call, args=(number,), daemon=True) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _call(self, number: int) -> None:
        chance = random.Random(number)
        headers = {"authorization": f"Bearer {self._key}"}
        with httpx2.Client(headers=headers, timeout=60, trust_env=False) as client:
            for turn in iter(self._next, None):
                key = f"n{turn}n"
                id = self.load.submit(client, key)
                time.sleep(chance.uniform(0.0, LATEST_CANCEL))
                with self._lock:
                    self.at[key] = time.monotonic()
                    self.at_ms[str(id)] = time.time_ns() // 1_000_000
                answer = client.delete(f"{self._cluster.urls[0]}/jobs/{id}", params={"force": "true"})
                with self._lock:
                    self.answers[answer.status_code] += 1

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)


@pytest.mark.timeout(PATIENCE)
def test_a_cancelled_job_ends_once_and_its_upstream_call_with_it(
    tmp_path: Path, postgres_url: str, redis: RedisServer, report: Callable[..., None]
) -> None:
    books, begun = Books(postgres_url), time.monotonic()
    with (
        OpenAIEmulator() as upstream,
        Cluster(
            tmp_path,
            database_url=postgres_url,
            upstream_url=upstream.base_url,
            redis_url=redis.url,
            concurrency=CALLERS,
        ) as cluster,
    ):
        upstream.script.always(answer(ANSWER_SECONDS))
        cluster.serve().ready()
        for number in range(2):
            cluster.worker(f"worker-{number}").ready()
        key = cluster.client("caller", budget_usd=100, period="total")
        cancels = Cancels(cluster, key)
        cancels.run()
        books.drained(60)
        calls = upstream.script.inferences
        until(lambda: all(one.finished.is_set() or one.abandoned.is_set() for one in calls), 30)
        cluster.stop()
    verdict, closed = books.verdict(cancels.load.told.accepted), list(closings(calls, cancels.at))
    cancelled = books.ask("SELECT id, finished_ms FROM jobs WHERE status = 'cancelled'")
    written = [(job["finished_ms"] - cancels.at_ms[job["id"]]) / 1000 for job in cancelled]
    report(
        scenario="8. cancelled at random times",
        attempted=f"{JOBS:,} jobs, each cancelled 0 to {LATEST_CANCEL} s after it was accepted",
        lost=verdict.lost,
        doubled=verdict.doubled,
        recovery=max(closed, default=None),
        seconds=time.monotonic() - begun,
        also=f"recovery is from a cancel to the end of its upstream call; {len(closed):,} calls broken off;"
        f" {verdict.ends['complete']:,} complete, {verdict.ends['cancelled']:,} cancelled, {max(written):.1f} s later at most",
    )
    assert cancels.load.told.complaints == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert set(verdict.ends) == {"complete", "cancelled"}
    assert verdict.ends.total() == JOBS
    assert set(cancels.answers) <= {200, 202, 409}  # 202: it has not ended yet, but will
    assert cancels.answers[200] <= verdict.ends["cancelled"]
    assert cancels.answers[409] <= verdict.ends["complete"]
    assert closed
    assert len(calls) <= JOBS  # nothing that was cancelled was asked again
    spent, held, _ = books.budgets()[0]
    assert (spent, held) == (books.ledger_sum(), 0)


def closings(calls: list[Received], at: dict[str, float]) -> Iterator[float]:
    """Seconds from the cancel of a job to the moment when its upstream call was seen to be over."""
    for call in calls:
        if call.abandoned_at is not None:
            key = call.json["messages"][-1]["content"].split()[-1]
            yield call.abandoned_at - at[key]
