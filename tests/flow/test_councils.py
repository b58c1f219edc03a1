"""Councils as callers meet them: in every dialect, under the floor, out of a budget, as a job, and when members fail."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from tests.flow.callers import AnthropicCaller, NativeCaller, OllamaCaller, OpenAICaller
from tests.flow.questions import Question
from tests.flow.raw_caller import RawCaller, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams import Script

CALLERS = [OpenAICaller, OllamaCaller, AnthropicCaller, NativeCaller]
TRIO = """
description: Three who answer once.
members:
  - {name: Ann, persona: You are careful., model: one/gpt-test}
  - {name: Bob, persona: You are bold., model: two/gpt-test}
  - {name: Cloe, persona: You are far away., model: far/gpt-test}
chair: {name: Chair, model: one/gpt-test}
quorum: 2
deadline_s: 20
max_tokens: 64
"""
FAR = """
members:
  - {name: Cloe, persona: You are far away., model: far/gpt-test}
  - {name: Cora, persona: You are far away too., model: far/gpt-test-mini}
chair: {model: far/gpt-test}
"""
BRIEF = """
members:
  - {name: Ann, persona: You are for it., max_tokens: 8}
  - {name: Bob, persona: You are against it., max_tokens: 8}
chair: {max_tokens: 8}
"""
PRICES = """
- {provider: openai, model: gpt-test, from: 2026-01-01, input: 2, output: 10}
- {provider: openai, model: gpt-test-mini, from: 2026-01-01, input: 2, output: 10}
"""
CONFIDENTIAL = {"x-junto-sensitivity": "confidential"}
ASKED = [{"role": "user", "content": "Tea or coffee?"}]


@dataclass
class Chamber:
    """A Junto with keys in front of two local servers and a cloud, and what each of these hears."""

    junto: RunningJunto
    servers: dict[str, OpenAIEmulator]
    folder: Path
    made: int = 0

    def script(self, name: str) -> Script:
        return self.servers[name].script

    def client(self, **policy: Any) -> dict[str, Any]:
        self.made += 1
        body = {
            "name": f"client-{self.made}",
            "allow_cloud_for_internal": True,
            "scopes": ["inference", "jobs"],
            **policy,
        }
        made: dict[str, Any] = (
            self.junto.http.post("/clients", json=body, headers=self.junto.admin).raise_for_status().json()
        )
        return made

    def ask(
        self, path: str = "/v1/chat/completions", client: dict[str, Any] | None = None, **fields: Any
    ) -> httpx2.Response:
        own = (client or self.client())["api_key"]
        headers = {"authorization": f"Bearer {own}", **fields.pop("headers", {})}
        body = {"messages": ASKED, **({"model": "council/trio"} if "chat/completions" in path else {}), **fields}
        return self.junto.http.post(path, json=body, headers=headers)

    def settled(self, client: dict[str, Any]) -> tuple[str, float]:
        """What is spent of the client's budget and what is put aside, in dollars, once nothing is put aside any more."""
        deadline = time.monotonic() + 10
        while True:
            [budget] = self.junto.get("/budgets", scope="client", id=client["id"])["budgets"]
            reserved = float(budget["reserved_usd"])
            if (reserved == 0 and float(budget["spent_usd"]) > 0) or time.monotonic() > deadline:
                return budget["spent_usd"], reserved
            time.sleep(0.1)


@pytest.fixture(scope="module")
def chamber(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chamber]:
    folder = tmp_path_factory.mktemp("data")
    (folder / "councils").mkdir()
    (folder / "councils" / "trio.yaml").write_text(TRIO)
    (folder / "councils" / "far.yaml").write_text(FAR)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(OpenAIEmulator()) for name in ("one", "two", "far")}
        backends = [
            {
                "name": name,
                "provider": "openai",
                "url": server.base_url,
                "locality": "cloud" if name == "far" else "local",
            }
            for name, server in servers.items()
        ]
        config = {"auth": {"mode": "keys"}, "backends": backends}
        junto = stack.enter_context(RunningJunto(folder, config, pricing=PRICES))
        yield Chamber(junto, servers, folder)


