"""Closed by default: every route against every way of not having the right key; and tags that change under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import OllamaEmulator, OllamaModel, OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/assets/{name}"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/metrics/prometheus"),
    ("GET", "/api/version"),
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
}
CALLERS = {
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model_id}"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/api/tags"),
    ("GET", "/api/ps"),
    ("POST", "/api/show"),
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/api/embeddings"),
    ("POST", "/complete"),
    ("POST", "/complete/stream"),
}
ADMIN = {
    ("GET", "/admin/backends"),
    ("POST", "/admin/reload"),
    ("GET", "/admin/responses"),
    ("GET", "/admin/responses/stats"),
    ("GET", "/admin/responses/{exchange_id}"),
    ("POST", "/routing/explain"),
    ("GET", "/models"),
    ("POST", "/models/{name}/load"),
    ("POST", "/models/{name}/unload"),
    ("GET", "/clients/{client_id}/webhook-secret"),
}
VERBS = {
    (method, f"/api/{verb}")
    for verb in ("create", "push", "pull", "copy", "delete", "blobs/{digest}")
    for method in ("GET", "POST", "HEAD", "DELETE")
}
WRONG: dict[str, dict[str, Any]] = {
    "none": {},
    "wrong bearer": {"headers": {"authorization": "Bearer jt_wrong"}},
    "wrong x-api-key": {"headers": {"x-api-key": "jt_wrong"}},
    "another scheme": {"headers": {"authorization": f"Basic {ADMIN_KEY}"}},
    "bare": {"headers": {"authorization": ADMIN_KEY}},
    "in the query": {"params": {"key": ADMIN_KEY, "api_key": ADMIN_KEY, "authorization": f"Bearer {ADMIN_KEY}"}},
    "in a cookie": {"headers": {"cookie": f"authorization=Bearer {ADMIN_KEY}; x-api-key={ADMIN_KEY}"}},
    "in the body": {
        "json": {"api_key": ADMIN_KEY, "model": "gpt-test", "messages": [{"role": "user", "content": "x"}]}
    },
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with OpenAIEmulator() as upstream:
        backends = [{"name": "up", "provider": "openai", "url": upstream.base_url}]
        config = {"auth": {"mode": "keys"}, "backends": backends}
        with RunningJunto(tmp_path_factory.mktemp("data"), config) as junto:
            yield junto


def routes_of(junto: RunningJunto) -> set[tuple[str, str]]:
    """Every route there is: those in the OpenAPI document, and those that the document leaves out."""
    document = httpx2.get(f"{junto.url}/openapi.json").json()
    known = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    application = junto.services.app._application  # type: ignore[attr-defined]
    assert isinstance(application, FastAPI)
    return known | set(routes_in(application.routes))


def routes_in(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Every method and path, also of routers that were included."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_in(route.original_router.routes)
        else:
            yield from ((method, route.path.replace(":path}", "}")) for method in route.methods)


def test_every_route_has_a_row_here(closed: RunningJunto) -> None:
    """A new route must be put into one of the tables, and so be closed unless it is said to be open."""
    assert routes_of(closed) == OPEN | CALLERS | ADMIN | VERBS


def call(junto: RunningJunto, method: str, path: str, **given: Any) -> httpx2.Response:
    filled = path.replace("{model_id}", "gpt-test").replace("{exchange_id}", "req_1").replace("{digest}", "sha256:1")
    return httpx2.request(method, f"{junto.url}{filled.replace('{name}', 'home.css')}", **given)


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize(("method", "path"), sorted(CALLERS | ADMIN))
def test_no_route_but_the_open_ones_answers_without_the_right_key(
    closed: RunningJunto, method: str, path: str, how: str
) -> None:
    response = call(closed, method, path, **WRONG[how])
    assert response.status_code in {401, 403}
    assert response.status_code == 401 or (method, path) in ADMIN
    assert "error" in response.json()
    assert ADMIN_KEY not in response.text


@pytest.mark.parametrize(("method", "path"), sorted(CALLERS | ADMIN))
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_the_right_key_opens_them_in_either_header(closed: RunningJunto, method: str, path: str, header: str) -> None:
    value = f"Bearer {ADMIN_KEY}" if header == "authorization" else ADMIN_KEY
    assert call(closed, method, path, headers={header: value}).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), sorted(OPEN))
def test_what_is_open_says_nothing_secret(closed: RunningJunto, method: str, path: str) -> None:
    response = call(closed, method, path)
    assert response.status_code in {200, 503}
    assert ADMIN_KEY not in response.text


@pytest.mark.parametrize(("method", "path"), sorted(VERBS))
def test_ollamas_management_is_refused_to_everyone(closed: RunningJunto, method: str, path: str) -> None:
    for given in ({}, {"headers": closed.admin}):
        assert call(closed, method, path, **given).status_code == 403


def test_open_inference_does_not_open_the_administration(tmp_path: Any) -> None:
    with RunningJunto(tmp_path, {}) as junto:
        assert call(junto, "GET", "/v1/models").status_code == 200
        for method, path in ADMIN:
            assert call(junto, method, path).status_code == 401
            assert call(junto, method, path, headers={"x-api-key": "jt_wrong"}).status_code == 403


QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "a secret"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "a secret"}], "max_tokens": 9},
    "/api/chat": {"messages": [{"role": "user", "content": "a secret"}]},
    "/api/generate": {"prompt": "a secret"},
    "/v1/embeddings": {"input": "a secret"},
    "/api/embed": {"input": ["a secret"]},
    "/complete": {"messages": [{"role": "user", "content": "a secret"}]},
}


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("tier", ["confidential", "internal"])
def test_a_tag_that_becomes_remote_between_two_heartbeats_is_refused_what_must_stay(
    tmp_path: Any, path: str, tier: str
) -> None:
    """The catalog still says local; the server is asked once more, and what it says now counts."""
    able = ("completion", "embedding")
    with OllamaEmulator(models=[OllamaModel(name="house:latest", capabilities=able)]) as ollama:
        config = {
            "auth": {"open_client": {"allow_cloud_for_internal": False}},
            "backends": [{"name": "desk", "provider": "ollama", "url": ollama.url}],
            "routing": {"heartbeat_interval": 3600},
        }
        with RunningJunto(tmp_path, config) as junto:
            body = {"model": "house:latest", **QUESTIONS[path]}
            headers = {"x-junto-sensitivity": tier}
            assert httpx2.post(f"{junto.url}{path}", json=body, headers=headers).status_code == 200
            ollama.set_models(
                [OllamaModel(name="house:latest", capabilities=able, remote_host="https://elsewhere.invalid")]
            )
            ollama.script.clear()
            response = httpx2.post(f"{junto.url}{path}", json=body, headers=headers)
            assert response.status_code == 403
            assert "a secret" not in "".join(one.body.decode() for one in ollama.script.requests)
            headers["x-junto-sensitivity"] = "public"
            assert httpx2.post(f"{junto.url}{path}", json=body, headers=headers).status_code == 200
