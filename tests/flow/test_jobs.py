"""Jobs over HTTP, on a running Junto: now, later, again, followed, cancelled, and refused."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from junto.bootstrap.jobs import JobOptions
from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.fake import Fake, Step, saying
from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from junto.settings.model import BackendSettings

QUICK = JobOptions(lease=3.0, sweep=0.1, grace=1.0)


class House:
    """A Junto in front of a scripted cloud and a scripted local backend."""

    def __init__(self, junto: RunningJunto, cloud: Fake, local: Fake) -> None:
        self.junto = junto
        self.cloud = cloud
        self.local = local

    def post(self, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        asked = {"task_type": "bio", "prompt": "Who was Ada?", "model": "cloud-model", "sensitivity": "public", **body}
        return self.junto.http.post("/jobs", json=asked, headers=headers)

    def later(self, **body: Any) -> str:
        """Submit for later; the job's id."""
        response = self.post(**{"async": True, **body})
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def job(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.junto.http.get(f"/jobs/{id}").raise_for_status().json()
        return found

    def ended(self, id: str, within: float = 10.0) -> dict[str, Any]:
        return self.until(id, lambda job: job["status"] not in {"pending", "running"}, within)

    def until(self, id: str, holds: Any, within: float = 10.0) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while not holds(job := self.job(id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.01)
        return job


def say(*steps: Step) -> list[Step]:
    return list(steps) or [Step(events=saying("Ada wrote the first program."))]


@pytest.fixture
def cloud() -> Fake:
    return Fake("cloud", models=("cloud-model",), script=say())


@pytest.fixture
def local() -> Fake:
    return Fake("local", models=("local-model",), script=say(Step(events=saying("From the desk."))))


@pytest.fixture
def house(tmp_path: Path, fresh_database: dict[str, str], cloud: Fake, local: Fake) -> Iterator[House]:
    absent = Fake("ollama", models=(), probe_failure=UpstreamFailure(FailureKind.CONNECT))
    fakes = {"cloud": cloud, "local": local, "ollama": absent}

    def make(settings: BackendSettings) -> Fake:
        return fakes[settings.name]

    config = {
        "backends": [
            {"name": "cloud", "provider": "fake", "locality": "cloud", "models": ["cloud-model"]},
            {"name": "local", "provider": "fake", "locality": "local", "models": ["local-model"], "slots": 1},
        ],
        "outbound": {"allow": ["127.0.0.1"]},
        "jobs": {"worker": "on"},
    }
    with RunningJunto(
        tmp_path, config, environ=fresh_database, make_provider=make, jitter=lambda: 0.0, job_options=QUICK
    ) as junto:
        yield House(junto, cloud, local)


def test_a_cloud_job_runs_now_and_its_answer_says_all_of_it(house: House) -> None:
    response = house.post(metadata={"order": 7})
    assert response.status_code == 200, response.text
    job = response.json()
    assert (job["status"], job["response"]) == ("complete", "Ada wrote the first program.")
    assert (job["model_used"], job["backend"], job["sensitivity"], job["attempts"]) == (
        "cloud-model",
        "cloud",
        "public",
        1,
    )
    assert job["tokens_out"] > 0
    assert (job["route"], job["metadata"]) == ("default", {"order": 7})
    assert house.job(job["job_id"])["response"] == job["response"]


def test_a_local_job_is_for_later_and_found_at_its_address(house: House) -> None:
    response = house.post(model="local-model", sensitivity="confidential")
    assert response.status_code == 202
    accepted = response.json()
    assert accepted["status"] in {"pending", "running"}
    assert accepted["poll_url"] == response.headers["location"] == f"/jobs/{accepted['job_id']}"
    job = house.ended(accepted["job_id"])
    assert (job["response"], job["backend"]) == ("From the desk.", "local")
    assert [each["outcome"] for each in job["attempt_log"]] == ["ok"]


@pytest.mark.parametrize("how", ["field", "header"])
def test_who_waits_for_a_local_job_gets_it(house: House, how: str) -> None:
    waiting: dict[str, Any] = {"wait_s": 10} if how == "field" else {"headers": {"Prefer": "wait=10"}}
    response = house.post(model="local-model", **waiting)
    assert (response.status_code, response.json()["response"]) == (200, "From the desk.")


def test_async_is_for_later_whatever_the_target(house: House) -> None:
    assert house.ended(house.later())["status"] == "complete"


def test_a_system_prompt_tools_and_the_form_of_the_answer_reach_the_model(house: House) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    house.post(system_prompt="Be brief.", tools=[tool], max_tokens=9, response_format={"type": "json_object"})
    request = house.cloud.calls[-1].request()
    assert [message.text for message in request.messages] == ["Be brief.", "Who was Ada?"]  # type: ignore[union-attr]
    assert [each.name for each in request.tools] == ["look"]  # type: ignore[union-attr]
    assert request.sampling.max_tokens == 9  # type: ignore[union-attr]
    assert request.format is not None  # type: ignore[union-attr]


def test_the_same_key_and_body_is_the_same_job_and_one_call(house: House) -> None:
    first = house.post(headers={"Idempotency-Key": "k1"})
    again = house.post(headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert len(house.cloud.calls) == 1


def test_the_same_key_with_another_body_is_refused(house: House) -> None:
    house.post(headers={"Idempotency-Key": "k1"})
    refused = house.post(headers={"Idempotency-Key": "k1"}, prompt="Who was Alan?")
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "Idempotency-Key")


def test_a_key_whose_first_request_still_runs_is_a_conflict(house: House, cloud: Fake) -> None:
    cloud._steps.clear()
    cloud._steps.append(Step(events=saying("slowly said"), pause=0.3))
    running = threading.Thread(target=house.post, kwargs={"headers": {"Idempotency-Key": "k1"}})
    running.start()
    deadline = time.monotonic() + 5
    while not cloud.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    refused = house.post(headers={"Idempotency-Key": "k1"})
    running.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert house.post(headers={"Idempotency-Key": "k1"}).status_code == 200


def test_a_key_of_a_job_for_later_gives_that_job(house: House) -> None:
    first = house.post(headers={"Idempotency-Key": "k1"}, **{"async": True})
    again = house.post(headers={"Idempotency-Key": "k1"}, **{"async": True})
    assert again.status_code in {200, 202}
    assert again.json()["job_id"] == first.json()["job_id"]


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"X-Junto-Sensitivity": "confidential"}},
        {"metadata": {"sensitivity": "confidential"}},
        {"headers": {"X-Junto-Sensitivity": "confidential"}, "sensitivity": "public"},
        {"metadata": {"sensitivity": "confidential"}, "sensitivity": "public"},
    ],
)
def test_whatever_way_a_job_asks_for_a_tier_it_is_heard(house: House, asked: dict[str, Any]) -> None:
    """As everywhere: the header, the metadata and the field; the strictest counts."""
    refused = house.post(model="cloud-model", **asked)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sensitivity_not_servable")
    assert not house.cloud.calls


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"headers": {"X-Junto-Sensitivity": "secret"}}, "X-Junto-Sensitivity"),
        ({"metadata": {"sensitivity": "secret"}}, "metadata.sensitivity"),
        ({"metadata": {"sensitivity": 2}}, "metadata.sensitivity"),
    ],
)
def test_a_tier_that_is_none_is_refused_wherever_a_job_says_it(house: House, asked: dict[str, Any], param: str) -> None:
    refused = house.post(**asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)


