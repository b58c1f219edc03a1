"""Redis and Postgres go away under two nodes and two workers, and come back: nothing is accepted that is lost, nobody has to restart."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from tests.flow.distributed.processes import Process, Serve, until
from tests.flow.distributed.site import LOCAL, Client, Site
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_redis(site: Site) -> Iterator[None]:
    """It is killed, and an empty one takes its place when the block ends."""
    site.redis.kill()
    try:
        yield
    finally:
        site.redis.start()


@contextmanager
def without_postgres(site: Site) -> Iterator[None]:
    """It has crashed for as long as the block runs."""
    site.postgres.stop()
    try:
        yield
    finally:
        site.postgres.start()


def health(serve: Serve) -> tuple[str, str, int]:
    said = serve.http.get("/health").raise_for_status().json()
    return said["status"], said["database"], serve.http.get("/health/ready").status_code


def is_as(serve: Serve, expected: tuple[str, str, int]) -> bool:
    return health(serve) == expected


def parts_of(serve: Serve) -> tuple[str, str]:
    said = serve.http.get("/health").raise_for_status().json()
    return said["redis"], said["queue"]


def redis_up(metrics: str) -> float:
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("junto_redis_up "))


def lines_about(process: Process, event: str) -> int:
    return sum(event in line for line in process.log)


def is_back(process: Process) -> bool:
    return any("redis.back" in line for line in process.log)


def accepts(client: Client, serve: Serve) -> bool:
    return client.submit(serve).status_code == 202


def test_without_redis_everything_goes_on_but_slower_and_it_comes_back_by_itself(site: Site) -> None:
    client, limited = site.client(), site.client(rate_limit_per_minute=8)
    assert client.ask(site.serves[1]).status_code == 200
    with without_redis(site):
        assert [client.ask(serve).status_code for serve in site.serves] == [200, 200]
        new = site.client()  # keys and routes are in the database: it is asked twice a second
        until(lambda: new.ask(site.serves[1]).status_code == 200)
        site.serves[1].done("PATCH", f"/clients/{new.id}", {"enabled": False})
        until(lambda: new.ask(site.serves[0]).status_code == 403)
        id = client.later(site.serves[0])
        assert client.ended(site.serves[1], id)["status"] == "complete"
        answers = [limited.ask(site.serves[n % 2]) for n in range(16)]
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        assert 0 < statuses.count(200) <= 8  # each node goes by its share
        for serve in site.serves:
            until(is_as, serve, ("degraded", "ok", 200))  # the database is the truth: it is still ready
            assert parts_of(serve) == ("away", "away")
            assert redis_up(serve.http.get("/metrics/prometheus").text) == 0
        for worker in site.workers:
            until(lambda worker=worker: redis_up(worker.metrics()) == 0)
    for worker in site.workers:
        until(is_back, worker)
        until(lambda worker=worker: redis_up(worker.metrics()) == 1)
    for serve in site.serves:
        until(is_as, serve, ("ok", "ok", 200))
        assert parts_of(serve) == ("ok", "ok")
        assert redis_up(serve.http.get("/metrics/prometheus").text) == 1
    for process in (*site.serves, *site.workers):
        assert lines_about(process, "redis.away") == lines_about(process, "redis.back") >= 1
    followed_over_redis(site, client)


def followed_over_redis(site: Site, client: Client) -> None:
    """Text between processes goes by signals alone: when it arrives, they are there again."""
    for _ in range(10):
        gate = Gate()
        site.local.plan(Scripted(text="one two three four", gate=gate, gate_after=2))
        id = client.later(site.serves[0])
        site.local.wait_arrived(1, 30)
        texts = first_texts(site.serves[1], client, id)
        gate.open()
        client.ended(site.serves[1], id)
        site.local.clear()
        if texts:
            return
    raise AssertionError("no text came over Redis after it was back")


def first_texts(serve: Serve, client: Client, id: str) -> list[str]:
    """The first text of a job that is answering, if it comes soon."""
    try:
        with serve.http.stream("GET", f"/jobs/{id}/events", headers=client.own, timeout=3) as response:
            return [next(line for line in response.iter_lines() if line == "event: text")]
    except (httpx2.ReadTimeout, StopIteration):
        return []


def test_while_postgres_is_away_nothing_is_accepted_and_what_was_is_done_when_it_is_back(site: Site) -> None:
    client, gate = site.client(), Gate()
    for serve in site.serves:
        assert client.ask(serve).status_code == 200
    site.local.plan(Scripted(text="before", gate=gate))
    accepted = [client.later(site.serves[n % 2], prompt=f"before {n}") for n in range(4)]
    site.local.wait_arrived(3, 30)
    with without_postgres(site):
        for serve in site.serves:
            until(is_as, serve, ("degraded", "down", 503))
            for answer in (
                client.submit(serve, key="away"),
                serve.http.get(f"/jobs/{accepted[0]}", headers=client.own),
                serve.admin("POST", "/clients", {"name": "never-made"}),
                serve.admin("PUT", "/routing/never-made", {"preferred_model": LOCAL, "sensitivity": "internal"}),
            ):
                assert told_to_come_again(answer)
            assert client.ask(serve).status_code == 200  # a known key is answered on, and recorded in the journal
        gate.open()
    for serve in site.serves:
        until(is_as, serve, ("ok", "ok", 200), seconds=30)
    for id in accepted:
        assert client.ended(site.serves[1], id, within=60)["status"] == "complete"
    assert sorted(job["job_id"] for job in jobs_of(client, site.serves[0])) == sorted(accepted)
    again = client.submit(site.serves[1], key="away").raise_for_status().json()["job_id"]  # the key is unused
    assert client.ended(site.serves[0], again)["status"] == "complete"
    assert [one["name"] for one in site.serves[0].done("GET", "/clients?name=never-made")["clients"]] == []
    until(lambda: used(site, client) == (4, 5), seconds=30)  # what was answered meanwhile is in the ledger, once


def told_to_come_again(answer: httpx2.Response) -> bool:
    assert answer.status_code == 503, answer.text
    return int(answer.headers["retry-after"]) > 0


def jobs_of(client: Client, serve: Serve) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = serve.http.get("/jobs", headers=client.own).raise_for_status().json()["jobs"]
    return found


def used(site: Site, client: Client) -> tuple[int, int]:
    totals = site.serves[1].done("GET", f"/clients/{client.id}/usage")["totals"]
    return totals["requests"], totals["jobs"]


def test_a_postgres_that_restarts_costs_no_answer(site: Site) -> None:
    client = site.client()
    assert client.ask(site.serves[0]).status_code == 200
    with without_postgres(site):
        pass
    for serve in site.serves:
        until(accepts, client, serve, seconds=30)
    for job in jobs_of(client, site.serves[0]):
        assert client.ended(site.serves[1], job["job_id"])["status"] == "complete"
