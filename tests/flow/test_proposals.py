"""Proposals from outside: only behind the gate, in force with the next request, taken back in one call; a canary that is worse stops."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from junto.bootstrap.evals import EvalOptions
from junto.evals.shadowing import Pace
from junto.routing.evidence import Canary
from tests.chaos.jobs.processes import until
from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import Fail, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams.ask import Ask

PRICES = """
- {provider: openai, model: dear-9b, from: 2026-01-01, input: 100, output: 100}
- {provider: openai, model: cheap-9b, from: 2026-01-01, input: 1, output: 1}
"""
KEEP = {"storage": {"responses": {"confidential": "full"}}}
GATE = {"min_scores": 5, "confidence": 0.8, "quality_margin": 1, "min_saving": 0.2, "max_failure_excess": 0.5}
PAIRS = 14  # equal scores of so many clear that gate


class Firm:
    """Junto in front of a dear and a cheap model, with nobody who looks but the test."""

    def __init__(self, junto: RunningJunto, cheap: OpenAIEmulator) -> None:
        self.junto = junto
        self.cheap = cheap.script
        self.scored = 0

    def done(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.junto.http.request(method, path, json=body, headers=self.junto.admin)
        assert answer.is_success, answer.text
        return answer.json()

    def route(self, **more: Any) -> int:
        put = {
            "preferred_model": "dear-9b",
            "sensitivity": "public",
            "shadow_models": [{"model": "cheap-9b", "rate": 1}],
            "evidence": {**GATE, **more.pop("evidence", {})},
        }
        return int(self.done("PUT", "/routing/mail", {**put, **more})["version"])

    def routed(self) -> dict[str, Any]:
        found: dict[str, Any] = self.junto.get("/routing/mail")
        return found

    def ask(self) -> httpx2.Response:
        body = {"model": "task/mail", "messages": [{"role": "user", "content": "one two three"}]}
        headers = {"X-Junto-Sensitivity": "public"}
        return self.junto.http.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()

    def compared(self, count: int, *, ours: int = 4, theirs: int = 4) -> None:
        """So many requests whose shadows are all there, both answers scored."""
        for _ in range(count):
            self.ask()
        until(lambda: len(self.shadows()) == self.scored + count)
        for shadow in self.shadows()[:count]:
            self.done("POST", f"/eval/shadows/{shadow['id']}/score", {"score": ours})
            self.done("POST", f"/eval/exchanges/{shadow['source_id']}/score", {"score": theirs})
        self.scored += count

    def compared_in_canary(self) -> None:
        """Requests until one of them was answered by the incumbent, and its shadow is there and scored."""
        while self.ask().headers["x-junto-model"] != "dear-9b":
            pass
        until(lambda: len(self.shadows()) == self.scored + 1)
        shadow = self.shadows()[0]
        self.done("POST", f"/eval/shadows/{shadow['id']}/score", {"score": 4})
        self.done("POST", f"/eval/exchanges/{shadow['source_id']}/score", {"score": 4})
        self.scored += 1

    def shadows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.junto.get("/eval/shadows", status="complete", limit=200)["shadows"]
        return [one for one in found if one["production_model"] == "dear-9b"]

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end."""
        until(lambda: self.junto.get(f"/jobs/{job_id}")["status"] not in {"pending", "running"})
        found: dict[str, Any] = self.junto.get(f"/jobs/{job_id}")
        return found

    def look(self) -> None:
        self.junto.run(self.junto.services.evals.proposals.promoting.look())

    def proposals(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.junto.get("/eval/proposals", **query)["proposals"]
        return found

    def proposed(self) -> str:
        """Make a proposal that is open."""
        self.route()
        self.compared(PAIRS)
        self.clears()
        self.look()
        (proposal,) = self.proposals(status="open")
        return str(proposal["id"])

    def clears(self) -> None:
        """Wait until what the shadows cost and how they ended is counted, too."""
        until(lambda: not self.missing())

    def missing(self) -> dict[str, str]:
        """What the gate wants of the candidate."""
        (candidate,) = self.junto.get("/eval/candidates", task_type="mail")["candidates"]
        return {one["name"]: one["reason"] for one in candidate["conditions"] if not one["met"]}


@contextmanager
def at_work(folder: Path, environ: dict[str, str] | None = None, *, locality: str = "local") -> Iterator[Firm]:
    with OpenAIEmulator(models=["dear-9b"]) as dear, OpenAIEmulator(models=["cheap-9b"]) as cheap:
        backends = [
            {"name": "dear", "provider": "openai", "url": dear.base_url, "locality": "cloud"},
            {"name": "cheap", "provider": "openai", "url": cheap.base_url, "locality": locality},
        ]
        options = EvalOptions(shadows=Pace(look=0.02, lease=5.0), proposals_every=None)
        config = {"backends": backends, **KEEP}
        with RunningJunto(folder, config, environ=environ, pricing=PRICES, eval_options=options) as junto:
            yield Firm(junto, cheap)


@pytest.fixture
def firm(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Firm]:
    with at_work(tmp_path / "data", fresh_database) as firm:
        yield firm


@pytest.fixture
def small_firm(tmp_path: Path) -> Iterator[Firm]:
    with at_work(tmp_path / "data") as firm:
        yield firm


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """One for all tests that change nothing."""
    with at_work(tmp_path_factory.mktemp("data")) as firm:
        yield firm


def test_a_proposal_appears_behind_the_gate_is_in_force_with_the_next_request_and_rolled_back_in_one_call(
    firm: Firm,
) -> None:
    version = firm.route()
    assert set(firm.missing()) == {"scores", "quality", "saving", "failures"}
    firm.compared(3)
    firm.look()
    assert firm.proposals() == []
    assert "2 are missing" in firm.missing()["scores"]
    firm.compared(PAIRS - 3)
    firm.clears()
    firm.look()
    firm.look()
    (proposal,) = firm.proposals()
    assert (proposal["incumbent"], proposal["candidate"], proposal["status"]) == ("dear-9b", "cheap-9b", "open")
    evidence = proposal["evidence"]
    assert (evidence["cleared"], evidence["quality"]["pairs"]) == (True, PAIRS)
    assert evidence["quality"]["difference"]["mean"] == 0
    assert evidence["quality"]["candidate"]["n"] == evidence["quality"]["incumbent"]["n"] == PAIRS
    assert evidence["cost"]["saving"] == 1.0  # the cheap one is on the premises
    assert firm.ask().headers["x-junto-model"] == "dear-9b"  # nothing changes by itself

    accepted = firm.done("POST", f"/eval/proposals/{proposal['id']}/accept")
    assert (accepted["status"], accepted["new_version"]) == ("accepted", version + 1)
    assert firm.ask().headers["x-junto-model"] == "cheap-9b"
    assert firm.routed()["shadow_models"] == []
    assert firm.routed()["author"] == accepted["decided_by"] != ""

    firm.done("POST", "/routing/mail/rollback", {"version": version})
    assert firm.ask().headers["x-junto-model"] == "dear-9b"
    firm.look()
    assert firm.proposals(status="open") == []  # what was known before has been decided about


def test_a_proposal_whose_route_was_changed_is_superseded(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    small_firm.route(notes="changed meanwhile")
    path = f"/eval/proposals/{proposal}/accept"
    refused = small_firm.junto.http.post(path, headers=small_firm.junto.admin)
    assert refused.status_code == 409
    assert "changed" in refused.json()["error"]["message"]
    assert small_firm.junto.get(f"/eval/proposals/{proposal}")["status"] == "superseded"
    assert small_firm.routed()["preferred_model"] == "dear-9b"
    small_firm.look()  # the evidence is as good as before, so it is proposed for the route as it is now
    assert [one["route_version"] for one in small_firm.proposals(status="open")] == [2]


def test_a_rejected_candidate_begins_anew(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    rejected = small_firm.done("POST", f"/eval/proposals/{proposal}/reject", {"reason": "too curt"})
    assert (rejected["status"], rejected["reason"]) == ("rejected", "too curt")
    small_firm.look()
    assert small_firm.proposals(status="open") == []
    assert "0 requests" in small_firm.missing()["scores"]
    path = f"/eval/proposals/{proposal}/accept"
    assert small_firm.junto.http.post(path, headers=small_firm.junto.admin).status_code == 409


def test_a_canary_answers_exactly_the_requests_whose_ids_say_so_and_jobs_too(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    body = {"canary_share": 0.4}
    assert small_firm.done("POST", f"/eval/proposals/{proposal}/accept", body)["status"] == "canary"
    canary = Canary(model="cheap-9b", share=0.4)
    answers = [small_firm.ask() for _ in range(30)]
    taken = [canary.takes("mail", answer.headers["x-junto-request-id"]) for answer in answers]
    assert any(taken)
    assert not all(taken)
    assert [answer.headers["x-junto-model"] == "cheap-9b" for answer in answers] == taken
    assert [answer.headers.get("x-junto-canary") == "true" for answer in answers] == taken
    for _ in range(8):
        job = small_firm.done("POST", "/jobs", {"task_type": "mail", "prompt": "one two", "sensitivity": "public"})
        ended = small_firm.ended(job["job_id"])
        assert ended["status"] == "complete", ended
        model = ended["model_used"]
        assert model == ("cheap-9b" if canary.takes("mail", job["job_id"]) else "dear-9b")
    explained = small_firm.done("POST", "/routing/explain", {"task_type": "mail"})
    assert explained["route"]["canary"] == {"model": "cheap-9b", "share": 0.4, "answers": False}
    one = next(answer for answer, is_taken in zip(answers, taken, strict=True) if is_taken)
    question = {"task_type": "mail", "request_id": one.headers["x-junto-request-id"]}
    explained = small_firm.done("POST", "/routing/explain", question)
    assert explained["route"]["canary"]["answers"] is True
    assert explained["candidates"][0]["model"] == "cheap-9b"


def test_a_canary_that_fails_is_stopped_and_nobody_got_an_error(firm: Firm) -> None:
    proposal = firm.proposed()
    firm.done("POST", f"/eval/proposals/{proposal}/accept", {"canary_share": 0.9})
    firm.route(evidence={"max_failure_excess": 0.05}, canary=firm.routed()["canary"])
    firm.look()  # the canary goes on in a route that was changed in other ways
    assert firm.junto.get(f"/eval/proposals/{proposal}")["status"] == "canary"

    def fails(_: Ask) -> Scripted:
        return Scripted(fail=Fail(status=500))

    firm.cheap.always(fails)
    for _ in range(30):
        assert firm.ask().headers["x-junto-model"] == "dear-9b"
    until(lambda: firm.junto.get("/eval/candidates")["candidates"][0]["arms"]["candidate"]["failures"] >= 4)
    firm.look()
    stopped = firm.junto.get(f"/eval/proposals/{proposal}")
    assert (stopped["status"], stopped["decided_by"]) == ("stopped", "evidence")
    assert "fails more often" in stopped["reason"]
    assert firm.routed()["canary"] is None
    assert firm.routed()["preferred_model"] == "dear-9b"
    assert "x-junto-canary" not in firm.ask().headers


def test_a_canary_whose_answers_are_worse_is_stopped(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    small_firm.done("POST", f"/eval/proposals/{proposal}/accept", {"canary_share": 0.000001})
    small_firm.compared(16, ours=1, theirs=5)
    small_firm.look()
    stopped = small_firm.junto.get(f"/eval/proposals/{proposal}")
    assert stopped["status"] == "stopped"
    assert "worse" in stopped["reason"]
    small_firm.look()
    assert small_firm.proposals(status="open") == []


def test_a_canary_that_a_person_accepts_takes_the_route_over(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    small_firm.done("POST", f"/eval/proposals/{proposal}/accept", {"canary_share": 0.5})
    assert small_firm.done("POST", f"/eval/proposals/{proposal}/accept")["status"] == "accepted"
    assert (small_firm.routed()["preferred_model"], small_firm.routed()["canary"]) == ("cheap-9b", None)


def test_a_canary_that_is_rejected_ends(small_firm: Firm) -> None:
    proposal = small_firm.proposed()
    small_firm.done("POST", f"/eval/proposals/{proposal}/accept", {"canary_share": 0.5})
    assert small_firm.done("POST", f"/eval/proposals/{proposal}/reject")["status"] == "rejected"
    assert (small_firm.routed()["preferred_model"], small_firm.routed()["canary"]) == ("dear-9b", None)


def test_a_canary_in_a_route_that_a_person_wrote_is_watched_too(small_firm: Firm) -> None:
    small_firm.route(canary={"model": "cheap-9b", "share": 0.000001})
    small_firm.look()
    (watched,) = small_firm.proposals()
    assert (watched["status"], watched["candidate"]) == ("canary", "cheap-9b")
    small_firm.compared(16, ours=1, theirs=5)
    small_firm.look()
    assert small_firm.routed()["canary"] is None


def test_a_route_that_says_so_is_promoted_by_itself_through_a_canary(small_firm: Firm) -> None:
    small_firm.route(evidence={"auto": "promote", "canary_share": 0.5})
    small_firm.compared(PAIRS)
    small_firm.clears()
    small_firm.look()
    (proposal,) = small_firm.proposals()
    assert (proposal["status"], proposal["decided_by"]) == ("canary", "evidence")
    assert small_firm.routed()["canary"] == {"model": "cheap-9b", "share": 0.5}
    small_firm.look()
    assert small_firm.routed()["preferred_model"] == "dear-9b"  # what was known before the canary does not count
    before = small_firm.scored
    while small_firm.scored < before + PAIRS:
        small_firm.compared_in_canary()
    small_firm.clears()
    small_firm.look()
    (proposal,) = small_firm.proposals()
    assert (proposal["status"], proposal["reason"]) == ("accepted", "The gate held again in the canary.")
    assert (small_firm.routed()["preferred_model"], small_firm.routed()["canary"]) == ("cheap-9b", None)


def test_a_candidate_in_the_cloud_is_never_proposed_for_confidential_work(tmp_path: Path) -> None:
    with at_work(tmp_path / "data", locality="cloud") as firm:
        firm.route()
        firm.compared(PAIRS)
        firm.route(sensitivity="confidential")
        firm.look()
        assert firm.proposals() == []
        assert "Confidential content stays on local models" in firm.missing()["tier"]
        firm.route()
        firm.clears()
        firm.look()
        (proposal,) = firm.proposals(status="open")
        firm.route(sensitivity="confidential")
        path = f"/eval/proposals/{proposal['id']}/accept"
        assert firm.junto.http.post(path, headers=firm.junto.admin).status_code == 409
        assert firm.routed()["preferred_model"] == "dear-9b"


def test_what_a_route_says_of_evidence_survives_saving_history_rollback_and_the_command_line(
    small_firm: Firm, tmp_path: Path
) -> None:
    gate = {"min_scores": 40, "confidence": 0.9, "quality_margin": -0.5, "min_saving": -1, "max_failure_excess": 0.1}
    told = {**gate, "auto": "canary", "canary_share": 0.05}
    canary = {"model": "cheap-9b", "share": 0.25}
    small_firm.route(evidence=told, canary=canary)
    assert (small_firm.routed()["evidence"], small_firm.routed()["canary"]) == (told, canary)
    small_firm.done("PUT", "/routing/mail", {"preferred_model": "dear-9b", "sensitivity": "public"})
    assert (small_firm.routed()["evidence"], small_firm.routed()["canary"]) == (None, None)
    small_firm.done("POST", "/routing/mail/rollback", {"version": 1})
    assert (small_firm.routed()["evidence"], small_firm.routed()["canary"]) == (told, canary)
    (latest, *_) = small_firm.junto.get("/routing/mail/history")["versions"]
    assert (latest["evidence"], latest["canary"]) == (told, canary)

    environ = {"JUNTO_URL": small_firm.junto.url, "JUNTO_ADMIN_KEY": ADMIN_KEY, "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", "from junto.cli.main import run; run()"]
    said = [*command, "routing", "set", "mail", "--notes", "kept"]
    subprocess.run(said, env=environ, capture_output=True, check=True, timeout=60)
    assert (small_firm.routed()["notes"], small_firm.routed()["canary"]) == ("kept", canary)
    assert small_firm.routed()["evidence"] == told
    routes = {
        "routes": {"bio": {"preferred_model": "dear-9b", "sensitivity": "public", "evidence": gate, "canary": canary}}
    }
    seed = tmp_path / "routes.yaml"
    seed.write_text(msgspec.json.encode(routes).decode())
    said = [*command, "seed", "--routes", str(seed)]
    subprocess.run(said, env=environ, capture_output=True, check=True, timeout=60)
    bio = small_firm.junto.get("/routing/bio")
    assert (bio["evidence"], bio["canary"]) == ({**gate, "auto": "off", "canary_share": 0.1}, canary)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"canary": {"model": "cheap-9b", "share": 0}}, "canary.share"),
        ({"canary": {"model": "cheap-9b", "share": 1.1}}, "canary.share"),
        ({"canary": {"model": "cheap-9b"}}, "canary.share"),
        ({"canary": {"model": "dear-9b", "share": 0.5}}, "canary"),
        ({"canary": {"model": "task/bio", "share": 0.5}}, "canary"),
        ({"evidence": {"min_scores": 4}}, "evidence.min_scores"),
        ({"evidence": {"confidence": 1}}, "evidence.confidence"),
        ({"evidence": {"quality_margin": 5}}, "evidence.quality_margin"),
        ({"evidence": {"auto": "always"}}, "evidence.auto"),
        ({"evidence": {"best": True}}, "evidence.best"),
    ],
)
def test_what_cannot_be_of_evidence_is_refused(desk: Firm, more: Any, param: str) -> None:
    put = {"preferred_model": "dear-9b", "sensitivity": "public", **more}
    answer = desk.junto.http.put("/routing/mail", json=put, headers=desk.junto.admin)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("body", [{"canary_share": 0}, {"canary_share": 1.5}, {"share": 0.5}, {"canary_share": "0.5"}])
def test_what_is_no_share_is_refused(desk: Firm, body: Any) -> None:
    answer = desk.junto.http.post("/eval/proposals/prp_x/accept", json=body, headers=desk.junto.admin)
    assert answer.status_code == 422


def test_there_is_nothing_to_decide_about_a_proposal_that_is_not_there(desk: Firm) -> None:
    admin = desk.junto.admin
    for path in ("/eval/proposals/prp_x/accept", "/eval/proposals/prp_x/reject"):
        assert desk.junto.http.post(path, headers=admin).status_code == 404
    assert desk.junto.http.get("/eval/proposals/prp_x", headers=admin).status_code == 404
    assert desk.proposals() == []
    assert desk.junto.http.get("/eval/candidates?task_type=none", headers=admin).status_code == 404
