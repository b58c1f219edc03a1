"""Requests that are paid out of a budget, from the caller's key to the ledger, over real sockets."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICES = """
- {provider: openai, model: gpt-test, from: 2026-01-01, input: 2, output: 10}
- {provider: openai, model: dear, from: 2026-01-01, input: 2, output: 10}
"""
PATIENCE = 10.0


@dataclass
class Shop:
    """A Junto in front of a model that costs something."""

    junto: RunningJunto
    script: Script
    made: int = 0

    def client(self, budget_usd: str, period: str = "daily") -> dict[str, Any]:
        self.made += 1
        policy = {"budget_usd": budget_usd, "period": period, "allow_cloud_for_internal": True}
        body = {"name": f"customer-{self.made}", **policy}
        answer = self.junto.http.post("/clients", json=body, headers=self.junto.admin)
        made: dict[str, Any] = answer.raise_for_status().json()
        return made

    def ask(self, client: dict[str, Any], **fields: Any) -> httpx2.Response:
        body = {"model": "gpt-test", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}], **fields}
        own = {"authorization": f"Bearer {client['api_key']}"}
        return self.junto.http.post("/v1/chat/completions", json=body, headers=own)

    def settled(self, client: dict[str, Any]) -> dict[str, Any]:
        """The client's budget, as soon as nothing is held of it any more."""
        end = time.monotonic() + PATIENCE
        while True:
            (budget,) = self.junto.get("/budgets", scope="client", id=client["id"])["budgets"]
            if float(budget["reserved_usd"]) == 0 or time.monotonic() > end:
                return dict(budget)
            time.sleep(0.1)

    def total(self, client: dict[str, Any]) -> dict[str, Any]:
        return dict(self.junto.get(f"/clients/{client['id']}/usage", days=1)["totals"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with OpenAIEmulator() as upstream:
        down = {"name": "down", "provider": "openai", "url": "http://127.0.0.1:9/v1", "models": ["dear"]}
        backends = [
            {"name": "up", "provider": "openai", "url": upstream.base_url},
            {"name": "desk", "provider": "fake", "locality": "local", "models": ["free"]},
            down,
        ]
        groups = {"either": {"members": ["desk/free", "down/dear"]}}
        config = {"auth": {"mode": "keys"}, "backends": backends, "groups": groups}
        with RunningJunto(tmp_path_factory.mktemp("data"), config, pricing=PRICES) as junto:
            yield Shop(junto, upstream.script)


def test_requests_are_let_in_until_the_budget_is_used_up_and_then_it_is_402(shop: Shop) -> None:
    client = shop.client("0.0005")
    answers = [shop.ask(client) for _ in range(20)]
    statuses = [answer.status_code for answer in answers]
    let_in = statuses.count(200)
    assert 0 < let_in < 20
    assert statuses == [200] * let_in + [402] * (20 - let_in)
    error = answers[-1].json()["error"]
    assert error["code"] == "budget_exceeded"
    assert f"The daily budget of client {client['id']} (0.000500 USD)" in error["message"]
    assert int(answers[-1].headers["retry-after"]) > 0
    budget = shop.settled(client)
    total = shop.total(client)
    assert budget["reserved_usd"] == "0.000000"
    assert budget["spent_usd"] == total["cost_usd"] != "0.000000"
    assert float(budget["spent_usd"]) <= 0.0005
    assert (total["requests"], total["failures"]) == (20, 20 - let_in)


def test_a_budget_of_nothing_lets_nothing_in_and_calls_nobody(shop: Shop) -> None:
    client = shop.client("0")
    shop.script.clear()
    assert shop.ask(client).status_code == 402
    assert shop.script.inferences == []


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 100, "max_tokens": 10},
        {"max_tokens": 1, "max_completion_tokens": 1000},
        {"max_tokens": 1000, "max_completion_tokens": 1},
    ],
)
def test_all_answers_that_are_asked_for_have_to_be_paid(shop: Shop, fields: dict[str, Any]) -> None:
    """Held is what the upstream may make of it: so many answers, and the larger of two maxima."""
    client = shop.client("0.005")  # 500 tokens of output
    shop.script.clear()
    assert shop.ask(client, **fields).status_code == 402
    assert shop.script.inferences == []
    assert shop.ask(client, n=1, max_tokens=10).status_code == 200


def test_a_job_holds_what_the_dearest_may_take_that_is_only_out_of_service_now(shop: Shop) -> None:
    """It may be back when the job's turn comes."""
    client = shop.client("0.005")
    own = {"authorization": f"Bearer {client['api_key']}"}
    body = {"task_type": "tale", "prompt": "hi", "model": "either", "max_tokens": 1000, "sensitivity": "public"}
    refused = shop.junto.http.post("/jobs", json=body, headers=own)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")


def test_a_raised_budget_lets_in_at_once(shop: Shop) -> None:
    client = shop.client("0")
    assert shop.ask(client).status_code == 402
    raised = {"scope": "client", "id": client["id"], "period": "daily", "limit_usd": 1}
    shop.junto.http.put("/budgets", json=raised, headers=shop.junto.admin).raise_for_status()
    assert shop.ask(client).status_code == 200
    shop.settled(client)


def test_a_request_that_fails_upstream_costs_nothing(shop: Shop) -> None:
    client = shop.client("1")
    assert shop.ask(client, model="no-such-model").status_code == 404
    budget = shop.settled(client)
    assert (budget["spent_usd"], budget["reserved_usd"]) == ("0.000000", "0.000000")


def test_a_stream_is_paid_too(shop: Shop) -> None:
    client = shop.client("1")
    answer = shop.ask(client, stream=True, max_tokens=None)
    assert answer.status_code == 200
    assert "[DONE]" in answer.text
    budget = shop.settled(client)
    assert budget["spent_usd"] == shop.total(client)["cost_usd"] != "0.000000"
