"""A node and a worker that share a Postgres and no Redis: later, but all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flow.distributed.processes import until
from tests.flow.distributed.site import CLOUD, LOCAL, Pair, running_pair
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.databases import Postgres


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("pair"), postgres) as pair:
        yield pair


def test_what_they_do_without_is_told_at_the_start(pair: Pair) -> None:
    for process in (pair.serve, pair.worker):
        assert any("redis_url is not set" in line for line in process.log)


def test_jobs_are_found_and_routes_followed_by_looking(pair: Pair) -> None:
    client = pair.client()
    for model, backend in ((LOCAL, "desk"), (CLOUD, "gpts")):
        pair.serve.done("PUT", "/routing/moving", {"preferred_model": model, "sensitivity": "internal"})
        job = client.ended(pair.serve, client.later(pair.serve, task_type="moving", model=None))
        assert (job["status"], job["backend"]) == ("complete", backend)


def test_a_job_that_runs_is_cancelled_at_the_workers_next_renewal(pair: Pair) -> None:
    client, gate = pair.client(), Gate()
    pair.local.clear()
    pair.local.plan(Scripted(text="one two three four", gate=gate, gate_after=2))
    id = client.later(pair.serve)
    (received,) = pair.local.wait_arrived(1, 30)
    until(lambda: client.job(pair.serve, id)["status"] == "running")
    answer = pair.serve.http.delete(f"/jobs/{id}?force=true", headers=client.own)
    assert answer.status_code in {200, 202}, answer.text
    assert client.ended(pair.serve, id)["status"] == "cancelled"
    assert received.wait_abandoned(10)
    gate.open()
