"""A client's life: made, its key used in both headers and by the official SDK, rotated, bound by its policy, disabled."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from tests.flow.conftest import environment_of
from tests.flow.running import RunningJunto
from tests.upstreams import OllamaEmulator, OllamaModel, OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.upstreams import Script

LOCAL, CLOUD = "house:7b", "gpt-test"


class Company:
    """A Junto with a local and a cloud backend, and what its administrator does."""

    def __init__(self, junto: RunningJunto, local: Script, cloud: Script) -> None:
        self.junto = junto
        self.local = local
        self.cloud = cloud
        self._names = 0

    def client(self, **policy: Any) -> dict[str, Any]:
        """A new client, as the answer that made it says."""
        self._names += 1
        return self.admin("POST", "/clients", {"name": f"client-{self._names}", **policy})

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = self.junto.http.request(method, path, json=body, headers=self.junto.admin)
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    def refusal(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        response = self.junto.http.request(method, path, json=body, headers=self.junto.admin)
        return response.status_code, response.json()["error"]

    def ask(self, key: str, model: str = LOCAL, *, tier: str | None = None, header: str = "bearer") -> httpx2.Response:
        """A question by plain HTTP."""
        headers = {"authorization": f"Bearer {key}"} if header == "bearer" else {"x-api-key": key}
        if tier is not None:
            headers["x-junto-sensitivity"] = tier
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        return self.junto.http.post("/v1/chat/completions", json=body, headers=headers)


@pytest.fixture(scope="module", params=["open", "keys", "keys-postgres"])
def company(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Company]:
    """In both modes: a key that is presented counts in either. And on both databases."""
    mode, _, database = request.param.partition("-")
    able = OllamaModel(name=LOCAL, capabilities=("completion",))
    with OllamaEmulator(models=[able]) as ollama, OpenAIEmulator() as cloud:
        backends = [
            {"name": "desk", "provider": "ollama", "url": ollama.url, "slots": 4},
            {"name": "gpts", "provider": "openai", "url": cloud.base_url},
        ]
        config = {"auth": {"mode": mode}, "backends": backends}
        with (
            contextmanager(environment_of)(request, database or "sqlite") as environ,
            RunningJunto(tmp_path_factory.mktemp("data"), config, environ=environ) as junto,
        ):
            yield Company(junto, ollama.script, cloud.script)


@pytest.mark.parametrize("header", ["bearer", "x-api-key"])
def test_a_new_key_works_at_once_in_both_headers(company: Company, header: str) -> None:
    made = company.client(name=f"both-{header}")
    assert company.ask(made["api_key"], header=header).status_code == 200
    (exchange,) = company.junto.recorded(client=f"both-{header}")
    assert exchange["outcome"] == "ok"


def test_the_official_sdk_speaks_with_a_key(company: Company) -> None:
    made = company.client(allow_cloud_for_internal=True)
    with openai.OpenAI(base_url=f"{company.junto.url}/v1", api_key=made["api_key"], max_retries=0) as client:
        answer = client.chat.completions.create(model=CLOUD, messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content
        streamed = client.chat.completions.create(
            model=LOCAL, messages=[{"role": "user", "content": "hello"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
        company.admin("PATCH", f"/clients/{made['id']}", {"enabled": False})
        with pytest.raises(openai.PermissionDeniedError):
            client.models.list()
        company.admin("POST", f"/clients/{made['id']}/rotate-key", {"overlap_s": 0})
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_a_key_is_in_the_answer_that_makes_it_and_in_no_other(company: Company) -> None:
    made = company.client()
    rotated = company.admin("POST", f"/clients/{made['id']}/rotate-key")
    everything = [
        company.admin("GET", "/clients?limit=500"),
        company.admin("GET", f"/clients/{made['id']}"),
        company.admin("PATCH", f"/clients/{made['id']}", {"notes": "x"}),
    ]
    for key in (made["api_key"], rotated["api_key"]):
        assert key not in str(everything)
        assert any(shown["prefix"] == key[:11] for shown in everything[1]["keys"])


def test_after_a_rotation_both_keys_work_until_the_overlap_is_over(company: Company) -> None:
    made = company.client()
    rotated = company.admin("POST", f"/clients/{made['id']}/rotate-key", {"overlap_s": 1})
    assert company.ask(rotated["api_key"]).status_code == 200
    assert len(rotated["keys"]) == 2
    assert until(lambda: company.ask(made["api_key"]).status_code == 401)
    assert company.ask(rotated["api_key"]).status_code == 200


def test_the_overlap_is_a_day_unless_it_is_said_otherwise(company: Company) -> None:
    made = company.client()
    rotated = company.admin("POST", f"/clients/{made['id']}/rotate-key")
    ends = {key["prefix"]: key["expires_ms"] for key in rotated["keys"]}
    assert ends[rotated["api_key"][:11]] is None
    assert 86_000_000 < ends[made["api_key"][:11]] - rotated["created_ms"] < 87_000_000
    assert company.ask(made["api_key"]).status_code == 200


def test_a_rotation_without_overlap_refuses_the_old_key_on_the_next_request(company: Company) -> None:
    made = company.client()
    rotated = company.admin("POST", f"/clients/{made['id']}/rotate-key", {"overlap_s": 0})
    assert company.ask(made["api_key"]).status_code == 401
    assert company.ask(rotated["api_key"]).status_code == 200


def test_a_disabled_client_is_refused_on_the_next_request_and_welcome_again(company: Company) -> None:
    made = company.client()
    for enabled, status in ((False, 403), (True, 200)):
        company.admin("PATCH", f"/clients/{made['id']}", {"enabled": enabled})
        assert company.ask(made["api_key"]).status_code == status


def test_a_disabled_tenant_takes_all_its_clients_with_it(company: Company) -> None:
    tenant = company.admin("POST", "/tenants", {"name": "short-lived"})
    keys = [company.client(tenant=tenant["id"])["api_key"], company.client(tenant="short-lived")["api_key"]]
    assert [company.ask(key).status_code for key in keys] == [200, 200]
    company.admin("PATCH", f"/tenants/{tenant['id']}", {"enabled": False})
    assert [company.ask(key).status_code for key in keys] == [403, 403]
    assert company.ask(company.client()["api_key"]).status_code == 200


def test_a_client_uses_the_models_on_its_list_and_no_others(company: Company) -> None:
    made = company.client(allowed_models=[LOCAL], allow_cloud_for_internal=True)
    assert company.ask(made["api_key"], LOCAL).status_code == 200
    company.cloud.clear()
    refused = company.ask(made["api_key"], CLOUD)
    assert refused.status_code == 403
    assert company.cloud.requests == []
    company.admin("PATCH", f"/clients/{made['id']}", {"allowed_models": None})
    assert company.ask(made["api_key"], CLOUD).status_code == 200


def test_a_model_that_is_not_on_the_list_is_not_loaded_either(company: Company) -> None:
    made = company.client(allowed_models=["another"])
    headers = {"x-api-key": made["api_key"]}
    refused = company.junto.http.post("/api/generate", json={"model": LOCAL}, headers=headers)
    assert refused.status_code == 403


def test_a_clients_floor_raises_what_a_request_says(company: Company) -> None:
    made = company.client(min_sensitivity="confidential", allow_cloud_for_internal=True)
    answer = company.ask(made["api_key"], LOCAL, tier="public")
    assert answer.status_code == 200
    assert answer.headers["x-junto-sensitivity"] == "confidential"
    company.cloud.clear()
    assert company.ask(made["api_key"], CLOUD, tier="public").status_code == 403
    assert company.cloud.requests == []


def test_internal_content_goes_to_the_cloud_only_for_clients_that_may(company: Company) -> None:
    made = company.client()
    company.cloud.clear()
    refused = company.ask(made["api_key"], CLOUD, tier="internal")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "sensitivity_not_servable"
    assert company.cloud.requests == []
    assert company.ask(made["api_key"], CLOUD, tier="public").status_code == 200
    company.admin("PATCH", f"/clients/{made['id']}", {"allow_cloud_for_internal": True})
    assert company.ask(made["api_key"], CLOUD, tier="internal").status_code == 200


def test_a_policy_is_shown_as_it_was_written(company: Company) -> None:
    written = {
        "rate_limit_per_minute": 60,
        "tokens_per_minute": 100_000,
        "max_concurrency": 4,
        "allow_cloud_for_internal": True,
        "min_sensitivity": "internal",
        "allowed_models": ["fast", "desk/house:7b"],
        "weight": 3,
        "scopes": ["inference", "service"],
        "notes": "of the web shop",
    }
    made = company.client(**written, budget_usd="12.50", period="monthly")
    shown = company.admin("GET", f"/clients/{made['id']}")
    assert {name: shown[name] for name in written} == written
    assert shown["budgets"] == [{"period": "monthly", "budget_usd": "12.500000"}]
    changed = company.admin("PATCH", f"/clients/{made['id']}", {"budget_usd": 0.000000001, "period": "daily"})
    assert {(one["period"], one["budget_usd"]) for one in changed["budgets"]} == {
        ("monthly", "12.500000"),
        ("daily", "0.000000001"),
    }
    changed = company.admin("PATCH", f"/clients/{made['id']}", {"budget_usd": None, "rate_limit_per_minute": None})
    assert changed["budgets"] == []
    assert changed["rate_limit_per_minute"] is None
    assert changed["max_concurrency"] == 4


def test_lists_are_paged_and_filtered(company: Company) -> None:
    tenant = company.admin("POST", "/tenants", {"name": "paged"})
    ids = [company.client(tenant="paged")["id"] for _ in range(3)]
    company.admin("PATCH", f"/clients/{ids[1]}", {"enabled": False})

    def listed(**query: Any) -> dict[str, Any]:
        page: dict[str, Any] = company.junto.get("/clients", tenant=tenant["id"], **query)
        return page

    first = listed(limit=2)
    assert [client["id"] for client in first["clients"]] == ids[:2]
    second = listed(limit=2, after=first["next"])
    assert ([client["id"] for client in second["clients"]], second["next"]) == (ids[2:], None)
    assert [client["id"] for client in listed(enabled=False)["clients"]] == [ids[1]]
    assert tenant in company.admin("GET", "/tenants")["tenants"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "x", "api_key": "jt_mine"}, "api_key"),
        ({"name": "x", "is_admin": True}, "is_admin"),
        ({"name": "x", "tenant_id": "default"}, "tenant_id"),
        ({"name": "x", "enabled": False}, "enabled"),
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "admin"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "x", "rate_limit_per_minute": 0}, "rate_limit_per_minute"),
        ({"name": "x", "rate_limit_per_minute": True}, "rate_limit_per_minute"),
        ({"name": "x", "tokens_per_minute": 1.5}, "tokens_per_minute"),
        ({"name": "x", "max_concurrency": "4"}, "max_concurrency"),
        ({"name": "x", "weight": 0}, "weight"),
        ({"name": "x", "weight": None}, "weight"),
        ({"name": "x", "min_sensitivity": "secret"}, "min_sensitivity"),
        ({"name": "x", "allow_cloud_for_internal": "yes"}, "allow_cloud_for_internal"),
        ({"name": "x", "allowed_models": "fast"}, "allowed_models"),
        ({"name": "x", "allowed_models": [""]}, "allowed_models.0"),
        ({"name": "x", "scopes": ["admin"]}, "scopes.0"),
        ({"name": "x", "notes": "x" * 2001}, "notes"),
        ({"name": "x", "budget_usd": 5}, "period"),
        ({"name": "x", "period": "daily"}, "budget_usd"),
        ({"name": "x", "budget_usd": 5, "period": "hourly"}, "period"),
        ({"name": "x", "budget_usd": -1, "period": "daily"}, "budget_usd"),
        ({"name": "x", "budget_usd": "NaN", "period": "daily"}, "budget_usd"),
        ({"name": "x", "budget_usd": "1e400", "period": "daily"}, "budget_usd"),
        ({"name": "x", "budget_usd": "0.0000000001", "period": "daily"}, "budget_usd"),
        ({"name": "x", "budget_usd": True, "period": "daily"}, "budget_usd"),
    ],
)
def test_a_wrong_field_is_a_422_that_names_it(company: Company, body: dict[str, Any], param: str) -> None:
    status, error = company.refusal("POST", "/clients", body)
    assert (status, error["param"]) == (422, param)
    if "name" in body and "enabled" not in body:
        made = company.client()
        status, error = company.refusal("PATCH", f"/clients/{made['id']}", body)
        assert (status, error["param"]) == (422, param)


@pytest.mark.parametrize("overlap", [-1, 2_592_001, "60", None, 1.5])
def test_an_overlap_is_a_number_of_seconds_up_to_thirty_days(company: Company, overlap: Any) -> None:
    made = company.client()
    status, error = company.refusal("POST", f"/clients/{made['id']}/rotate-key", {"overlap_s": overlap})
    assert (status, error["param"]) == (422, "overlap_s")
    assert company.ask(made["api_key"]).status_code == 200


def test_a_name_that_is_taken_is_a_409_and_may_be_used_in_another_tenant(company: Company) -> None:
    company.client(name="taken")
    status, error = company.refusal("POST", "/clients", {"name": "taken"})
    assert (status, error["code"], error["param"]) == (409, "conflict", "name")
    company.admin("POST", "/tenants", {"name": "others"})
    company.client(name="taken", tenant="others")
    assert company.refusal("POST", "/tenants", {"name": "others"})[0] == 409


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/clients/{id}", None),
        ("PATCH", "/clients/{id}", {"notes": "x"}),
        ("POST", "/clients/{id}/rotate-key", None),
        ("PATCH", "/tenants/{id}", {"notes": "x"}),
        ("POST", "/clients", {"name": "x", "tenant": "{id}"}),
        ("GET", "/clients?tenant={id}", None),
    ],
)
def test_what_is_not_there_is_a_404(company: Company, method: str, path: str, body: Any) -> None:
    for missing in ("cli_0", "%27%20OR%201=1"):
        written = {name: value.replace("{id}", missing) for name, value in body.items()} if body else None
        status, error = company.refusal(method, path.replace("{id}", missing), written)
        assert (status, error["code"]) == (404, "not_found")


def test_clients_and_keys_outlive_a_restart(tmp_path: Any) -> None:
    with RunningJunto(tmp_path, {"auth": {"mode": "keys"}}) as junto:
        made = junto.http.post("/clients", json={"name": "shop"}, headers=junto.admin).json()
    with RunningJunto(tmp_path, {"auth": {"mode": "keys"}}) as junto:
        assert junto.http.get("/v1/models", headers={"x-api-key": made["api_key"]}).status_code == 200
        assert made["api_key"].encode() not in b"".join(
            path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
        )


def until(holds: Callable[[], bool], within: float = 10.0) -> bool:
    """Wait until it holds; False when that takes longer."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_lists_of_models_have_what_the_key_may_use(company: Company) -> None:
    plain = company.client()["api_key"]
    local = company.client(allowed_models=[LOCAL])["api_key"]
    inside = company.client(min_sensitivity="confidential")["api_key"]

    def names(key: str) -> tuple[set[str], set[str]]:
        headers = {"authorization": f"Bearer {key}"}
        openais = company.junto.http.get("/v1/models", headers=headers).raise_for_status().json()["data"]
        ollamas = company.junto.http.get("/api/tags", headers=headers).raise_for_status().json()["models"]
        return {one["id"] for one in openais}, {one["name"].removesuffix(":latest") for one in ollamas}

    def shows(key: str, model: str) -> tuple[int, int]:
        headers = {"authorization": f"Bearer {key}"}
        openai_s = company.junto.http.get(f"/v1/models/{model}", headers=headers)
        ollama_s = company.junto.http.post("/api/show", json={"model": model}, headers=headers)
        return openai_s.status_code, ollama_s.status_code

    assert all({LOCAL, CLOUD} <= shown for shown in names(plain))
    for key in (local, inside):
        assert all(LOCAL in shown and CLOUD not in shown for shown in names(key))
        assert shows(key, LOCAL) == (200, 200)
        assert shows(key, CLOUD) == (404, 404)
