"""A worker that freezes and one that is told to stop, each at a moment of the test's choosing: both leave their jobs to another."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.chaos.jobs.processes import Child, is_stopped, orders, until
from tests.chaos.jobs.stock import Stock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.jobs.child import Orders

PRICE = 5 * 1_000 + 5 * 2_000


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
