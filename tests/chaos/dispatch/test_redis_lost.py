"""Redis is killed and emptied, over and over, under load: jobs go on from the database, and no budget is passed."""

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

KILLS, FLUSHES = size((2, 1), (10, 5))
PAUSES = size((0.5, 1.0), (1.0, 8.0))
AWAY = size((0.5, 1.0), (0.5, 6.0))
PAID = size(40, 400)  # so many requests the thrifty client's budget pays
WORKERS = 2


@pytest.mark.timeout(PATIENCE)
def test_losing_redis_loses_no_job_and_passes_no_budget(
    tmp_path: Path, postgres_url: str, redis: RedisServer, report: Callable[..., None]
) -> None:
    books, begun = Books(postgres_url), time.monotonic()
    pauses, away = moments(5, *PAUSES), moments(50, *AWAY)
    with (
        OpenAIEmulator() as upstream,
        Cluster(
            tmp_path,
            database_url=postgres_url,
            upstream_url=upstream.base_url,
            redis_url=redis.url,
            concurrency=16,
        ) as cluster,
    ):
        upstream.script.always(answer(0.3))
        for number in range(2):
            cluster.serve(f"serve-{number}").ready()
        for number in range(WORKERS):
            cluster.worker(f"worker-{number}").ready()
        rich = cluster.client("rich", budget_usd=100, period="total")
        thrifty = cluster.client("thrifty", budget_usd=f"{PAID * PRICE / 1e9:.6f}", period="total")
        with Load(lambda: cluster.urls, rich) as load, Load(lambda: cluster.urls, thrifty) as poor:
            load.jobs(4, pause=0.1)
            poor.jobs(1, pause=size(0.05, 0.3))
            poor.chats(2, pause=size(0.0, 0.2))
            for number in range(KILLS + FLUSHES):
                time.sleep(next(pauses))
                if number % 3 == 2:
                    redis.flush()
                else:
                    redis.kill()
                    time.sleep(next(away))
                    redis.start()
            time.sleep(next(pauses))
        books.drained(120)
        cluster.stop()
    accepted = {f"rich {key}": id for key, id in load.told.accepted.items()}
    accepted |= {f"thrifty {key}": id for key, id in poor.told.accepted.items()}
    verdict, refused = books.verdict(accepted), poor.told.statuses["402"]
    passed = [max(0, spent + held - limit) for spent, held, limit in books.budgets()]
    report(
        scenario="5. Redis lost",
        attempted=f"{len(accepted):,} jobs, kill -9 x{KILLS}, FLUSHALL x{FLUSHES}",
        lost=verdict.lost,
        doubled=verdict.doubled,
        recovery=books.longest_wait(),
        seconds=time.monotonic() - begun,
        also=f"recovery is the longest that a job waited to begin; budgets passed by {sum(passed)} nano,"
        f" {refused:,} requests refused with 402",
    )
    assert load.told.complaints + poor.told.complaints == []
    assert {*load.told.statuses, *poor.told.statuses} <= {"200", "202", "402"}
    assert refused  # the budget did run out
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.ends == {"complete": len(accepted)}
    assert verdict.charged == verdict.due
    assert passed == [0, 0]
    assert sum(spent for spent, _, _ in books.budgets()) == books.ledger_sum()
    assert {held for _, held, _ in books.budgets()} == {0}