def test_a_tier_looser_than_a_floor_is_raised_and_the_answer_says_so(house: House) -> None:
    made = house.junto.http.post(
        "/clients",
        json={"name": "careful", "min_sensitivity": "confidential", "scopes": ["jobs"]},
        headers=house.junto.admin,
    )
    key = made.raise_for_status().json()["api_key"]
    response = house.post(headers={"authorization": f"Bearer {key}"}, model="local-model", wait_s=10)
    job = response.json()
    assert (response.status_code, job["sensitivity"], job["sensitivity_raised"]) == (200, "confidential", True)
    refused = house.post(headers={"authorization": f"Bearer {key}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sensitivity_not_servable")
    assert not house.cloud.calls


def test_a_job_is_its_clients_own(house: House) -> None:
    keys = []
    for name in ("one", "two"):
        made = house.junto.http.post("/clients", json={"name": name, "scopes": ["jobs"]}, headers=house.junto.admin)
        keys.append({"authorization": f"Bearer {made.raise_for_status().json()['api_key']}"})
    id = house.post(headers=keys[0]).json()["job_id"]
    get = house.junto.http.get
    assert get(f"/jobs/{id}", headers=keys[0]).status_code == 200
    others, missing = get(f"/jobs/{id}", headers=keys[1]), get("/jobs/job_none", headers=keys[1])
    assert (others.status_code, missing.status_code) == (404, 404)
    assert others.text.replace(id, "X") == missing.text.replace("job_none", "X")
    assert [job["job_id"] for job in get("/jobs", headers=keys[0]).json()["jobs"]] == [id]
    assert get("/jobs", headers=keys[1]).json()["jobs"] == []
    assert house.junto.http.delete(f"/jobs/{id}", headers=keys[1]).status_code == 404
    assert get(f"/jobs/{id}/events", headers=keys[1]).status_code == 404
    assert get(f"/jobs/{id}", headers=house.junto.admin).status_code == 200


def test_a_key_without_the_scope_submits_nothing(house: House) -> None:
    made = house.junto.http.post(
        "/clients", json={"name": "reader", "scopes": ["inference"]}, headers=house.junto.admin
    )
    key = made.raise_for_status().json()["api_key"]
    assert house.post(headers={"authorization": f"Bearer {key}"}).status_code == 403


def test_jobs_are_listed_by_page_and_filter(house: House) -> None:
    ids = [house.post(task_type=f"t{n % 2}").json()["job_id"] for n in range(4)]
    first = house.junto.http.get("/jobs", params={"limit": 3}).json()
    rest = house.junto.http.get("/jobs", params={"limit": 3, "before": first["next"]}).json()
    assert {job["job_id"] for job in first["jobs"] + rest["jobs"]} == set(ids)
    assert rest["next"] is None
    assert not [job for job in first["jobs"] if {"response", "unreadable"} & job.keys()]
    some = house.junto.http.get("/jobs", params={"task_type": "t1", "status": "complete"}).json()["jobs"]
    assert {job["job_id"] for job in some} == {ids[1], ids[3]}
    assert house.junto.http.get("/jobs", params={"status": "gone"}).status_code == 422


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Status", "Did you mean status?"), ("tasktype", "Did you mean task_type?"), ("zzz", "There are: ")],
)
def test_a_filter_that_there_is_none_of_is_refused_and_not_taken_for_none(house: House, name: str, hint: str) -> None:
    refused = house.junto.http.get("/jobs", params={name: "pending"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, name)
    assert hint in refused.json()["error"]["message"]


def test_a_client_that_follows_too_many_jobs_at_once_is_told_so(house: House, local: Fake) -> None:
    local._steps.clear()
    local._steps.append(slow(0.02, 100))
    id = house.later(model="local-model")
    house.junto.call(lambda: setattr(house.junto.services.jobs.follower, "_most", 1))
    with house.junto.http.stream("GET", f"/jobs/{id}/events") as first:
        lines = first.iter_lines()  # kept: without it the stream would be closed
        assert next(lines) == "event: status"
        refused = house.junto.http.get(f"/jobs/{id}/events")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "follows 1 jobs at once" in refused.json()["error"]["message"]
    house.ended(id)
    with house.junto.http.stream("GET", f"/jobs/{id}/events") as again:
        assert (again.status_code, next(again.iter_lines())) == (200, "event: end")


def test_the_ledger_has_each_job_once_and_its_exchange_not_at_all(house: House) -> None:
    made = house.junto.http.post(
        "/clients", json={"name": "payer", "scopes": ["jobs", "read-usage"]}, headers=house.junto.admin
    ).json()
    key = {"authorization": f"Bearer {made['api_key']}"}
    for _ in range(3):
        house.post(headers=key)
    house.junto.recorded(3)
    usage = house.junto.http.get("/usage", headers=key).json()["totals"]
    assert (usage["jobs"], usage["requests"]) == (3, 0)


def slow(seconds: float = 0.1, words: int = 40) -> Step:
    return Step(events=saying(" ".join(f"word{n}" for n in range(words))), pause=seconds)


def test_text_is_followed_as_it_grows_to_the_end(house: House, local: Fake) -> None:
    local._steps.clear()
    local._steps.append(slow(0.02, 30))
    id = house.later(model="local-model")
    events = []
    with house.junto.http.stream("GET", f"/jobs/{id}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                events.append((name, json.loads(line[6:])))
    names = [name for name, _ in events]
    assert names[0] == "status"
    assert names[-1] == "end"
    text = "".join(data["text"] for name, data in events if name == "text")
    assert names.count("text") >= 2
    assert house.job(id)["response"].startswith(text)
    assert events[-1][1]["response"] == house.job(id)["response"]


def test_an_ended_job_is_followed_by_its_end_alone(house: House) -> None:
    id = house.post().json()["job_id"]
    body = house.junto.http.get(f"/jobs/{id}/events").text
    assert body.count("event: ") == 1
    assert body.startswith("event: end\n")


def test_cancelling_follows_the_jobs_state(house: House, local: Fake) -> None:
    local._steps.clear()
    local._steps.append(slow())
    running = house.later(model="local-model")
    house.until(running, lambda job: job["status"] == "running")
    waiting = [house.later(model="local-model") for _ in range(3)]  # one slot: two are taken, the others wait
    pending = house.job(waiting[-1])
    assert pending["status"] == "pending"
    assert pending["queue_position"] >= 1
    delete = house.junto.http.delete
    cancelled = delete(f"/jobs/{waiting[-1]}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert delete(f"/jobs/{waiting[-1]}").status_code == 409
    assert delete(f"/jobs/{running}").status_code == 409
    forced = delete(f"/jobs/{running}?force=true")
    assert (forced.status_code, forced.json()["status"]) == (200, "cancelled")
    assert local.replies[0].closed
    assert local.replies[0].position < 40
    done = house.post().json()["job_id"]
    assert delete(f"/jobs/{done}?force=true").status_code == 409
    for id in waiting:
        delete(f"/jobs/{id}?force=true")


def test_a_failure_that_may_pass_is_tried_again(house: House, cloud: Fake) -> None:
    cloud._steps.clear()
    cloud._steps.extend(
        [Step(failure=UpstreamFailure(FailureKind.SERVER, status=500)), Step(events=saying("At last."))]
    )
    job = house.post().json()
    assert (job["status"], job["response"]) == ("complete", "At last.")
    assert [each["outcome"] for each in house.job(job["job_id"])["attempt_log"]] == ["failed", "ok"]


def test_a_refusal_fails_the_job_at_once_with_its_status(house: House, cloud: Fake) -> None:
    cloud._steps.clear()
    cloud._steps.append(Step(failure=UpstreamFailure(FailureKind.REJECTED, status=422)))
    response = house.post()
    job = response.json()
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "upstream_rejected", 1)
    assert response.status_code == 400
    assert job["cost_usd"] == "0.000000"


def test_a_deadline_ends_a_running_job(house: House, cloud: Fake) -> None:
    cloud._steps.clear()
    cloud._steps.append(slow())
    response = house.post(deadline_s=0.5)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_passed")
    assert cloud.replies[0].closed


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"messages": [{"role": "user", "content": "x"}]}, "prompt"),
        ({"sensitivity": "secret"}, "sensitivity"),
        ({"priority": 11}, "priority"),
        ({"task_type": "a b"}, "task_type"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata"),
        ({"webhook": "http://169.254.169.254/"}, "webhook"),
        ({"base_url": "http://evil.example"}, "base_url"),
        ({"prompt": None, "messages": [{"role": "wizard", "content": "x"}]}, None),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    house: House, body: dict[str, Any], param: str | None
) -> None:
    refused = house.post(**body)
    assert refused.status_code in {400, 422}, refused.text
    if param is not None:
        assert refused.json()["error"]["param"] == param
    assert house.junto.http.get("/jobs").json()["jobs"] == []


