"""The operator's models over HTTP: where they are, bringing them into memory and out, and Ollama's own way to do that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import Fail, OllamaEmulator, OllamaModel, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMED = OllamaModel(name="hf.co/some/Model-GGUF:Q4_K_M")
SMALL = OllamaModel(name="llama3.2:3b")
REMOTE = OllamaModel(name="huge:cloud", remote_host="https://elsewhere.example", remote_model="huge")


class Ground:
    """Two Ollama servers, `desk` with everything and `rack` with the small model, and a cloud account."""

    def __init__(self, junto: RunningJunto, desk: OllamaEmulator, rack: OllamaEmulator) -> None:
        self.junto, self.desk, self.rack = junto, desk, rack

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.junto.http.post(path, headers=self.junto.admin, **options)

    def local(self, name: str, backend: str = "desk") -> dict[str, Any]:
        listed: list[dict[str, Any]] = self.junto.get("/models")["local"]
        [one] = [each for each in listed if (each["name"], each["backend"]) == (name, backend)]
        return one

    def becomes(self, is_so: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 10
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.01)
        return is_so()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with (
        OllamaEmulator(models=[SMALL, NAMED, REMOTE]) as desk,
        OllamaEmulator(models=[SMALL]) as rack,
        OpenAIEmulator() as cloud,
    ):
        config = {
            "backends": [
                {"name": "desk", "provider": "ollama", "url": desk.url, "priority": 1},
                {"name": "rack", "provider": "ollama", "url": rack.url, "priority": 2},
                {"name": "gpts", "provider": "openai", "url": cloud.base_url, "models": ["gpt-test"]},
            ],
            "groups": {"fast": {"members": ["llama3.2:3b"]}},
        }
        with RunningJunto(tmp_path, config) as junto:
            yield Ground(junto, desk, rack)


def test_the_list_says_where_each_model_is_and_what_the_clouds_cost(ground: Ground) -> None:
    listed = ground.junto.get("/models")
    assert {(each["name"], each["backend"], each["status"]) for each in listed["local"]} == {
        ("llama3.2:3b", "desk", "unloaded"),
        ("llama3.2:3b", "rack", "unloaded"),
        (NAMED.name, "desk", "unloaded"),
    }
    assert set(listed["local"][0]) >= {"name", "status", "size_gb", "vram_gb", "backend", "last_used", "expires_at"}
    assert {(each["name"], each["backend"], each["provider"]) for each in listed["cloud"]} == {
        ("huge:cloud", "desk", "ollama"),
        ("gpt-test", "gpts", "openai"),
    }
    assert {"input_usd_per_mtok", "output_usd_per_mtok"} <= set(listed["cloud"][0])


@pytest.mark.parametrize("name", [NAMED.name, f"desk/{NAMED.name}", "hf.co%2Fsome%2FModel-GGUF:Q4_K_M"])
def test_a_model_with_slashes_and_colons_in_its_name_is_loaded_and_unloaded(ground: Ground, name: str) -> None:
    loaded = ground.post(f"/models/{name}/load")
    assert (loaded.status_code, loaded.json()["status"], loaded.json()["backends"]) == (200, "loaded", ["desk"])
    assert ground.desk.resident == [NAMED.name]
    assert ground.local(NAMED.name)["status"] == "loaded"
    assert ground.becomes(lambda: ground.local(NAMED.name)["vram_gb"] is not None)
    assert ground.local(NAMED.name)["expires_at"] is not None
    unloaded = ground.post(f"/models/{name}/unload")
    assert (unloaded.status_code, unloaded.json()["status"]) == (200, "unloaded")
    assert ground.desk.resident == []
    assert ground.local(NAMED.name)["status"] == "unloaded"


def test_a_backend_that_cannot_is_passed_over_for_one_that_can(ground: Ground) -> None:
    ground.desk.script.plan_at("/api/generate", Scripted(fail=Fail(status=500)))
    loaded = ground.post("/models/llama3.2:3b/load")
    assert loaded.json()["backends"] == ["rack"]
    assert ground.rack.resident == ["llama3.2:3b"]
    assert ground.local("llama3.2:3b", "desk")["error"] == "server"


def test_a_backend_that_is_down_is_asked_last(ground: Ground) -> None:
    ground.desk.stop()
    ground.junto.beat()
    assert ground.post("/models/llama3.2:3b/load").json()["backends"] == ["rack"]


def test_unloading_empties_every_backend(ground: Ground) -> None:
    for backend in ("desk", "rack"):
        assert ground.post(f"/models/{backend}/llama3.2:3b/load").status_code == 200
    assert ground.post("/models/llama3.2:3b/unload").json()["backends"] == ["desk", "rack"]
    assert (ground.desk.resident, ground.rack.resident) == ([], [])


def test_when_no_backend_can_the_answer_says_why_for_each(ground: Ground) -> None:
    for server in (ground.desk, ground.rack):
        server.script.plan_at("/api/generate", Scripted(fail=Fail(status=500)))
    refused = ground.post("/models/llama3.2:3b/load")
    assert refused.status_code == 502
    assert refused.json()["error"]["reasons"] == ["desk: server", "rack: server"]
    assert "retry-after" in refused.headers


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("llama3.3:3b", 404, "model_not_found"),
        ("gpt-test", 422, "invalid_field"),
        ("huge:cloud", 422, "invalid_field"),
        ("fast", 422, "invalid_field"),
        ("a" * 5000, 404, "model_not_found"),
    ],
)
def test_what_cannot_be_loaded_is_refused(ground: Ground, name: str, status: int, code: str) -> None:
    for verb in ("load", "unload"):
        refused = ground.post(f"/models/{name}/{verb}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert ground.desk.script.requests_to("/api/generate") == []


def test_an_unknown_model_is_answered_with_near_names(ground: Ground) -> None:
    assert "llama3.2:3b" in ground.post("/models/llama3.3:3b/load").json()["error"]["message"]


def test_a_long_load_goes_on_alone_and_can_be_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("junto.web.routes.local_models._PATIENCE", 0.05)
    ground.desk.memory.cold_load = 1.0
    begun = ground.post(f"/models/{NAMED.name}/load")
    assert (begun.status_code, begun.json()) == (
        202,
        {"name": NAMED.name, "status": "loading", "poll_url": "/models"},
    )
    assert ground.local(NAMED.name)["status"] == "loading"
    assert ground.becomes(lambda: ground.local(NAMED.name)["status"] == "loaded")
    assert ground.desk.memory.loads == [NAMED.name]


def test_ollamas_clients_load_and_unload_by_asking_nothing(ground: Ground) -> None:
    asked = {"model": "llama3.2:3b"}
    loaded = ground.junto.http.post("/api/generate", json=asked).json()
    assert (loaded["done_reason"], ground.desk.resident) == ("load", ["llama3.2:3b"])
    unloaded = ground.junto.http.post("/api/generate", json={**asked, "keep_alive": 0}).json()
    assert (unloaded["done_reason"], ground.desk.resident) == ("unload", [])


@pytest.mark.parametrize("name", ["fast", "gpt-test", "huge:cloud"])
def test_to_ollamas_clients_what_needs_no_loading_is_loaded(ground: Ground, name: str) -> None:
    """`ollama run NAME` loads before it asks, whatever NAME is."""
    answer = ground.junto.http.post("/api/generate", json={"model": name})
    assert (answer.status_code, answer.json()["done_reason"]) == (200, "load")


def test_a_load_ends_when_the_one_who_waits_goes_away(ground: Ground) -> None:
    ground.desk.memory.cold_load = 30.0
    with pytest.raises(httpx2.TimeoutException):
        ground.junto.http.post("/api/generate", json={"model": NAMED.name}, timeout=0.3)
    assert ground.becomes(lambda: ground.local(NAMED.name)["status"] == "unloaded")
    assert ground.local(NAMED.name)["error"] == "cancelled"


def test_it_goes_on_while_another_one_waits(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("junto.web.routes.local_models._PATIENCE", 0.05)
    ground.desk.memory.cold_load = 1.0
    assert ground.post(f"/models/{NAMED.name}/load").status_code == 202
    with pytest.raises(httpx2.TimeoutException):
        ground.junto.http.post("/api/generate", json={"model": NAMED.name}, timeout=0.2)
    assert ground.becomes(lambda: ground.local(NAMED.name)["status"] == "loaded")
    assert ground.desk.memory.loads == [NAMED.name]


def test_the_endpoints_are_the_administrators(ground: Ground) -> None:
    for method, path in (("GET", "/models"), ("POST", "/models/x/load"), ("POST", "/models/x/unload")):
        assert ground.junto.http.request(method, path).status_code == 401
        wrong = {"authorization": "Bearer jt_wrong"}
        assert ground.junto.http.request(method, path, headers=wrong).status_code == 403