@pytest.fixture(autouse=True)
def forgotten(chamber: Chamber) -> None:
    """Each test hears what it asked itself."""
    for server in chamber.servers.values():
        server.script.take_back()
        server.script.clear()


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    """Without keys, for the SDKs, with the councils that come with Junto."""
    with OpenAIEmulator() as server:
        server.script.always(Scripted(text="Tea, on the whole."))
        backends = [{"name": "one", "provider": "openai", "url": server.base_url, "locality": "local"}]
        with RunningJunto(tmp_path_factory.mktemp("open"), {"backends": backends}) as junto:
            yield junto


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_council_answers_every_sdk_like_a_model(
    open_house: RunningJunto, caller: type[OpenAICaller], *, stream: bool
) -> None:
    """Opinions are its reasoning where the dialect has such, the synthesis is the answer, the usage is that of all."""
    with closing(caller(open_house.url)) as asking:
        heard = asking.ask("council/debate", Question(prompt="Tea or coffee?", stream=stream))
    if caller.name != "native":
        assert "Proponent" in heard.thinking
    assert heard.text.startswith("Tea, on the whole.")
    assert heard.prompt_tokens > 0


def test_councils_are_listed_like_models(open_house: RunningJunto) -> None:
    listed = {one["id"]: one["junto"]["kind"] for one in open_house.get("/v1/models")["data"]}
    names = {name for name, kind in listed.items() if kind == "council"}
    assert names == {"council/code-review", "council/debate", "council/diverse-analysis", "council/peer-review"}
    assert names <= {one["name"].removesuffix(":latest") for one in open_house.get("/api/tags")["models"]}
    assert open_house.get("/v1/models/council/debate")["id"] == "council/debate"


def test_its_own_path_names_a_template_and_gives_the_whole_account(chamber: Chamber) -> None:
    answer = (
        chamber.ask("/v1/council/chat", template="trio", rounds=2, members=["Ann", "Bob"]).raise_for_status().json()
    )
    council = answer["council"]
    assert answer["model"] == "council/trio"
    assert [(one["name"], one["status"], one["backend"]) for one in council["members"]] == [
        ("Ann", "ok", "one"),
        ("Bob", "ok", "two"),
    ]
    assert len(council["rounds"]) == 2
    assert council["degraded"] is False
    assert answer["usage"]["total_tokens"] == council["usage"]["total_tokens"]


def test_a_stream_has_each_step_beside_its_reasoning(chamber: Chamber) -> None:
    answer = chamber.ask("/v1/council/chat", template="trio", stream=True)
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    steps = [one["council"]["event"] for one in chunks if "event" in one.get("council", {})]
    assert steps[:2] == ["convened", "round"]
    assert sorted(steps[2:5]) == ["said"] * 3
    assert steps[5] == "synthesis"
    assert chunks[-1]["council"]["kind"] == "synthesis"
    assert "x-junto-request-id" in answer.headers


def test_a_member_whose_server_dies_in_the_middle_of_a_round_is_named_and_the_answer_is_whole(chamber: Chamber) -> None:
    """Its answer had begun; the others are not asked again."""
    chamber.script("two").plan(Scripted(text="Coffee, since it", fail=Fail(how="reset", after=2)))
    answer = chamber.ask().raise_for_status().json()
    council = answer["council"]
    assert answer["choices"][0]["message"]["content"]
    assert (council["degraded"], council["kind"], council["quorum"]["met"]) == (True, "synthesis", True)
    assert [one["status"] for one in council["members"]] == ["ok", "failed", "ok"]
    assert "Bob" in council["note"]


def test_too_many_members_gone_leaves_one_answer_flagged_and_nothing_made_up(chamber: Chamber) -> None:
    for name in ("two", "far"):
        chamber.script(name).plan(*[Scripted(fail=Fail(how="error", status=500))] * 6)
    chamber.script("one").plan(Scripted(text="Tea."))
    answer = chamber.ask().raise_for_status().json()
    assert answer["choices"][0]["message"]["content"] == "Tea."
    assert (answer["council"]["kind"], answer["council"]["degraded"]) == ("single", True)
    assert answer["council"]["chair"]["status"] == "not_asked"


def test_a_confidential_question_reaches_no_member_in_the_cloud(chamber: Chamber) -> None:
    """The member is left out before any call, with the reason, and the quorum decides."""
    answer = chamber.ask(headers=CONFIDENTIAL).raise_for_status().json()
    cloe = answer["council"]["members"][2]
    assert (cloe["status"], answer["council"]["degraded"]) == ("left_out", True)
    assert "confidential" in cloe["reason"]
    assert chamber.script("far").inferences == []
    assert len(chamber.script("one").inferences) == 2


def test_a_council_that_may_not_see_the_question_is_a_403_and_nobody_is_contacted(chamber: Chamber) -> None:
    answer = chamber.ask(model="council/far", headers=CONFIDENTIAL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "sensitivity_not_servable")
    assert any("Cora" in reason for reason in answer.json()["error"]["reasons"])
    assert all(server.script.inferences == [] for server in chamber.servers.values())


