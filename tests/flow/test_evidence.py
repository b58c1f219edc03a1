"""The whole of evidence on real parts: the built-in model answers, a scripted better one shadows it, a panel judges, a route changes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from junto.bootstrap.evals import EvalOptions
from junto.evals.judge_runs import JudgePace
from junto.evals.sampling import is_sampled
from junto.evals.shadowing import Pace
from tests.chaos.jobs.processes import until
from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams.ask import Ask

BETTER = "Paris is the capital of France, on the river Seine."
JURORS = ["alpha-9b", "beta-9b", "gamma-9b"]
GATE = {"min_scores": 8, "confidence": 0.8, "quality_margin": -0.5, "min_saving": 0, "max_failure_excess": 0.5}
RATE = 0.75


def juror(ask: Ask) -> Scripted:
    """A juror that knows the better answer, each a little stricter than the one before."""
    score = 5 if BETTER in ask.prompt else 2
    if ask.model == "gamma-9b":
        score -= 1
    return Scripted(text=f'{{"score": {score}, "reason": "It is what the rubric says."}}')


class Bureau:
    """Junto with its built-in model, a better one, and three jurors."""

    builtin = "smollm2:135m"

    def __init__(self, junto: RunningJunto) -> None:
        self.junto = junto
        self.picked: set[str] = set()  # requests that must have a shadow

    def done(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.junto.http.request(method, path, json=body, headers=self.junto.admin)
        assert answer.is_success, answer.text
        return answer.json()

    def route(self) -> int:
        put = {
            "preferred_model": self.builtin,
            "sensitivity": "internal",
            "max_tokens": 3,
            "shadow_models": [{"model": "better-70b", "rate": RATE}],
            "evidence": GATE,
        }
        return int(self.done("PUT", "/routing/geography", put)["version"])

    def ask(self) -> tuple[str, str]:
        """Ask; the exchange's id, and who answered."""
        body = {"model": "task/geography", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
        answer = self.junto.http.post("/v1/chat/completions", json=body, timeout=60).raise_for_status()
        return answer.headers["x-junto-request-id"], answer.headers["x-junto-model"]

    def shadowed(self, least: int) -> None:
        """Ask until so many requests more must have a shadow, and wait for those."""
        wanted = len(self.picked) + least
        while len(self.picked) < wanted:
            asked, _ = self.ask()
            if is_sampled(asked, "better-70b", RATE):
                self.picked.add(asked)
        until(lambda: len(self.shadows()) >= wanted)

    def shadows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.junto.get("/eval/shadows", status="complete", limit=200)["shadows"]
        return found

    def judged(self) -> dict[str, Any]:
        """Let a panel judge every shadow and its source, and wait for it."""
        asked = {"mode": "panel", "judges": JURORS, "task_type": "geography", "apply": True}
        run_id = self.done("POST", "/eval/judge", asked)["run_id"]
        until(lambda: self.junto.get(f"/eval/judge/{run_id}")["status"] not in {"pending", "running"})
        run: dict[str, Any] = self.junto.get(f"/eval/judge/{run_id}")
        return run

    def look(self) -> list[dict[str, Any]]:
        self.junto.run(self.junto.services.evals.proposals.promoting.look())
        found: list[dict[str, Any]] = self.junto.get("/eval/proposals")["proposals"]
        return found

    def compared(self) -> dict[str, dict[str, Any]]:
        found = self.junto.get("/eval/compare", task_type="geography")["models"]
        return {row["model"]: row for row in found}


@contextmanager
def opened(folder: Path, environ: dict[str, str]) -> Iterator[Bureau]:
    with OpenAIEmulator(models=["better-70b"]) as better, OpenAIEmulator(models=JURORS) as bench:
        better.script.always(Scripted(text=BETTER))
        bench.script.always(juror)
        backends = [
            {"name": "rack", "provider": "openai", "url": better.base_url, "locality": "local"},
            {"name": "bench", "provider": "openai", "url": bench.base_url, "locality": "local"},
        ]
        options = EvalOptions(
            shadows=Pace(look=0.02, lease=5.0), judges=JudgePace(lease=5.0, every=0.05, rest=0.1), proposals_every=None
        )
        config = {"builtin_model": "on", "backends": backends}
        with RunningJunto(folder, config, environ=environ, eval_options=options) as junto:
            yield Bureau(junto)


@pytest.fixture
def bureau(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Bureau]:
    with opened(tmp_path / "data", fresh_database) as bureau:
        yield bureau


def test_a_better_model_takes_a_route_over_by_evidence_and_gives_it_back_in_one_call(bureau: Bureau) -> None:
    version = bureau.route()
    assert bureau.look() == []
    bureau.shadowed(3)
    assert {shadow["source_id"] for shadow in bureau.shadows()} == bureau.picked  # the stated rate, request by request
    run = bureau.judged()
    assert (run["status"], run["done"], run["failed"]) == ("complete", run["total"], 0)
    assert bureau.look() == []  # there is evidence, and not enough of it
    (candidate,) = bureau.junto.get("/eval/candidates", task_type="geography")["candidates"]
    assert "5 are missing" in next(one["reason"] for one in candidate["conditions"] if one["name"] == "scores")

    bureau.shadowed(8)
    bureau.judged()
    rows = bureau.compared()
    usual, better = rows[bureau.builtin]["avg_score"], rows["better-70b"]["avg_score"]
    assert (better["mean"], usual["mean"]) == (5.0, 2.0)  # medians: the strict juror decides nothing alone
    assert 1.0 <= usual["low"] < usual["high"] < better["low"] < better["high"] <= 5.0
    assert better["by_via"]["judge-panel"]["n"] == better["n"] == 11

    (proposal,) = bureau.look()
    assert (proposal["status"], proposal["incumbent"], proposal["candidate"]) == ("open", bureau.builtin, "better-70b")
    assert bureau.ask()[1] == bureau.builtin  # nothing changes by itself

    accepted = bureau.done("POST", f"/eval/proposals/{proposal['id']}/accept")
    assert (accepted["status"], accepted["new_version"]) == ("accepted", version + 1)
    assert bureau.ask()[1] == "better-70b"  # the very next request

    bureau.done("POST", "/routing/geography/rollback", {"version": version})
    assert bureau.ask()[1] == bureau.builtin
