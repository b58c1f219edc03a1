"""Postgres is ended at once and started again, over and over, under load: callers are told to come back, and nothing else happens."""

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

    from tests.conformance.databases import Postgres

RESTARTS = size(2, 10)
PAUSES = size((1.5, 3.0), (5.0, 20.0))
WORKERS = 2
ALLOWED = {"200", "202", "503", "409"}  # 409: the same key again, while its first request is still waited for


@pytest.mark.timeout(PATIENCE)
def test_restarts_of_postgres_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres: Postgres, postgres_url: str, report: Callable[..., None]
) -> None:
    books, begun, pauses = Books(postgres_url), time.monotonic(), moments(4, *PAUSES)
    with (
        OpenAIEmulator() as upstream,
        Cluster(tmp_path, database_url=postgres_url, upstream_url=upstream.base_url, concurrency=16) as cluster,
    ):
        upstream.script.always(answer(0.3))
        cluster.serve().ready()
        for number in range(WORKERS):
            cluster.worker(f"worker-{number}").ready()
        key = cluster.client("caller", budget_usd=100, period="total")
        with Load(lambda: cluster.urls, key) as load:
            load.jobs(3, pause=0.1)
            load.jobs(2, pause=0.1, **{"async": False})
            load.chats(2, pause=0.1)
            for _ in range(RESTARTS):
                time.sleep(next(pauses))
                postgres.stop()
                time.sleep(0.3)
                postgres.start()
            time.sleep(next(pauses))
        books.drained(120)
        cluster.stop()
    told = load.told
    verdict, exchanges = books.verdict(told.accepted), books.exchanges()
    unrecorded = set(told.answered) - set(exchanges)
    report(
        scenario="4. Postgres restarts",
        attempted=f"{len(told.accepted):,} jobs and {len(told.answered):,} chats, pg_ctl -m immediate x{RESTARTS}",
        lost=verdict.lost + len(unrecorded),
        doubled=verdict.doubled,
        seconds=time.monotonic() - begun,
        also="answers: " + ", ".join(f"{number:,} x {status}" for status, number in sorted(told.statuses.items())),
    )
    assert told.complaints == []
    assert set(told.statuses) <= ALLOWED
    assert told.statuses["503"]  # it was felt
    assert (verdict.lost, verdict.doubled, unrecorded) == (0, 0, set())
    assert verdict.ends == {"complete": len(told.accepted)}
    assert verdict.charged == verdict.due
    assert sorted(exchanges) == sorted(told.answered)
    assert books.ledger_sum() == verdict.due + PRICE * len(exchanges)
    assert books.budgets() == [(books.ledger_sum(), books.leased(), 100_000_000_000)]