def test_what_is_nested_without_end_is_refused(house: House) -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    assert house.post(metadata={"a": deep}).status_code == 422
    body = b'{"task_type":"a","prompt":"p","metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    headers = {"content-type": "application/json"}
    assert house.junto.http.post("/jobs", content=body, headers=headers).status_code in {400, 422}


def test_text_that_is_no_text_is_refused(house: House) -> None:
    body = b'{"task_type":"a","model":"cloud-model","prompt":"p","metadata":{"a":"\\ud800"}}'
    refused = house.junto.http.post("/jobs", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422


def test_an_unknown_model_is_a_404(house: House) -> None:
    assert house.post(model="no-such-model").status_code == 404


def test_the_caller_who_goes_away_leaves_its_job_to_finish(house: House, cloud: Fake) -> None:
    cloud._steps.clear()
    cloud._steps.append(slow(0.03, 20))
    gone = threading.Thread(target=_ask_and_leave, args=(house,))
    gone.start()
    gone.join()
    [job] = house.junto.http.get("/jobs").json()["jobs"]
    assert house.ended(job["job_id"])["status"] == "complete"


def _ask_and_leave(house: House) -> None:
    body = json.dumps({"task_type": "bio", "prompt": "Who?", "model": "cloud-model", "sensitivity": "public"}).encode()
    head = b"POST /jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", house.junto.port)) as connection:
        connection.sendall(head % len(body) + body)
        deadline = time.monotonic() + 5
        while not house.cloud.calls and time.monotonic() < deadline:
            time.sleep(0.01)


