"""Budgets and usage over HTTP, as an administrator and a client see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = {"jobs": 0, "requests": 0, "failures": 0, "tokens_in": 0, "tokens_out": 0, "tokens_cached": 0}


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Iterator[RunningJunto]:
    with RunningJunto(tmp_path_factory.mktemp("data"), {"auth": {"mode": "keys"}}, environ=database) as junto:
        yield junto


def admin(junto: RunningJunto, method: str, path: str, **given: Any) -> httpx2.Response:
    return junto.http.request(method, path, headers=junto.admin, **given)


@pytest.fixture
def client(junto: RunningJunto) -> dict[str, Any]:
    name = f"client-{len(admin(junto, 'GET', '/clients').json()['clients'])}"
    made: dict[str, Any] = admin(junto, "POST", "/clients", json={"name": name}).raise_for_status().json()
    return made


def budget(client: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"scope": "client", "id": client["id"], "period": "daily", "limit_usd": 5, **fields}


def test_a_budget_is_set_listed_changed_and_removed(junto: RunningJunto, client: dict[str, Any]) -> None:
    made = admin(junto, "PUT", "/budgets", json=budget(client)).raise_for_status().json()
    assert made["resets"].endswith("T00:00:00Z")
    assert {key: made[key] for key in ("scope", "id", "tenant", "period", "limit_usd", "spent_usd")} == {
        "scope": "client",
        "id": client["id"],
        "tenant": "default",
        "period": "daily",
        "limit_usd": "5.000000",
        "spent_usd": "0.000000",
    }
    changed = admin(junto, "PUT", "/budgets", json=budget(client, limit_usd="2.5")).raise_for_status().json()
    mine = {"scope": "client", "id": client["id"]}
    assert admin(junto, "GET", "/budgets", params=mine).json() == {"budgets": [changed]}
    assert changed["remaining_usd"] == "2.500000"
    gone = {**mine, "period": "daily"}
    assert admin(junto, "DELETE", "/budgets", params=gone).status_code == 204
    assert admin(junto, "DELETE", "/budgets", params=gone).status_code == 404
    assert admin(junto, "GET", "/budgets", params=mine).json() == {"budgets": []}


def test_a_budget_of_a_key_and_of_a_tenant(junto: RunningJunto, client: dict[str, Any]) -> None:
    for scope, owner in (("key", client["key_id"]), ("tenant", "default")):
        made = admin(junto, "PUT", "/budgets", json=budget(client, scope=scope, id=owner, period="total"))
        assert made.raise_for_status().json()["resets"] is None
    assert admin(junto, "DELETE", "/budgets", params={"scope": "tenant", "id": "default", "period": "total"}).is_success


def test_the_budget_of_a_client_that_was_made_with_one_is_there(junto: RunningJunto) -> None:
    made = admin(junto, "POST", "/clients", json={"name": "thrifty", "budget_usd": 1, "period": "monthly"}).json()
    (found,) = admin(junto, "GET", "/budgets", params={"scope": "client", "id": made["id"]}).json()["budgets"]
    assert (found["period"], found["limit_usd"]) == ("monthly", "1.000000")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "agent"},
        {"period": "weekly"},
        {"limit_usd": -1},
        {"limit_usd": "1e10"},
        {"limit_usd": 0.0000000001},
        {"limit_usd": "NaN"},
        {"limit_usd": None},
        {"id": ""},
        {"id": 5},
        {"spent_usd": 0},
    ],
    ids=str,
)
def test_a_budget_that_makes_no_sense_is_422(junto: RunningJunto, client: dict[str, Any], wrong: Any) -> None:
    answer = admin(junto, "PUT", "/budgets", json=budget(client, **wrong))
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == next(iter(wrong))


@pytest.mark.parametrize("scope", ["key", "client", "tenant"])
def test_a_budget_of_nobody_is_404(junto: RunningJunto, scope: str) -> None:
    body = {"scope": scope, "id": "nobody", "period": "daily", "limit_usd": 1}
    assert admin(junto, "PUT", "/budgets", json=body).status_code == 404


def test_a_client_that_used_nothing_has_no_rows(junto: RunningJunto, client: dict[str, Any]) -> None:
    expected = {"client_id": client["id"], "days": 7, "usage": [], "totals": {**NOTHING, "cost_usd": "0.000000"}}
    path = f"/clients/{client['id']}/usage"
    assert admin(junto, "GET", path, params={"days": 7}).json() == expected
    own = {"authorization": f"Bearer {client['api_key']}"}
    assert junto.http.get(path, params={"days": 7}, headers=own).json() == expected
    assert junto.http.get("/usage", params={"days": 7}, headers=own).json() == expected


@pytest.mark.parametrize("days", [0, 367, -1, "all"])
def test_days_are_between_one_and_a_leap_year(junto: RunningJunto, client: dict[str, Any], days: object) -> None:
    answer = admin(junto, "GET", f"/clients/{client['id']}/usage", params={"days": days})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "days"


def test_usage_of_a_client_that_is_not_there_is_404(junto: RunningJunto) -> None:
    assert admin(junto, "GET", "/clients/cli_none/usage").status_code == 404