def test_each_call_is_an_exchange_with_its_parent_and_nothing_counts_twice(chamber: Chamber) -> None:
    client = chamber.client()
    answer = chamber.ask(client=client).raise_for_status()
    parent = answer.headers["x-junto-request-id"]
    own = chamber.junto.recorded(5, client=client["name"])
    parts = [one for one in own if one["parent_id"] == parent]
    [whole] = [one for one in own if one["id"] == parent]
    assert sorted(one["id"] for one in parts) == [f"{parent}.{number}" for number in range(1, 5)]
    assert (whole["model"], whole["backend"], whole["usage"]["output_tokens"]) == ("council/trio", "council", 0)
    total = sum(one["usage"]["output_tokens"] for one in parts)
    assert answer.json()["usage"]["completion_tokens"] == total
    assert chamber.junto.get(f"/clients/{client['id']}/usage", days=1)["totals"]["tokens_out"] == total


def test_a_council_is_paid_for_part_by_part_and_the_rest_is_given_back(chamber: Chamber) -> None:
    client = chamber.client(budget_usd="1", period="daily")
    answer = chamber.ask(client=client).raise_for_status()
    cost = answer.json()["council"]["cost_usd"]
    assert float(cost) > 0
    assert answer.headers["x-junto-cost-usd"] == cost
    assert chamber.settled(client) == (cost, 0)


def test_the_model_that_follows_a_council_that_failed_is_paid_for(chamber: Chamber) -> None:
    """By a route a plain model answers in its place: its usage and cost are its own, and nothing stays put aside for members."""
    route = {"preferred_model": "council/trio", "fallback_model": "far/gpt-test-mini", "sensitivity": "internal"}
    chamber.junto.http.put("/routing/weighing", json=route, headers=chamber.junto.admin).raise_for_status()
    for name in chamber.servers:
        chamber.script(name).plan(Scripted(fail=Fail(how="error", status=400)))
    client = chamber.client(budget_usd="1", period="daily")
    answer = chamber.ask(client=client, model="task/weighing").raise_for_status()
    assert answer.headers["x-junto-model"] == "gpt-test-mini"
    [record] = [one for one in chamber.junto.recorded(4, client=client["name"]) if not one["parent_id"]]
    assert record["usage"]["output_tokens"] == answer.json()["usage"]["completion_tokens"] > 0
    cost = answer.headers["x-junto-cost-usd"]
    assert (float(record["cost_usd"]) > 0, record["cost_usd"]) == (True, cost)
    assert chamber.settled(client) == (cost, 0)