@pytest.mark.parametrize("named", [{}, {"content-type": "application/x-www-form-urlencoded"}])
def test_a_body_is_read_as_json_whatever_curl_calls_it(house: House, named: dict[str, str]) -> None:
    body = b'{"task_type": "bio", "prompt": "Who was Ada?", "model": "cloud-model", "sensitivity": "public"}'
    response = house.junto.http.post("/jobs", content=body, headers=named)
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "complete"


def test_a_job_whose_client_is_disabled_while_it_waits_fails_and_asks_no_model(house: House, local: Fake) -> None:
    local._steps.clear()
    local._steps.append(slow())
    before = [house.later(model="local-model") for _ in range(3)]  # one slot: two are taken, the others wait
    house.until(before[0], lambda job: job["status"] == "running")
    admin, http = house.junto.admin, house.junto.http
    client = http.post("/clients", json={"name": "gone"}, headers=admin).raise_for_status().json()
    id = house.post({"authorization": f"Bearer {client['api_key']}"}, model="local-model").json()["job_id"]
    http.patch(f"/clients/{client['id']}", json={"enabled": False}, headers=admin).raise_for_status()
    for earlier in before:
        http.delete(f"/jobs/{earlier}?force=true").raise_for_status()
    deadline = time.monotonic() + 10
    while (job := http.get(f"/jobs/{id}", headers=admin).json())["status"] in {"pending", "running"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    assert (job["status"], job["error"]["code"]) == ("failed", "forbidden"), job
    assert "disabled" in job["error"]["message"]


def keyed(house: House, name: str, *scopes: str, tenant: str | None = None, **more: Any) -> dict[str, str]:
    """A client's headers."""
    body = {"name": name, "scopes": list(scopes), **({"tenant": tenant} if tenant else {}), **more}
    made = house.junto.http.post("/clients", json=body, headers=house.junto.admin)
    return {"authorization": f"Bearer {made.raise_for_status().json()['api_key']}"}


def a_tenant(house: House, name: str) -> str:
    made = house.junto.http.post("/tenants", json={"name": name}, headers=house.junto.admin)
    return str(made.raise_for_status().json()["id"])


def test_a_service_submits_for_a_tenant_and_sees_what_it_submitted_and_nothing_else(house: House) -> None:
    acme, other = a_tenant(house, "acme"), a_tenant(house, "other")
    service = keyed(house, "portal", "jobs", "service")
    inside = keyed(house, "inside", "jobs", tenant=acme)
    neighbour = keyed(house, "neighbour", "jobs", "service")
    get = house.junto.http.get
    ids = []
    for tenant in (acme, other, None):
        response = house.post(headers=service, **({"tenant_id": tenant} if tenant else {}))
        assert response.status_code == 200, response.text
        ids.append(response.json()["job_id"])
    owns = house.post(headers=inside).json()["job_id"]
    assert [get(f"/jobs/{id}", headers=service).status_code for id in ids] == [200, 200, 200]
    assert {job["job_id"] for job in get("/jobs", headers=service).json()["jobs"]} == set(ids)
    assert [get(f"/jobs/{id}", headers=neighbour).status_code for id in ids] == [404, 404, 404]
    assert get("/jobs", headers=neighbour).json()["jobs"] == []
    assert get(f"/jobs/{owns}", headers=service).status_code == 404
    assert get(f"/jobs/{ids[0]}", headers=inside).status_code == 404
    assert [job["job_id"] for job in get("/jobs", headers=inside).json()["jobs"]] == [owns]
    assert house.junto.http.delete(f"/jobs/{ids[0]}", headers=service).status_code == 409
    assert house.junto.http.delete(f"/jobs/{ids[0]}", headers=neighbour).status_code == 404


def test_nobody_else_acts_for_a_tenant_and_all_refusals_are_alike(house: House) -> None:
    acme = a_tenant(house, "acme")
    plain, service = keyed(house, "plain", "jobs"), keyed(house, "portal", "jobs", "service")
    refusals = [
        house.post(headers=plain, tenant_id=acme),
        house.post(headers=plain, tenant_id="ten_none"),
        house.post(headers=service, tenant_id="ten_none"),
        house.post(tenant_id=acme),
    ]
    assert [each.status_code for each in refusals] == [403] * 4
    said = {each.text.replace(acme, "X").replace("ten_none", "X") for each in refusals}
    assert len(said) == 1
    assert house.post(headers=plain, tenant_id="default").status_code == 200
    assert house.junto.http.get("/jobs", headers=house.junto.admin).json()["jobs"][1:] == []


def test_a_service_with_a_budget_of_its_own_or_a_webhook_is_told_what_does_not_go(house: House) -> None:
    acme = a_tenant(house, "acme")
    service = keyed(house, "portal", "jobs", "service")
    hooked = house.post(headers=service, tenant_id=acme, webhook="http://127.0.0.1:9/")
    assert (hooked.status_code, hooked.json()["error"]["param"]) == (422, "webhook")
    rich = keyed(house, "rich", "jobs", "service", budget_usd=1, period="daily")
    budgeted = house.post(headers=rich, tenant_id=acme)
    assert (budgeted.status_code, budgeted.json()["error"]["param"]) == (422, "tenant_id"), budgeted.text
