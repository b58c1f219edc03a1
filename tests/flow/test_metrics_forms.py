"""One resource, two forms: text for whoever scrapes, figures for the administrator; and requests that were refused are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import OllamaEmulator, OllamaModel

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hello"}]}
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with OllamaEmulator(models=[OllamaModel(name="llama3.2:3b")]) as desk:
        backends = [{"name": "desk", "provider": "ollama", "url": desk.url}]
        with RunningJunto(tmp_path_factory.mktemp("data"), {"backends": backends}) as junto:
            for _ in range(3):
                headers = {"x-junto-task": "greeting"}
                junto.http.post("/v1/chat/completions", json=QUESTION, headers=headers).raise_for_status()
            junto.recorded(3)
            yield junto


def figures(junto: RunningJunto, **query: Any) -> Any:
    headers = {**junto.admin, "accept": "application/json"}
    return junto.http.get("/metrics", params=query, headers=headers).raise_for_status().json()


def test_the_administrator_gets_figures(junto: RunningJunto) -> None:
    told = figures(junto, days=1)
    assert (told["total_jobs"], told["jobs_by_status"], told["total_requests"]) == (0, {}, 3)
    assert told["requests_by_task_type"] == {"greeting": 3}
    model = told["requests_by_model"]["llama3.2:3b"]
    assert (model["count"], set(model)) == (3, {"count", "avg_latency_ms", "p95", "total_cost_usd"})


def test_figures_are_restricted_by_the_query(junto: RunningJunto) -> None:
    assert figures(junto, model="another")["total_requests"] == 0
    assert figures(junto, task_type="greeting")["total_requests"] == 3


@pytest.mark.parametrize("query", [{"days": 0}, {"days": 10_000}, {"days": "many"}, {"model": "x" * 301}])
def test_queries_are_bounded(junto: RunningJunto, query: dict[str, Any]) -> None:
    headers = {**junto.admin, "accept": "application/json"}
    assert junto.http.get("/metrics", params=query, headers=headers).status_code == 422


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", PROMETHEUS])
def test_scrapers_get_text_without_a_key(junto: RunningJunto, accept: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    answer = junto.http.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("text/plain")
    assert "junto_requests_total" in answer.text


def test_a_scraper_with_the_key_still_gets_text_and_a_person_figures(junto: RunningJunto) -> None:
    scraped = junto.http.get("/metrics", headers={**junto.admin, "accept": PROMETHEUS})
    assert scraped.headers["content-type"].startswith("text/plain")
    assert junto.http.get("/metrics", headers={**junto.admin, "accept": "*/*"}).json()["days"] == 7


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("jt_wrong", 403)])
def test_nobody_else_gets_figures(junto: RunningJunto, key: str | None, status: int) -> None:
    headers = {"accept": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    assert junto.http.get("/metrics", headers=headers).status_code == status


def test_the_other_path_is_text_whatever_is_accepted(junto: RunningJunto) -> None:
    answer = junto.http.get("/metrics/prometheus", headers={**junto.admin, "accept": "application/json"})
    assert answer.headers["content-type"].startswith("text/plain")


def test_refused_requests_and_swaps_are_counted(junto: RunningJunto) -> None:
    assert junto.http.get("/admin/backends").status_code == 401
    text = junto.http.get("/metrics").text
    assert 'junto_requests_refused_total{code="invalid_api_key",status="401"}' in text
    assert 'junto_swaps_total{backend="desk",operation="load",outcome="ok"}' in text
    assert 'junto_jobs_pending{priority="5"} 0.0' in text


def test_the_key_of_a_clients_webhooks_is_shown_to_the_administrator(junto: RunningJunto) -> None:
    made = [
        junto.http.post("/clients", json={"name": name}, headers=junto.admin).raise_for_status().json()
        for name in ("one", "two")
    ]
    ids = [each.get("id") or each["client"]["id"] for each in made]
    keys = [junto.get(f"/clients/{each}/webhook-secret")["secret"] for each in ids]
    assert all(key.startswith("whsec_") for key in keys)
    assert keys[0] != keys[1]
    assert junto.get(f"/clients/{ids[0]}/webhook-secret")["secret"] == keys[0]
    missing = junto.http.get("/clients/nobody/webhook-secret", headers=junto.admin)
    assert missing.status_code == 404