def test_what_the_whole_council_may_cost_has_to_fit_before_anybody_is_asked(chamber: Chamber) -> None:
    answer = chamber.ask(client=chamber.client(budget_usd="0.0001", period="daily"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exceeded")
    assert all(server.script.inferences == [] for server in chamber.servers.values())


def test_a_council_counts_once_against_the_requests_a_minute(chamber: Chamber) -> None:
    """And with the tokens of all its parts against those."""
    client = chamber.client(rate_limit_per_minute=2, tokens_per_minute=100_000)
    first, second, third = (chamber.ask(client=client) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    used = 100_000 - int(first.headers["x-ratelimit-remaining-tokens"])
    assert used >= first.json()["usage"]["total_tokens"] / 2


def test_one_place_at_a_time_is_enough_for_a_council(chamber: Chamber) -> None:
    """Its members are not more requests of its caller."""
    assert chamber.ask(client=chamber.client(max_concurrency=1)).status_code == 200


def test_whoever_may_ask_a_council_may_hear_its_members_and_nobody_else(chamber: Chamber) -> None:
    client = chamber.client(allowed_models=["council/trio"])
    assert chamber.ask(client=client).status_code == 200
    assert chamber.ask(client=client, model="council/far").status_code == 403
    assert chamber.ask(client=client, model="one/gpt-test").status_code == 403
    named = chamber.ask(
        "/v1/council/chat", client, template="trio", members=["Ann", {"name": "Bob", "model": "one/gpt-test-mini"}]
    )
    assert named.status_code == 403
    assert not any(ask.model == "gpt-test-mini" for ask in chamber.script("one").asks)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/council/chat"])
def test_a_caller_that_hangs_up_takes_every_member_along(chamber: Chamber, path: str) -> None:
    for name in chamber.servers:
        chamber.script(name).plan(Scripted(text="never", gate=Gate()))
    body = {"model": "council/trio", "messages": ASKED, "stream": True}
    key = chamber.client()["api_key"]
    with RawCaller(chamber.junto.port) as caller:
        caller.send(request_bytes(path, body, f"Authorization: Bearer {key}"))
        heard = [chamber.script(name).wait_arrived()[0] for name in chamber.servers]
    assert all(one.wait_abandoned(1.0) for one in heard)
    assert chamber.junto.falls_idle()


def test_a_council_works_as_a_job_and_the_job_is_charged_once(chamber: Chamber) -> None:
    client = chamber.client(budget_usd="1", period="daily")
    asked = {"task_type": "weighing", "prompt": "Tea or coffee?", "model": "council/trio", "wait_s": 20}
    key = {"authorization": f"Bearer {client['api_key']}"}
    job = chamber.junto.http.post("/jobs", json=asked, headers=key).raise_for_status().json()
    assert (job["status"], job["model_used"]) == ("complete", "council/trio")
    assert job["response"]
    assert float(job["cost_usd"]) > 0
    totals = chamber.junto.get(f"/clients/{client['id']}/usage", days=1)["totals"]
    assert (totals["jobs"], totals["cost_usd"]) == (1, job["cost_usd"])


def test_a_job_s_budget_has_to_have_room_for_the_members(chamber: Chamber) -> None:
    client = chamber.client(budget_usd="0.0001", period="daily")
    asked = {"task_type": "weighing", "prompt": "Tea or coffee?", "model": "council/trio", "wait_s": 20}
    key = {"authorization": f"Bearer {client['api_key']}"}
    job = chamber.junto.http.post("/jobs", json=asked, headers=key).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "budget_exceeded")
    assert all(server.script.inferences == [] for server in chamber.servers.values())


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/chat/completions", {"model": "council/tiro"}, 404, "council/trio"),
        ("/v1/council/chat", {"template": "tiro"}, 404, "council/trio"),
        ("/v1/council/chat", {"template": "trio", "model": "council/far"}, 422, "template"),
        ("/v1/council/chat", {"template": "trio", "members": ["Anna"]}, 422, "Did you mean Ann?"),
        ("/v1/council/chat", {"template": "trio", "members": []}, 422, "member"),
        ("/v1/council/chat", {"template": "trio", "rounds": 77}, 422, "rounds"),
        ("/v1/council/chat", {"template": "trio", "members": [{"name": "Ann", "model": "council/far"}]}, 422, "council"),
        ("/v1/council/chat", {"template": "trio", "messages": []}, 422, "messages"),
        ("/v1/chat/completions", {"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_anybody_is_asked(
    chamber: Chamber, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = chamber.ask(path, **body)
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert all(server.script.inferences == [] for server in chamber.servers.values())


def test_a_mistake_in_a_file_refuses_the_reload_and_what_was_in_force_stays(chamber: Chamber) -> None:
    file = chamber.folder / "councils" / "wrong.yaml"
    file.write_text("members: []\nquorum: 4\n")
    try:
        answer = chamber.junto.http.post("/admin/reload", headers=chamber.junto.admin)
        assert answer.status_code == 422
        assert "wrong.yaml" in answer.text
        assert "members" in answer.text
        assert chamber.ask(model="council/far").status_code == 200
    finally:
        file.unlink()


def test_a_new_file_is_a_council_after_the_reload(chamber: Chamber) -> None:
    file = chamber.folder / "councils" / "pair.yaml"
    file.write_text(TRIO)
    try:
        chamber.junto.http.post("/admin/reload", headers=chamber.junto.admin).raise_for_status()
        assert "council/pair" in {one["id"] for one in chamber.junto.get("/v1/models")["data"]}
    finally:
        file.unlink()


def test_the_built_in_model_debates(tmp_path: Path) -> None:
    """End to end, with the two SDKs that its users have; briefly, since it is slow."""
    (tmp_path / "councils").mkdir()
    (tmp_path / "councils" / "brief.yaml").write_text(BRIEF)
    short = [{"name": name, "max_tokens": 8} for name in ("Proponent", "Opponent")]
    with RunningJunto(tmp_path, {"builtin_model": "on"}) as junto, closing(openai_sdk(junto.url)) as client:
        stream = client.chat.completions.create(
            model="council/debate",
            messages=[{"role": "user", "content": "Tea or coffee?"}],
            stream=True,
            max_tokens=8,
            extra_body={"members": short, "rounds": 1},
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        council = (chunks[-1].model_extra or {})["council"]
        assert (council["degraded"], council["template"]) == (False, "debate")
        with closing(OllamaCaller(junto.url)) as asking:
            heard = asking.ask("council/brief", Question(prompt="Tea or coffee?", stream=True))
        assert "Round 1" in heard.thinking
        assert heard.text


def openai_sdk(url: str) -> openai.OpenAI:
    """The official client, patient."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=200)
