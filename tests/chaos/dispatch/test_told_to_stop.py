"""SIGTERM under load, to what serves and what works in turns, as every deployment does it: nothing is lost, nothing done twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.chaos.dispatch.books import Books
from tests.chaos.dispatch.cluster import PRICE, Cluster, answer
from tests.chaos.dispatch.load import Load, moments
from tests.chaos.sizes import PATIENCE, size
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conformance.redis_server import RedisServer

STOPS = size(2, 20)
TURNS = ("worker-0", "serve-0", "worker-1", "serve-1")


@pytest.mark.timeout(PATIENCE)
def test_processes_that_are_told_to_stop_lose_nothing(
    tmp_path: Path, postgres_url: str, redis: RedisServer, report: Callable[..., None]
) -> None:
    books, begun, pauses = Books(postgres_url), time.monotonic(), moments(9, 0.2, 2.0)
    with (
        OpenAIEmulator() as upstream,
        Cluster(
            tmp_path,
            database_url=postgres_url,
            upstream_url=upstream.base_url,
            redis_url=redis.url,
            concurrency=8,
        ) as cluster,
    ):
        upstream.script.always(answer(0.5))
        for name in sorted(TURNS):
            cluster.start(name).ready()
        key = cluster.client("caller", budget_usd=100, period="total")
        with Load(lambda: cluster.urls, key) as load:
            load.jobs(3, pause=0.1)
            load.jobs(2, pause=0.1, **{"async": False})
            load.chats(2, pause=0.1)
            for number in range(STOPS):
                time.sleep(next(pauses))
                cluster.restart(cluster.node(TURNS[number % len(TURNS)])).ready()
        books.drained(60)
        cluster.stop()
    told = load.told
    verdict, exchanges = books.verdict(told.accepted), books.exchanges()
    unrecorded = set(told.answered) - set(exchanges)
    (crashes,) = books.ask("SELECT coalesce(sum(crashes), 0)::int AS count FROM jobs")
    report(
        scenario="9. told to stop",
        attempted=f"{len(told.accepted):,} jobs and {len(told.answered):,} chats, SIGTERM x{STOPS}",
        lost=verdict.lost + len(unrecorded),
        doubled=verdict.doubled,
        seconds=time.monotonic() - begun,
        also="answers: " + ", ".join(f"{number:,} x {status}" for status, number in sorted(told.statuses.items())),
    )
    assert told.complaints == []
    assert (verdict.lost, verdict.doubled, unrecorded) == (0, 0, set())
    assert verdict.ends == {"complete": len(told.accepted)}
    assert verdict.charged == verdict.due
    assert crashes["count"] == 0  # whoever stops in order gives back what it cannot finish
    assert books.ledger_sum() == verdict.due + PRICE * len(exchanges)
    assert books.budgets() == [(books.ledger_sum(), 0, 100_000_000_000)]
