"""Answers are scored by key and by link, reviewed blind, and models compared by what they did: from outside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.chaos.jobs.processes import until
from tests.flow.test_shadows import Desk, set_desk
from tests.upstreams import Fail, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG_SCORES: list[dict[str, Any]] = [
    {},
    {"score": 0},
    {"score": 6},
    {"score": "4"},
    {"score": 3.5},
    {"score": True},
    {"score": None},
    {"score": 4, "note": "x" * 4001},
    {"score": 4, "dimensions": {"tone": 0}},
    {"score": 4, "dimensions": {"tone": 6}},
    {"score": 4, "dimensions": {"": 3}},
    {"score": 4, "dimensions": {"x\0": 3}},
    {"score": 4, "dimensions": {f"d{number}": 3 for number in range(21)}},
    {"score": 4, "via": "admin"},
    {"score": 4, "author": "someone"},
]


@pytest.fixture
def desk(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Desk]:
    with set_desk(tmp_path / "data", environ=fresh_database, auth={"mode": "keys"}) as desk:
        yield desk


@pytest.fixture
def small_desk(tmp_path: Path) -> Iterator[Desk]:
    with set_desk(tmp_path / "data", auth={"mode": "keys"}) as desk:
        yield desk


@pytest.fixture
def key(desk: Desk) -> str:
    """Of a client."""
    return str(desk.client(name="own")["api_key"])


@pytest.fixture
def small_key(small_desk: Desk) -> str:
    """Of a client."""
    return str(small_desk.client(name="own")["api_key"])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def submitted(desk: Desk, key: str) -> dict[str, Any]:
    body = {"task_type": "mail", "prompt": "Who?", "model": "usual", "sensitivity": "public", "wait_s": 20}
    job: dict[str, Any] = desk.junto.http.post("/jobs", json=body, headers=bearer(key)).json()
    return job


def a_job(desk: Desk, key: str) -> str:
    job = submitted(desk, key)
    assert job["status"] == "complete", job
    return str(job["job_id"])


def an_exchange(desk: Desk, key: str, prompt: str = "hi") -> str:
    exchange_id = desk.ask(prompt, key=key, model="usual").headers["x-junto-request-id"]
    path = f"/admin/responses/{exchange_id}"
    until(lambda: desk.junto.http.get(path, headers=desk.junto.admin).status_code == 200)
    return str(exchange_id)


def post(desk: Desk, path: str, key: str, body: Any = None) -> httpx2.Response:
    return desk.junto.http.post(path, json=body, headers=bearer(key))


def by_admin(desk: Desk, path: str, body: Any) -> httpx2.Response:
    return desk.junto.http.post(path, json=body, headers=desk.junto.admin)


def test_a_client_scores_its_own_job_and_says_it_better_later(desk: Desk, key: str) -> None:
    path = f"/eval/jobs/{a_job(desk, key)}"
    first = post(desk, f"{path}/score", key, {"score": 4, "note": "good", "dimensions": {"tone": 5}})
    again = post(desk, f"{path}/score", key, {"score": 2})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["via"], first.json()["model"], first.json()["task_type"]) == ("client", "usual", "mail")
    admins = by_admin(desk, f"{path}/score", {"score": 1, "note": "secret"})
    assert (admins.status_code, admins.json()["via"]) == (201, "admin")
    seen = desk.junto.http.get(f"{path}/scores", headers=bearer(key)).json()["scores"]
    assert [(one["score"], one["note"], one["dimensions"]) for one in seen] == [(2, "", {})]
    assert [one["score"] for one in desk.junto.get(f"{path}/scores")["scores"]] == [2, 1]


def test_an_exchange_is_scored_by_the_id_that_its_answer_came_with(desk: Desk, key: str) -> None:
    exchange_id = an_exchange(desk, key)
    made = post(desk, f"/eval/exchanges/{exchange_id}/score", key, {"score": 5})
    assert made.status_code == 201
    assert made.json()["subject"] == {"kind": "exchange", "id": exchange_id}


def test_the_exchange_of_a_job_is_not_scored_beside_the_job(small_desk: Desk, small_key: str) -> None:
    job_id = a_job(small_desk, small_key)
    until(lambda: small_desk.junto.get("/admin/responses")["responses"])
    (exchange,) = small_desk.junto.get("/admin/responses")["responses"]
    refused = by_admin(small_desk, f"/eval/exchanges/{exchange['id']}/score", {"score": 5})
    assert refused.status_code == 409
    assert job_id in refused.text


def test_a_score_that_is_none_is_refused_and_nothing_kept(small_desk: Desk, small_key: str) -> None:
    path = f"/eval/jobs/{a_job(small_desk, small_key)}"
    for body in WRONG_SCORES:
        assert post(small_desk, f"{path}/score", small_key, body).status_code == 422, body
    assert small_desk.junto.get(f"{path}/scores")["scores"] == []


def test_an_answer_that_failed_cannot_be_scored(small_desk: Desk, small_key: str) -> None:
    small_desk.usual.always(Scripted(fail=Fail(status=400)))
    body = {"task_type": "mail", "prompt": "Who?", "model": "usual", "sensitivity": "public", "wait_s": 20}
    post(small_desk, "/jobs", small_key, body)
    (job,) = small_desk.junto.http.get("/jobs", headers=bearer(small_key)).json()["jobs"]
    assert job["status"] == "failed"
    assert post(small_desk, f"/eval/jobs/{job['job_id']}/score", small_key, {"score": 3}).status_code == 409


def test_a_link_lets_whoever_has_it_score_once(desk: Desk, key: str) -> None:
    job_id = a_job(desk, key)
    issued = post(desk, f"/jobs/{job_id}/eval-link", key, {"ttl_hours": 1})
    assert issued.status_code == 201
    link = issued.json()
    assert link["url"] == f"/jobs/{job_id}/eval"
    token = {"token": link["token"]}
    for wrong in ({"score": 0}, {"score": 6}, {"score": "5"}, {}):
        assert desk.junto.http.post(link["url"], json={**token, **wrong}).status_code == 422
    for stranger in ("x" * 43, link["token"][:-1]):
        assert desk.junto.http.post(link["url"], json={"token": stranger, "score": 5}).status_code == 401
    other = a_job(desk, key)
    assert desk.junto.http.post(f"/jobs/{other}/eval", json={**token, "score": 5}).status_code == 401
    used = desk.junto.http.post(link["url"], json={**token, "score": 5, "note": "thank you"})
    assert (used.status_code, used.json()) == (201, {"job_id": job_id, "score": 5})
    assert desk.junto.http.post(link["url"], json={**token, "score": 1}).status_code == 409
    (kept,) = desk.junto.get(f"/eval/jobs/{job_id}/scores")["scores"]
    assert (kept["via"], kept["author"], kept["score"], kept["note"]) == ("link", link["link_id"], 5, "thank you")


def test_of_many_that_use_a_link_at_once_one_scores(desk: Desk, key: str) -> None:
    job_id = a_job(desk, key)
    link = post(desk, f"/jobs/{job_id}/eval-link", key).json()

    def use(number: int) -> int:
        body = {"token": link["token"], "score": 1 + number % 5}
        return desk.junto.http.post(link["url"], json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(use, range(16)))
    assert statuses == [201] + [409] * 15
    assert len(desk.junto.get(f"/eval/jobs/{job_id}/scores")["scores"]) == 1


def test_a_link_lives_an_hour_to_thirty_days(small_desk: Desk, small_key: str) -> None:
    path = f"/jobs/{a_job(small_desk, small_key)}/eval-link"
    for hours in (0, -1, 721, "5", 1.5):
        assert post(small_desk, path, small_key, {"ttl_hours": hours}).status_code == 422, hours
    for hours in (1, 720):
        assert post(small_desk, path, small_key, {"ttl_hours": hours}).status_code == 201, hours


def test_an_empty_review_is_an_empty_list(small_desk: Desk) -> None:
    assert small_desk.junto.get("/eval/review") == []
    assert small_desk.junto.get("/eval/review", task_type="no such") == []


def test_a_review_is_blind_until_it_is_scored(desk: Desk, key: str) -> None:
    desk.route()
    desk.usual.always(Scripted(text="one way"))
    desk.rival.always(Scripted(text="another way"))
    for number in range(6):
        desk.ask(f"question {number}", key=key)
    desk.ended(6)
    answer = desk.junto.http.get("/eval/review", params={"task_type": "mail"}, headers=desk.junto.admin)
    pairs = answer.json()
    assert {pair["prompt"] for pair in pairs} == {f"question {number}" for number in range(6)}
    assert all(set(pair) == {"pair_id", "task_type", "prompt", "left", "right"} for pair in pairs)
    told = answer.text
    for pair in pairs:  # a name of random letters may say anything
        told = told.replace(pair["pair_id"], "")
    for word in ("usual", "rival", "front", "back", "shadow", "production", "exchange", "req_"):
        assert word not in told, word
    for pair in pairs:
        assert {pair["left"]["text"], pair["right"]["text"]} == {"one way", "another way"}
        rival = "left" if pair["left"]["text"] == "another way" else "right"
        opinion = {"left": 2, "right": 2, rival: 5, "note": "clearer"}
        decided = by_admin(desk, f"/eval/review/{pair['pair_id']}", opinion)
        assert decided.status_code == 200
        assert decided.json()["preferred"] == rival
        assert (decided.json()[rival]["model"], decided.json()[rival]["kind"]) == ("rival", "shadow")
    assert desk.junto.get("/eval/review", task_type="mail") == []
    compared = {row["model"]: row for row in desk.junto.get("/eval/compare", task_type="mail")["models"]}
    assert compared["rival"]["avg_score"]["mean"] == 5
    assert compared["rival"]["avg_score"]["by_via"] == {"admin": {"mean": 5, "n": 6}}
    assert compared["usual"]["avg_score"]["mean"] == 2
    won = compared["rival"]["win_rate"]
    assert (won["rate"], won["wins"], won["losses"], won["ties"], won["n"]) == (1, 6, 0, 0, 6)


def test_an_opinion_that_is_none_is_refused(small_desk: Desk) -> None:
    for body in ({}, {"left": 3}, {"left": 0, "right": 3}, {"left": 3, "right": 3, "prefer": "both"}):
        assert by_admin(small_desk, "/eval/review/x", body).status_code == 422, body
    assert by_admin(small_desk, "/eval/review/x", {"left": 3, "right": 3}).status_code == 404


def test_models_are_compared_by_what_they_did_and_it_says_when_that_is_too_little(desk: Desk, key: str) -> None:
    nothing = desk.junto.get("/eval/compare", task_type="mail")
    assert (nothing["models"], nothing["enough"]) == ([], False)
    assert "nothing to compare" in nothing["note"]
    desk.route(fallback_model="rival", shadow={"rate": 0.000001})
    for number in range(4):
        desk.ask(f"question {number}", key=key)
    desk.usual.always(Scripted(fail=Fail(status=500)))
    desk.ask("one more", key=key)
    desk.flushed(5)
    compared = desk.junto.get("/eval/compare", task_type="mail", days=1)
    rows = {row["model"]: row for row in compared["models"]}
    assert (rows["usual"]["job_count"], rows["rival"]["job_count"]) == (4, 1)
    assert rows["usual"]["failures"] >= 1
    assert rows["usual"]["failure_rate"] == round(rows["usual"]["failures"] / rows["usual"]["attempts"], 4)
    assert rows["rival"]["failure_rate"] == 0
    assert rows["usual"]["avg_latency_ms"] >= 0
    assert rows["usual"]["avg_tokens_out"] > 0
    assert rows["rival"]["cost_per_job_usd"] == "0.000000"  # it runs here
    assert rows["usual"]["avg_score"] == {"mean": None, "low": None, "high": None, "n": 0, "by_via": {}}
    assert not compared["enough"]
    assert "Too little evidence" in compared["note"]
    everything = desk.junto.get("/eval/compare")
    assert sum(row["job_count"] for row in everything["models"]) == 5
    assert desk.junto.get("/eval/compare", kind="shadow")["models"] == []


def test_what_cannot_be_compared_is_refused(small_desk: Desk) -> None:
    for query in ({"days": 0}, {"days": 367}, {"days": "x"}, {"kind": "both"}):
        asked = small_desk.junto.http.get("/eval/compare", params=query, headers=small_desk.junto.admin)
        assert asked.status_code == 422, query
