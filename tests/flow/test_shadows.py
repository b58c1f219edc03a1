"""Shadows from outside: they accumulate at the rate, nobody gets or waits for them, and the floor holds for them as for anything."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from junto.bootstrap.evals import EvalOptions
from junto.evals.sampling import is_sampled
from junto.evals.shadowing import Pace
from tests.chaos.jobs.processes import until
from tests.flow.raw_caller import chat_request
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRICES = """
- {provider: openai, model: rival, from: 2026-01-01, input: 2, output: 10}
"""
KEEP = {"storage": {"responses": {"confidential": "full"}}}
WIRES = [(dialect, stream) for dialect in ("openai", "anthropic", "ollama", "native") for stream in (False, True)]


class Desk:
    """Junto in front of two servers: the model that callers get, and the candidate, with one slot each."""

    def __init__(self, junto: RunningJunto, usual: OpenAIEmulator, rival: OpenAIEmulator) -> None:
        self.junto = junto
        self.usual = usual.script
        self.rival = rival.script

    def route(self, task_type: str = "mail", *, rate: float = 1.0, **more: Any) -> None:
        shadow = {"model": "rival", "rate": rate, **more.pop("shadow", {})}
        put = {"preferred_model": "usual", "sensitivity": "public", "shadow_models": [shadow], **more}
        self.junto.http.put(f"/routing/{task_type}", json=put, headers=self.junto.admin).raise_for_status()

    def ask(self, prompt: str = "hi", *, key: str = "", **fields: Any) -> httpx2.Response:
        body = {"model": "task/mail", "messages": [{"role": "user", "content": prompt}], **fields}
        tier = {"X-Junto-Sensitivity": body.pop("tier", "public")}
        own = {"authorization": f"Bearer {key}"} if key else {}
        return self.junto.http.post("/v1/chat/completions", json=body, headers=tier | own).raise_for_status()

    def shadows(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.junto.get("/eval/shadows", limit=200, **query)["shadows"]
        return found

    def ended(self, count: int, **query: Any) -> list[dict[str, Any]]:
        """Wait until so many have ended."""
        until(lambda: sum(one["finished_ms"] is not None for one in self.shadows(**query)) >= count)
        found = [one for one in self.shadows(**query) if one["finished_ms"] is not None]
        assert len(found) == count
        return found

    def flushed(self, count: int) -> None:
        """Wait until so many exchanges of callers are stored, and with them their shadows."""
        until(lambda: self.junto.get("/admin/responses/stats")["exchanges"] >= count)

    def client(self, **policy: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.junto.http.post("/clients", json=policy, headers=self.junto.admin).json()
        return made

    def metrics(self) -> str:
        return self.junto.http.get("/metrics", headers={**self.junto.admin, "accept": "text/plain"}).text


@contextmanager
def set_desk(
    folder: Path,
    *,
    environ: dict[str, str] | None = None,
    locality: str = "local",
    slots: int | None = 1,
    servers: tuple[OpenAIEmulator, OpenAIEmulator] | None = None,
    **config: Any,
) -> Iterator[Desk]:
    usual, rival = servers or (OpenAIEmulator(models=["usual"]), OpenAIEmulator(models=["rival"]))
    with usual, rival:
        backends = [
            {"name": "front", "provider": "openai", "url": usual.base_url, "locality": "local"},
            {"name": "back", "provider": "openai", "url": rival.base_url, "locality": locality, "slots": slots},
        ]
        options = EvalOptions(shadows=Pace(look=0.05, lease=5.0))
        config = {"backends": backends, "jobs": {"worker": "on"}, **KEEP, **config}
        with RunningJunto(folder, config, environ=environ, pricing=PRICES, eval_options=options) as junto:
            yield Desk(junto, usual, rival)


@pytest.fixture
def small_desk(tmp_path: Path) -> Iterator[Desk]:
    with set_desk(tmp_path / "data") as desk:
        yield desk


@pytest.fixture
def desk(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Desk]:
    with set_desk(tmp_path / "data", environ=fresh_database) as desk:
        yield desk


def test_a_shadow_is_asked_what_was_asked_and_its_answer_is_kept_for_the_operator(desk: Desk) -> None:
    desk.route()
    desk.rival.always(Scripted(text="the rival's words"))
    desk.usual.always(Scripted(text="the usual words"))
    answer = desk.ask("What is it?", temperature=0.5)
    assert answer.json()["choices"][0]["message"]["content"] == "the usual words"
    (shadow,) = desk.ended(1)
    assert (shadow["status"], shadow["model_used"], shadow["backend"]) == ("complete", "rival", "back")
    assert (shadow["production_model"], shadow["task_type"], shadow["source_kind"]) == ("usual", "mail", "exchange")
    assert shadow["tokens_out"] == 3
    asked = desk.rival.inferences[0].json
    assert (asked["model"], asked["temperature"]) == ("rival", 0.5)
    assert asked["messages"] == [{"role": "user", "content": "What is it?"}]
    whole = desk.junto.get(f"/eval/shadows/{shadow['id']}")
    assert whole["answer"] == {"response": "the rival's words"}
    assert whole["request"]["messages"] == asked["messages"]


def test_whatever_wire_a_caller_speaks_its_requests_can_be_replayed(small_desk: Desk) -> None:
    small_desk.route()
    small_desk.rival.always(Scripted(text="the rival's words"))
    for number, (dialect, stream) in enumerate(WIRES, start=1):
        path, body = chat_request(dialect, "task/mail", f"What is it in {dialect}?", stream=stream)
        headers = {"X-Junto-Sensitivity": "public"}
        small_desk.junto.http.post(path, json=body, headers=headers).raise_for_status()
        shadow, *_ = small_desk.ended(number)
        assert (shadow["status"], shadow["error_code"], shadow["model_used"]) == ("complete", "", "rival")
        answer = small_desk.junto.get(f"/eval/shadows/{shadow['id']}")["answer"]
        assert answer == {"response": "the rival's words"}
        assert small_desk.rival.asks[-1].prompt == f"What is it in {dialect}?"


def test_of_many_requests_exactly_those_that_the_hash_picks_have_a_shadow(small_desk: Desk) -> None:
    small_desk.route(rate=0.4)
    for number in range(40):
        small_desk.ask(f"question {number}")
    exchanges = small_desk.junto.recorded(40, limit=200, backend="front")
    picked = {one["id"] for one in exchanges if is_sampled(one["id"], "rival", 0.4)}
    assert 5 < len(picked) < 35
    assert {one["source_id"] for one in small_desk.ended(len(picked))} == picked


def test_jobs_have_shadows_by_their_own_ids(desk: Desk) -> None:
    desk.route()
    job = desk.junto.http.post("/jobs", json={"task_type": "mail", "prompt": "hi", "wait_s": 10}).json()
    assert job["status"] == "complete"
    (shadow,) = desk.ended(1)
    assert (shadow["source_kind"], shadow["source_id"], shadow["status"]) == ("job", job["job_id"], "complete")


def test_neither_embeddings_nor_failures_nor_shadows_have_shadows(small_desk: Desk) -> None:
    small_desk.route()
    small_desk.route("other", shadow={"model": "usual"}, preferred_model="rival")
    small_desk.usual.plan(Scripted(fail=Fail(status=400)))
    refused = {"model": "task/mail", "messages": [{"role": "user", "content": "refused"}]}
    assert small_desk.junto.http.post("/v1/chat/completions", json=refused).status_code == 400
    small_desk.junto.http.post(
        "/v1/chat/completions", json={"model": "usual", "messages": [{"role": "user", "content": "no task"}]}
    ).raise_for_status()
    small_desk.ask()
    (only,) = small_desk.ended(1)
    small_desk.flushed(4)
    assert small_desk.shadows() == [only]


def test_it_is_charged_to_the_operator_and_seen_in_metrics_and_never_in_the_clients_usage(
    tmp_path: Path, fresh_database: dict[str, str]
) -> None:
    with set_desk(tmp_path, environ=fresh_database, locality="cloud", slots=None, auth={"mode": "keys"}) as desk:
        desk.route()
        client = desk.client(name="shop", budget_usd="1", period="daily")
        desk.ask(key=client["api_key"], max_tokens=50)
        (shadow,) = desk.ended(1)
        assert float(shadow["cost_usd"]) > 0
        desk.flushed(2)
        usage = desk.junto.get(f"/clients/{client['id']}/usage", days=1)["totals"]
        assert (usage["requests"], float(usage["cost_usd"])) == (1, 0.0)
        (budget,) = desk.junto.get("/budgets", scope="client", id=client["id"])["budgets"]
        assert float(budget["spent_usd"]) == 0
        (exchange,) = desk.junto.recorded(1, backend="back")
        assert (exchange["purpose"], exchange["client"], exchange["parent_id"]) == (
            "shadow",
            "operator",
            shadow["source_id"],
        )
        metrics = desk.metrics()
        assert 'junto_shadows_total{model="rival",reason="",status="complete",task_type="mail"} 1.0' in metrics
        assert 'junto_shadows_sampled_total{model="rival",task_type="mail"} 1.0' in metrics


def test_real_work_turns_a_shadow_out_at_once_and_it_is_tried_again(small_desk: Desk) -> None:
    small_desk.route()
    held = Gate()
    small_desk.rival.plan(Scripted(text="too late", gate=held))
    small_desk.ask("shadow me")
    small_desk.rival.wait_arrived(1)
    direct = {"model": "rival", "messages": [{"role": "user", "content": "real work"}]}
    answer = small_desk.junto.http.post("/v1/chat/completions", json=direct).raise_for_status()
    assert answer.headers["x-junto-backend"] == "back"
    assert not held.is_open  # what had the only slot would still have it
    (shadow,) = small_desk.ended(1)
    assert (shadow["status"], shadow["fence"]) == ("complete", 2)
    assert [ask.prompt for ask in small_desk.rival.asks] == ["shadow me", "real work", "shadow me"]
    held.open()


def test_no_shadow_begins_where_somebody_is_at_work_and_callers_wait_for_none(small_desk: Desk) -> None:
    small_desk.route()
    held = Gate()
    small_desk.rival.plan(Scripted(text="real work", gate=held, gate_after=1))
    direct = {"model": "rival", "messages": [{"role": "user", "content": "real work"}], "stream": True}
    with small_desk.junto.http.stream("POST", "/v1/chat/completions", json=direct) as streaming:
        for number in range(3):
            small_desk.ask(f"shadow {number}")
        until(lambda: len(small_desk.shadows(status="pending")) == 3)
        until(lambda: 'junto_shadows_waiting{model="rival",task_type="mail"} 3.0' in small_desk.metrics())
        assert [ask.prompt for ask in small_desk.rival.asks] == ["real work"]
        held.open()
        streaming.read()
    assert {one["status"] for one in small_desk.ended(3)} == {"complete"}


def test_internal_work_has_a_cloud_shadow_only_with_the_clients_consent_and_confidential_never(
    tmp_path: Path, fresh_database: dict[str, str]
) -> None:
    config: dict[str, Any] = {"auth": {"mode": "keys"}, "locality": "cloud", "slots": None}
    with set_desk(tmp_path, environ=fresh_database, **config) as desk:
        desk.route()
        wary = desk.client(name="wary")
        easy = desk.client(name="easy", allow_cloud_for_internal=True)
        desk.ask("kept 1", key=wary["api_key"], tier="internal")
        desk.ask("kept 2", key=easy["api_key"], tier="confidential")
        desk.ask("free 1", key=easy["api_key"], tier="internal")
        desk.ask("free 2", key=wary["api_key"], tier="public")
        desk.flushed(4)
        assert {one["status"] for one in desk.ended(2)} == {"complete"}
        assert sorted(ask.prompt for ask in desk.rival.asks) == ["free 1", "free 2"]
        refused = 'junto_shadows_total{model="rival",reason="floor",status="dropped",task_type="mail"} 2.0'
        assert refused in desk.metrics()


def test_consent_that_was_taken_back_meanwhile_is_no_consent(tmp_path: Path) -> None:
    with set_desk(tmp_path, locality="cloud", auth={"mode": "keys"}) as desk:
        desk.route()
        client = desk.client(name="easy", allow_cloud_for_internal=True)
        held = Gate()
        desk.rival.plan(Scripted(text="busy now", gate=held, gate_after=1))
        direct = {"model": "rival", "messages": [{"role": "user", "content": "public"}], "stream": True}
        headers = {"authorization": f"Bearer {client['api_key']}", "X-Junto-Sensitivity": "public"}
        with desk.junto.http.stream("POST", "/v1/chat/completions", json=direct, headers=headers) as streaming:
            desk.ask("mine", key=client["api_key"], tier="internal")
            until(lambda: len(desk.shadows(status="pending")) == 1)
            desk.junto.http.patch(
                f"/clients/{client['id']}", json={"allow_cloud_for_internal": False}, headers=desk.junto.admin
            ).raise_for_status()
            held.open()
            streaming.read()
        (shadow,) = desk.ended(1)
        assert (shadow["status"], shadow["error_code"]) == ("dropped", "floor")
        assert [ask.prompt for ask in desk.rival.asks] == ["public"]


def test_a_days_cap_is_kept_to(tmp_path: Path, fresh_database: dict[str, str]) -> None:
    with set_desk(tmp_path, environ=fresh_database, locality="cloud", slots=None) as desk:
        # Ten tokens out at 10 dollars a million, and a few in at 2: a little over 0.0001 each.
        desk.route(shadow={"daily_cost_cap_usd": "0.00035"})
        desk.rival.always(Scripted(text=" ".join(["word"] * 10)))
        for number in range(8):
            desk.ask(f"question {number}", max_tokens=10)
        ended = desk.ended(8)
        complete = [one for one in ended if one["status"] == "complete"]
        assert 1 <= len(complete) <= 3
        assert sum(float(one["cost_usd"]) for one in ended) <= 0.00035
        assert {one["error_code"] for one in ended if one["status"] == "dropped"} == {"daily_cap"}


def test_a_route_that_names_the_candidate_no_more_ends_what_waits(small_desk: Desk) -> None:
    small_desk.route()
    held = Gate()
    small_desk.rival.plan(Scripted(text="real work", gate=held, gate_after=1))
    direct = {"model": "rival", "messages": [{"role": "user", "content": "real work"}], "stream": True}
    with small_desk.junto.http.stream("POST", "/v1/chat/completions", json=direct) as streaming:
        small_desk.ask()
        until(lambda: len(small_desk.shadows(status="pending")) == 1)
        small_desk.route(shadow={"model": "usual"})
        (shadow,) = small_desk.ended(1)
        assert (shadow["status"], shadow["error_code"]) == ("dropped", "unrouted")
        held.open()
        streaming.read()


def test_a_junto_that_is_started_again_goes_on_with_what_waited_and_what_ran(
    tmp_path: Path, fresh_database: dict[str, str]
) -> None:
    usual, rival = OpenAIEmulator(models=["usual"]), OpenAIEmulator(models=["rival"])
    held = Gate()
    rival.script.plan(Scripted(text="never read", gate=held))
    with usual, rival:
        backends = [
            {"name": "front", "provider": "openai", "url": usual.base_url, "locality": "local"},
            {"name": "back", "provider": "openai", "url": rival.base_url, "locality": "local", "slots": 1},
        ]
        options = EvalOptions(shadows=Pace(look=0.05, lease=5.0))
        start = partial(RunningJunto, tmp_path, {"backends": backends}, environ=fresh_database, eval_options=options)
        with start() as junto:
            desk = Desk(junto, usual, rival)
            desk.route()
            for number in range(3):
                desk.ask(f"question {number}")
            rival.script.wait_arrived(1)
            until(lambda: len(desk.shadows()) == 3)
            assert len(desk.shadows(status="running")) == 1
        with start() as junto:
            ended = Desk(junto, usual, rival).ended(3)
        held.open()
    assert {one["status"] for one in ended} == {"complete"}
    assert sorted(ask.prompt for ask in rival.script.asks)[:1] == ["question 0"]


def test_a_missing_shadow_is_a_404_and_strangers_see_none(small_desk: Desk) -> None:
    assert small_desk.junto.http.get("/eval/shadows/shd_none", headers=small_desk.junto.admin).status_code == 404
    assert small_desk.junto.http.get("/eval/shadows").status_code == 401
    assert (
        small_desk.junto.http.get("/eval/shadows", params={"status": "odd"}, headers=small_desk.junto.admin).status_code
        == 422
    )


def test_the_answer_is_there_before_its_shadow_is_begun(small_desk: Desk) -> None:
    """A candidate that never answers holds up nobody: each caller has its answer while it hangs."""
    small_desk.route()
    held = Gate()
    small_desk.rival.always(Scripted(text="slow", gate=held))
    answers = [small_desk.ask(f"question {number}").status_code for number in range(5)]
    assert answers == [200] * 5
    small_desk.rival.wait_arrived(1)
    assert len(small_desk.shadows(status="complete")) == 0
    held.open()
    assert len(small_desk.ended(5)) == 5
