"""Two `junto serve` and two `junto worker` on one Postgres and one Redis hold keys, limits, money, routes and prompts as one."""

from __future__ import annotations

import concurrent.futures
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.distributed.processes import Serve, until
from tests.flow.distributed.site import CLOUD, LOCAL, Client, Site
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable


def at_once(*calls: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """Make all of them at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def refused(client: Client, serve: Serve, status: int) -> bool:
    answer = client.ask(serve)
    assert answer.status_code in {200, status}, answer.text
    return answer.status_code == status


def answers(client: Client, serve: Serve) -> bool:
    return client.ask(serve).status_code == 200


def test_a_key_that_was_made_on_one_node_is_good_on_the_other_with_its_first_request(site: Site) -> None:
    client = site.client()
    assert [client.ask(serve).status_code for serve in reversed(site.serves)] == [200, 200]
    strange = site.serves[1].http.get("/v1/models", headers={"authorization": "Bearer jt_" + "x" * 43})
    assert strange.status_code == 401


@pytest.mark.parametrize("on", [0, 1])
def test_a_key_that_was_rotated_is_refused_everywhere_and_the_new_one_is_good(site: Site, on: int) -> None:
    client = site.client()
    assert [client.ask(serve).status_code for serve in site.serves] == [200, 200]
    rotated = site.serves[on].done("POST", f"/clients/{client.id}/rotate-key", {"overlap_s": 0})
    assert refused(client, site.serves[on], 401)  # where it was done, with the next request
    until(refused, client, site.serves[1 - on], 401)
    new = Client(rotated)
    assert [new.ask(serve).status_code for serve in site.serves] == [200, 200]


def test_a_client_that_was_disabled_is_refused_everywhere_until_it_is_enabled(site: Site) -> None:
    client = site.client()
    assert [client.ask(serve).status_code for serve in site.serves] == [200, 200]
    site.serves[0].done("PATCH", f"/clients/{client.id}", {"enabled": False})
    for serve in site.serves:
        until(refused, client, serve, 403)
    site.serves[1].done("PATCH", f"/clients/{client.id}", {"enabled": True})
    for serve in site.serves:
        until(answers, client, serve)


def test_requests_per_minute_are_counted_over_both(site: Site) -> None:
    client = site.client(rate_limit_per_minute=8)
    asks = [partial(client.ask, serve) for serve in site.serves]
    given: list[httpx2.Response] = []

    def used_up() -> bool:
        """A node may hold permits that it does not use for two seconds; then the other gets them."""
        given.extend(at_once(*asks, *asks))
        return [answer.status_code for answer in given].count(200) >= 8

    until(used_up)
    given += at_once(*asks, *asks, *asks)
    statuses = [answer.status_code for answer in given]
    assert (statuses.count(200), set(statuses)) == (8, {200, 429})
    assert given[0].headers["x-ratelimit-limit-requests"] == "8"
    assert int(given[-1].headers["retry-after"]) > 0


def test_requests_at_once_are_counted_over_both(site: Site) -> None:
    client = site.client(max_concurrency=2)
    gate = Gate()
    site.local.plan(Scripted(text="one", gate=gate), Scripted(text="two", gate=gate))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        held = [pool.submit(client.ask, serve) for serve in site.serves]
        site.local.wait_arrived(2, 10)
        assert [client.ask(serve).status_code for serve in site.serves] == [429, 429]
        gate.open()
        assert [each.result().status_code for each in held] == [200, 200]
    for serve in site.serves:
        until(answers, client, serve)


def test_a_budget_is_spent_once_over_both(site: Site) -> None:
    client = site.client(budget_usd="0.0005", period="total")
    small: dict[str, Any] = {"model": CLOUD, "max_tokens": 8}
    asks = [partial(client.ask, serve, **small) for serve in site.serves]
    given: list[httpx2.Response] = []

    def used_up() -> bool:
        """What a node has at hand and does not need goes back after three seconds."""
        round_ = at_once(*asks)
        given.extend(round_)
        return (
            all(answer.status_code == 402 for answer in round_) and settled(site, client)["reserved_usd"] == "0.000000"
        )

    until(used_up, seconds=60)
    assert {answer.status_code for answer in given} == {200, 402}

    def used() -> list[dict[str, Any]]:
        return [serve.done("GET", f"/clients/{client.id}/usage?days=2")["totals"] for serve in site.serves]

    until(lambda: all(each["requests"] == len(given) for each in used()))
    one, other = used()
    budget = settled(site, client)
    assert one == other
    assert one["requests"] - one["failures"] == [answer.status_code for answer in given].count(200)
    assert budget["spent_usd"] == one["cost_usd"]
    assert float(budget["spent_usd"]) <= 0.0005


def settled(site: Site, client: Client) -> dict[str, Any]:
    (one,), (other,) = (serve.done("GET", f"/budgets?scope=client&id={client.id}")["budgets"] for serve in site.serves)
    return dict(other) if one == other else {"reserved_usd": "differs"}


def test_a_route_that_was_put_on_one_node_decides_on_the_other_and_in_the_workers(site: Site) -> None:
    client = site.client(scopes=["inference", "jobs"])
    task = site.name("moving")
    for version, (model, backend) in enumerate([(LOCAL, "desk"), (CLOUD, "gpts"), (LOCAL, "desk")], 1):
        putting, asking = site.serves[version % 2], site.serves[1 - version % 2]
        putting.done("PUT", f"/routing/{task}", {"preferred_model": model, "sensitivity": "internal"})
        until(is_routed_by, client, asking, task, version)
        assert route_of(client, asking, task) == (f"{task}@{version}", backend)
        job = client.ended(asking, client.later(putting, task_type=task, model=None))
        assert (job["status"], job["backend"], job["route"]) == ("complete", backend, "task")
    site.serves[0].done("DELETE", f"/routing/{task}")
    until(lambda: "x-junto-default-route" in client.ask(site.serves[1], f"task/{task}").headers)


def is_routed_by(client: Client, serve: Serve, task: str, version: int) -> bool:
    return route_of(client, serve, task)[0] == f"{task}@{version}"


def route_of(client: Client, serve: Serve, task: str) -> tuple[str, str]:
    answer = client.ask(serve, f"task/{task}")
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-junto-route", ""), answer.headers["x-junto-backend"]


def test_a_prompt_that_was_put_on_one_node_is_asked_by_the_other_and_by_the_workers(site: Site) -> None:
    client = site.client(scopes=["inference", "jobs"])
    task = site.name("greeting")
    site.serves[0].done("PUT", f"/routing/{task}", {"preferred_model": LOCAL, "sensitivity": "internal"})
    for serve, words in ((site.serves[0], "Greet briefly."), (site.serves[1], "Greet at length.")):
        serve.done("PUT", f"/prompts/{task}", {"body": words})
        other = site.serves[0 if serve is site.serves[1] else 1]
        until(asks_with, words, site, client, other, task)
        job = client.ended(serve, client.later(other, task_type=task, model=None))
        assert job["status"] == "complete"
        assert site.local.inferences[-1].json["messages"][0] == {"role": "system", "content": words}


def asks_with(words: str, site: Site, client: Client, serve: Serve, task: str) -> bool:
    return asked_first(site, client, serve, task) == words


def asked_first(site: Site, client: Client, serve: Serve, task: str) -> str:
    """The first message that the model gets for a task by way of that node."""
    assert client.ask(serve, f"task/{task}").status_code == 200
    return str(site.local.inferences[-1].json["messages"][0]["content"])


def test_usage_is_one_answer_wherever_it_was_used_and_wherever_it_is_asked_for(site: Site) -> None:
    client = site.client()
    for serve in site.serves:
        for model in (LOCAL, CLOUD):
            assert client.ask(serve, model).status_code == 200
    job = client.later(site.serves[0])
    client.ended(site.serves[1], job)

    def counted() -> bool:
        """What was asked is in the ledger a moment later."""
        totals = site.serves[0].done("GET", f"/clients/{client.id}/usage")["totals"]
        return (totals["requests"], totals["jobs"]) == (4, 1)

    until(counted)
    path = f"/clients/{client.id}/usage?days=2"
    one, other = (serve.done("GET", path) for serve in site.serves)
    assert one == other == site.serves[1].http.get(path, headers=client.own).raise_for_status().json()
    assert float(one["totals"]["cost_usd"]) > 0


def test_figures_agree_on_both_and_are_of_all_processes(site: Site) -> None:
    client = site.client()
    job = client.ended(site.serves[1], client.later(site.serves[0]))
    assert client.ask(site.serves[0]).status_code == client.ask(site.serves[1]).status_code == 200
    query = f"/metrics?days=1&client_id={client.id}"

    def figures() -> list[dict[str, Any]]:
        return [serve.done("GET", query) | {"since_ms": 0} for serve in site.serves]

    until(lambda: all(each["total_requests"] == 2 for each in figures()))
    one, other = figures()
    assert one == other
    assert (one["total_jobs"], one["jobs_by_status"]) == (1, {job["status"]: 1})


def test_a_worker_serves_its_metrics(site: Site) -> None:
    client = site.client()
    client.ended(site.serves[0], client.later(site.serves[0]))
    texts = []
    for worker in site.workers:
        at = f"http://127.0.0.1:{worker.metrics_port}"
        with httpx2.Client(base_url=at, verify=False) as http:
            assert http.get("/health/live").status_code == 200
            texts.append(http.get("/metrics").raise_for_status().text)
            assert http.get("/jobs").status_code == 404
    assert all("junto_build_info" in text for text in texts)
    assert any("junto_jobs_total{" in text for text in texts)
