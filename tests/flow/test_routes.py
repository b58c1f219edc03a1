"""Routes and prompts in a running Junto: in force with the next request, never below their floor, in every dialect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import ollama
import pytest

from junto.prompts.template import blob_hash
from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import OllamaEmulator, OllamaModel, OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.upstreams import Script

LOCAL, CLOUD = "house:7b", "gpt-test"
ROOT = Path(__file__).parents[2]
HELLO = [{"role": "user", "content": "hello"}]


class House:
    """A Junto with a local and a cloud backend, and its administrator."""

    def __init__(self, junto: RunningJunto, local: Script, cloud: Script, folder: Path) -> None:
        self.junto = junto
        self.local = local
        self.cloud = cloud
        self.folder = folder

    def admin(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        return self.junto.http.request(method, path, json=body, headers=self.junto.admin)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        return self.admin(method, path, body).raise_for_status().json()

    def route(self, task: str, model: str = "fast", sensitivity: str = "internal", **more: Any) -> dict[str, Any]:
        saved: dict[str, Any] = self.done(
            "PUT", f"/routing/{task}", {"preferred_model": model, "sensitivity": sensitivity, **more}
        )
        return saved

    def ask(self, model: str, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        asked = {"model": model, "messages": HELLO, **body}
        return self.junto.http.post("/v1/chat/completions", json=asked, headers=headers or {})

    def recorded(self, answer: httpx2.Response) -> dict[str, Any]:
        """What is stored of an answered request, as soon as it is."""
        path = f"/admin/responses/{answer.headers['x-junto-request-id']}"
        deadline = time.monotonic() + 5
        while (found := self.admin("GET", path)).status_code == 404 and time.monotonic() < deadline:
            time.sleep(0.01)
        stored: dict[str, Any] = found.raise_for_status().json()
        return stored


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "prompts" / "shared").mkdir(parents=True)
    (folder / "prompts" / "shared" / "greeting.md").write_text("Greet briefly.\n")
    able = OllamaModel(name=LOCAL, capabilities=("completion", "tools"))
    with OllamaEmulator(models=[able]) as desk, OpenAIEmulator() as cloud:
        backends = [
            {"name": "desk", "provider": "ollama", "url": desk.url, "slots": 4},
            {"name": "gpts", "provider": "openai", "url": cloud.base_url},
        ]
        with RunningJunto(folder, {"backends": backends}, environ=database) as junto:
            yield House(junto, desk.script, cloud.script, folder)


@pytest.fixture(autouse=True)
def _clear(house: House) -> None:
    house.local.clear()
    house.cloud.clear()


def test_a_route_is_in_force_with_the_next_request(house: House) -> None:
    house.route("moving", LOCAL)
    first = house.ask("task/moving")
    assert (first.headers["x-junto-backend"], first.headers["x-junto-route"]) == ("desk", "moving@1")
    house.route("moving", CLOUD, "public")
    second = house.ask("task/moving")
    assert (second.headers["x-junto-backend"], second.headers["x-junto-route"]) == ("gpts", "moving@2")
    assert second.json()["model"] == CLOUD
    house.done("POST", "/routing/moving/rollback", {"version": 1})
    third = house.ask("task/moving")
    assert (third.headers["x-junto-backend"], third.headers["x-junto-route"]) == ("desk", "moving@3")
    house.done("DELETE", "/routing/moving")
    assert house.ask("task/moving").headers["x-junto-default-route"] == "true"
    versions = house.done("GET", "/routing/moving/history")["versions"]
    assert [(one["version"], one["deleted"]) for one in versions] == [(4, True), (3, False), (2, False), (1, False)]


@pytest.mark.parametrize(
    ("model", "headers", "more"),
    [
        ("task/paths", {}, {}),
        ("task/paths:latest", {}, {}),
        ("auto", {"x-junto-task": "paths"}, {}),
        ("auto", {}, {"metadata": {"task_type": "paths"}}),
    ],
)
def test_every_way_to_name_a_task_comes_to_its_route(
    house: House, model: str, headers: dict[str, str], more: dict[str, Any]
) -> None:
    house.route("paths", LOCAL)
    answer = house.ask(model, headers, **more).raise_for_status()
    assert answer.headers["x-junto-route"].startswith("paths@")
    assert house.recorded(answer)["task_type"] == "paths"


def test_every_dialect_takes_a_task_for_a_model(house: House) -> None:
    house.route("spoken", LOCAL, max_tokens=40, sampling={"temperature": 0.25})
    http, url = house.junto.http, house.junto.url
    asked = {"model": "task/spoken", "messages": HELLO}
    assert http.post("/v1/chat/completions", json=asked).status_code == 200
    assert http.post("/v1/messages", json={**asked, "max_tokens": 4000}).status_code == 200
    assert http.post("/complete", json=asked).status_code == 200
    assert http.post("/v1/completions", json={"model": "task/spoken", "prompt": "hello"}).status_code == 200
    client = ollama.Client(host=url)
    assert client.chat("task/spoken", messages=HELLO).message.content
    assert client.generate("task/spoken", prompt="hello").response
    client.close()  # type: ignore[no-untyped-call]
    sent = [received.json["options"] for received in house.local.inferences]
    assert len(sent) == 6
    assert all((one["num_predict"], one["temperature"]) == (40, 0.25) for one in sent)


def test_streams_are_bounded_like_whole_answers(house: House) -> None:
    house.route("streamed", CLOUD, "public", max_tokens=40)
    answer = house.ask("task/streamed", stream=True, max_tokens=4000)
    assert answer.text.rstrip().endswith("[DONE]")
    assert house.cloud.inferences[-1].json["max_tokens"] == 40


def test_what_the_caller_says_of_sampling_stands(house: House) -> None:
    house.route("sampled", CLOUD, "public", sampling={"temperature": 0.25, "seed": 7})
    house.ask("task/sampled", temperature=1).raise_for_status()
    body = house.cloud.inferences[-1].json
    assert (body["temperature"], body["seed"], body["model"]) == (1, 7, CLOUD)


def test_a_floor_holds_for_a_named_model_too(house: House) -> None:
    """A plain model under a confidential task type: refused, nothing sent; the model itself is kept."""
    house.route("secret", LOCAL, "confidential")
    refused = house.ask(CLOUD, {"x-junto-task": "secret", "x-junto-sensitivity": "public"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sensitivity_not_servable")
    assert house.cloud.inferences == []
    kept = house.ask(LOCAL, {"x-junto-task": "secret", "x-junto-sensitivity": "public"})
    assert kept.headers["x-junto-sensitivity"] == "confidential"
    assert kept.headers["x-junto-model"] == LOCAL


def test_a_looser_request_is_raised_to_the_floor_and_a_stricter_one_stays(house: House) -> None:
    house.route("floored", LOCAL, "internal")
    tiers = {
        asked: house.ask("task/floored", {"x-junto-sensitivity": asked}).headers["x-junto-sensitivity"]
        for asked in ("public", "internal", "confidential")
    }
    assert tiers == {"public": "internal", "internal": "internal", "confidential": "confidential"}


def test_a_confidential_route_into_the_cloud_is_saved_with_a_warning_and_refuses_all(house: House) -> None:
    saved = house.route("doomed", CLOUD, "confidential")
    assert "every request of this task is refused" in saved["warnings"][0]
    assert house.ask("task/doomed").status_code == 403
    assert house.cloud.inferences == []


def test_a_route_to_a_model_that_is_not_there_falls_back(house: House) -> None:
    saved = house.route("later", "nosuch", fallback_model=LOCAL)
    assert "'nosuch'" in saved["warnings"][0]
    answer = house.ask("task/later")
    assert (answer.headers["x-junto-model"], answer.headers["x-fallback-model"]) == (LOCAL, LOCAL)
    house.route("never", "nosuch")
    refused = house.ask("task/never")
    assert refused.status_code == 404
    assert "'nosuch' by the route 'never'" in refused.json()["error"]["message"]


def test_an_unknown_task_type_runs_by_the_default_route_flagged(house: House) -> None:
    bare = house.ask("auto", {"x-junto-task": "nobody-knows"})
    assert (bare.headers["x-junto-route"], bare.headers["x-junto-default-route"]) == ("default", "true")
    house.route("default", CLOUD, "public")
    routed = house.ask("task/nobody-knows")
    assert (routed.headers["x-junto-backend"], routed.headers["x-junto-default-route"]) == ("gpts", "true")
    house.done("DELETE", "/routing/default")
    assert "x-junto-route" not in house.ask(LOCAL).headers


def test_a_task_on_a_clients_list_opens_what_its_route_leads_to(house: House) -> None:
    house.route("listed", LOCAL)
    made = house.done("POST", "/clients", {"name": "narrow", "allowed_models": ["task/listed"]})
    key = {"authorization": f"Bearer {made['api_key']}"}
    assert house.ask("task/listed", key).status_code == 200
    assert house.ask(LOCAL, key).status_code == 403
    assert house.ask("task/other", key).status_code == 403
    loaded = house.junto.http.post("/api/generate", json={"model": "task/listed"}, headers=key)
    assert loaded.json()["done_reason"] == "load"


def test_tasks_are_listed_and_shown_as_models(house: House) -> None:
    house.route("shown", LOCAL)
    models = {one["id"]: one for one in house.junto.http.get("/v1/models").json()["data"]}
    assert models["task/shown"]["junto"]["kind"] == "task"
    assert models["auto"]["junto"]["kind"] == "task"
    tags = [one["name"] for one in house.junto.http.get("/api/tags").json()["models"]]
    assert {"auto", "task/shown"} <= set(tags)
    assert house.junto.http.get("/v1/models/task/shown").json()["junto"]["locality"] == ["local"]
    assert house.junto.http.post("/api/show", json={"model": "task/shown"}).status_code == 200
    loaded = house.junto.http.post("/api/generate", json={"model": "task/shown"})
    assert loaded.json()["done_reason"] == "load"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"colour": "red"}, "colour"),
        ({"sensitivity": "secret"}, "sensitivity"),
        ({"preferred_model": ""}, "preferred_model"),
        ({"preferred_model": "task/x"}, "preferred_model"),
        ({"preferred_model": 3}, "preferred_model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"sampling": {"temperature": 3}}, "sampling.temperature"),
        ({"sampling": {"heat": 1}}, "sampling.heat"),
        ({"shadow_models": [{"model": "m", "rate": 0}]}, "shadow_models.0.rate"),
        ({"shadow_models": [{"model": "m", "rate": 1}, {"model": "m", "rate": 1}]}, "shadow_models"),
        ({"notes": "x" * 2001}, "notes"),
        ({"expected_version": -1}, "expected_version"),
    ],
)
def test_a_wrong_route_is_refused_by_field(house: House, changes: dict[str, Any], param: str) -> None:
    body = {"preferred_model": "fast", "sensitivity": "public", **changes}
    refused = house.admin("PUT", "/routing/wrong", body)
    assert refused.status_code == 422
    assert refused.json()["error"]["param"] == param
    assert house.admin("GET", "/routing/wrong").status_code == 404


@pytest.mark.parametrize("name", ["-x", "a%20b", "x" * 101, "%2e%2e", "a%00"])
def test_a_task_type_is_a_plain_word(house: House, name: str) -> None:
    body = {"preferred_model": "fast", "sensitivity": "public"}
    assert house.admin("PUT", f"/routing/{name}", body).status_code in {404, 405, 422}
    assert house.admin("PUT", f"/prompts/{name}", {"body": "x"}).status_code in {404, 405, 422}


def test_who_expects_an_older_version_is_told(house: House) -> None:
    house.route("raced", LOCAL, expected_version=0)
    body = {"preferred_model": "fast", "sensitivity": "public", "expected_version": 0}
    refused = house.admin("PUT", "/routing/raced", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert house.admin("DELETE", "/routing/raced?expected_version=7").status_code == 409
    assert house.done("GET", "/routing/raced")["preferred_model"] == LOCAL
    assert house.admin("POST", "/routing/raced/rollback", {"version": 9}).status_code == 404


def test_explain_knows_tasks_clients_and_abilities(house: House) -> None:
    house.route("explained", CLOUD, "internal", fallback_model=LOCAL)
    made = house.done("POST", "/clients", {"name": "strict", "min_sensitivity": "confidential"})
    told = house.done("POST", "/routing/explain", {"model": "task/explained", "client": made["id"]})
    assert told["sensitivity"] == "confidential"
    assert told["stages"][:2] == [CLOUD, LOCAL]
    assert [one["deployment"] for one in told["candidates"]] == [f"desk/{LOCAL}"]
    assert told["dropped"][0]["filter"] == "sensitivity"
    assert (told["client"]["name"], told["route"]["name"], told["route"]["floor"]) == (
        "strict",
        "explained",
        "internal",
    )
    named = house.done("POST", "/routing/explain", {"model": "task/explained", "client": "strict"})
    assert named["client"] == told["client"]
    plain = house.done("POST", "/routing/explain", {"model": LOCAL})
    assert (plain["route"], plain["client"]) == (None, None)
    unknown = house.admin("POST", "/routing/explain", {"model": LOCAL, "needs": ["visoin"]})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (422, "needs")
    assert "vision" in unknown.json()["error"]["message"]
    assert house.admin("POST", "/routing/explain", {"model": LOCAL, "client": "cli_none"}).status_code == 404


def test_simulate_tells_what_would_move(house: House) -> None:
    house.route("simulated", LOCAL, "public")
    for _ in range(3):
        house.ask("task/simulated").raise_for_status()
    trial = {"preferred_model": CLOUD, "sensitivity": "public"}
    asked = {"routes": {"simulated": trial}, "task_type": "simulated", "days": 1}
    result = settled(house, asked, requests=3)
    assert (result["moved"], result["not_servable"], result["bounded"]) == (3, 0, False)
    assert [(one["from"], one["to"], one["count"]) for one in result["moves"]] == [
        (f"desk/{LOCAL}", f"gpts/{CLOUD}", 3)
    ]
    assert house.done("GET", "/routing/simulated")["preferred_model"] == LOCAL
    assert house.done("POST", "/routing/simulate", {**asked, "limit": 2})["bounded"] is True
    assert house.admin("POST", "/routing/simulate", {"routes": {"a b": None}}).status_code == 422
    assert house.admin("POST", "/routing/simulate", {"limit": 100_000}).status_code == 422


def settled(house: House, asked: dict[str, Any], *, requests: int) -> dict[str, Any]:
    """The result as soon as that many requests are stored."""
    deadline = time.monotonic() + 5
    while True:
        result: dict[str, Any] = house.done("POST", "/routing/simulate", asked)
        if result["requests"] >= requests or time.monotonic() > deadline:
            return result
        time.sleep(0.01)


def test_a_template_is_the_system_prompt_of_its_task(house: House) -> None:
    house.route("greeting", CLOUD, "public")
    answer = house.ask("task/greeting").raise_for_status()
    sent = [{"role": "system", "content": "Greet briefly."}, *HELLO]
    assert house.cloud.inferences[-1].json["messages"] == sent
    exchange = house.recorded(answer)
    assert exchange["prompt_version"] == "shared:greeting@1#" + blob_hash(b"Greet briefly.\n")
    assert exchange["request"]["messages"] == sent
    own = [{"role": "system", "content": "Mine."}, *HELLO]
    house.ask("task/greeting", messages=own).raise_for_status()
    assert house.cloud.inferences[-1].json["messages"] == own
    house.ask(CLOUD, {"x-junto-task": "greeting", "x-junto-sensitivity": "public"}).raise_for_status()
    assert house.cloud.inferences[-1].json["messages"] == HELLO


def test_a_clients_own_template_goes_before_the_shared_one(house: House) -> None:
    house.route("own", CLOUD, "public")
    made = house.done("POST", "/clients", {"name": "speaker"})
    key = {"authorization": f"Bearer {made['api_key']}"}
    house.done("PUT", "/prompts/own", {"body": "For all."})
    saved = house.done("PUT", "/prompts/own?client=speaker", {"body": "For one."})
    assert saved["label"] == f"{made['id']}:own@1"

    def heard(headers: dict[str, str] | None = None) -> str:
        house.ask("task/own", headers).raise_for_status()
        return str(house.cloud.inferences[-1].json["messages"][0]["content"])

    assert (heard(key), heard()) == ("For one.", "For all.")
    house.done("PUT", "/prompts/own?client=speaker", {"body": "Again.", "expected_version": 1})
    assert heard(key) == "Again."
    house.done("POST", "/prompts/own/rollback?client=speaker", {"version": 1})
    assert heard(key) == "For one."
    house.done("DELETE", "/prompts/own?client=speaker")
    assert heard(key) == "For all."
    history = house.done("GET", "/prompts/own/history?client=speaker")["versions"]
    assert [(one["version"], one["deleted"]) for one in history] == [(4, True), (3, False), (2, False), (1, False)]
    assert house.done("GET", "/prompts/own?client=speaker&version=2")["body"] == "Again."
    assert house.admin("GET", "/prompts/own?client=nobody").status_code == 404


@pytest.mark.parametrize(
    "body", [{"body": ""}, {"body": "  "}, {"body": "a\0b"}, {"body": "x" * 65_537}, {"body": 1}, {}]
)
def test_a_wrong_template_is_refused(house: House, body: dict[str, Any]) -> None:
    assert house.admin("PUT", "/prompts/wrong", body).status_code == 422
    assert house.admin("GET", "/prompts/wrong").status_code == 404


def test_files_are_read_again_on_a_reload(house: House) -> None:
    shared = house.folder / "prompts" / "shared"
    (shared / "reloaded.md").write_text("One.")
    (house.folder / "prompts" / "clients" / "stranger").mkdir(parents=True)
    (house.folder / "prompts" / "clients" / "stranger" / "reloaded.md").write_text("No.")
    told = house.done("POST", "/admin/reload")
    assert any("stranger" in warning for warning in told["warnings"])
    assert house.done("GET", "/prompts/reloaded")["body"] == "One."
    house.done("PUT", "/prompts/reloaded", {"body": "Edited."})
    house.done("POST", "/admin/reload")
    assert house.done("GET", "/prompts/reloaded")["body"] == "Edited."
    (shared / "reloaded.md").write_text("Two.")
    made = house.done("POST", "/clients", {"name": "stranger"})
    house.done("POST", "/admin/reload")
    assert house.done("GET", "/prompts/reloaded")["version"] == 3
    assert house.done("GET", "/prompts/reloaded?client=stranger")["client_id"] == made["id"]


def test_seed_makes_everything_once_and_the_second_time_nothing(tmp_path: Path) -> None:
    """The shipped files, with the command as a person calls it."""
    config = {"prompts_dir": str(ROOT / "prompts")}
    able = OllamaModel(name=LOCAL, capabilities=("completion",))
    with OllamaEmulator(models=[able]) as desk:
        backends = [{"name": "desk", "provider": "ollama", "url": desk.url}]
        with RunningJunto(tmp_path, {**config, "backends": backends}) as junto:
            first, second = (seeded(junto) for _ in range(2))
            assert {one["kind"] for one in first["made"]} == {"client", "route"}
            assert (first["kept"], second["made"]) == ([], [])
            assert len(second["kept"]) == len(first["made"])
            routes = junto.get("/routing")["routes"]
            assert len(routes) == 8
            prompts = {one["task_type"] for one in junto.get("/prompts")["prompts"]}
            assert prompts == {one["task_type"] for one in routes}
            for task in sorted(prompts):
                answer = junto.http.post("/v1/chat/completions", json={"model": f"task/{task}", "messages": HELLO})
                assert answer.status_code == 200, task
                assert answer.headers["x-junto-backend"] == "desk"


def seeded(junto: RunningJunto) -> dict[str, Any]:
    files = ["--clients", str(ROOT / "seed" / "clients.yaml"), "--routes", str(ROOT / "seed" / "routes.yaml")]
    command = [sys.executable, "-c", "from junto.cli.main import run; run()", "seed", *files, "--json"]
    environment = {"JUNTO_URL": junto.url, "JUNTO_ADMIN_KEY": ADMIN_KEY, "PATH": os.environ["PATH"]}
    result = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    with RunningJunto(tmp_path, {}) as junto:
        junto.http.put(
            "/routing/kept", json={"preferred_model": "fast", "sensitivity": "internal"}, headers=junto.admin
        ).raise_for_status()
        junto.http.put("/prompts/kept", json={"body": "Stay."}, headers=junto.admin).raise_for_status()
    with RunningJunto(tmp_path, {}) as junto:
        assert junto.get("/routing/kept")["version"] == 1
        assert junto.get("/prompts/kept")["body"] == "Stay."
        explained = junto.http.post("/routing/explain", json={"task_type": "kept"}, headers=junto.admin).json()
        assert explained["route"]["name"] == "kept"
