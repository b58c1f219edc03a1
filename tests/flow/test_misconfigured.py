"""What nobody but an operator can mend: told so at once, with names, in every dialect, in jobs, and once in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tests.flow.raw_caller import PATHS, chat_request
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-wrong-and-never-to-be-seen"
REFUSES = Scripted(fail=Fail(status=401, message=f"Incorrect API key provided: {KEY}"))
LACKS = Scripted(fail=Fail(status=404, message="The model does not exist"))
FAILS = Scripted(fail=Fail(status=500))


class Racks:
    """Junto in front of a backend that refuses its key and one that has not the model, both under the name `m`."""

    def __init__(self, junto: RunningJunto, refusing: OpenAIEmulator, lacking: OpenAIEmulator) -> None:
        self.junto = junto
        self.refusing = refusing
        self.lacking = lacking

    def job(self, **body: Any) -> dict[str, Any]:
        asked = {"task_type": "bio", "prompt": "Who?", "model": "m", "sensitivity": "public", "wait_s": 20, **body}
        response = self.junto.http.post("/jobs", json=asked)
        assert response.json()["status"] != "pending", response.text
        found: dict[str, Any] = self.junto.get(f"/jobs/{response.json()['job_id']}")
        return found


@pytest.fixture
def racks(tmp_path: Path) -> Iterator[Racks]:
    with OpenAIEmulator() as refusing, OpenAIEmulator() as lacking:
        refusing.script.always(REFUSES)
        lacking.script.always(LACKS)
        backends = [
            {
                "name": "e401",
                "provider": "openai",
                "url": refusing.base_url,
                "models": {"m": "gpt-test"},
                "api_key": KEY,
            },
            {"name": "e404", "provider": "vllm", "url": lacking.base_url, "models": {"m": "gpt-test"}},
        ]
        with RunningJunto(tmp_path / "data", {"backends": backends, "logging": {"level": "warning"}}) as junto:
            yield Racks(junto, refusing, lacking)


def test_a_job_that_only_an_operator_can_help_fails_at_once_and_says_what_is_wrong_where(racks: Racks) -> None:
    job = racks.job()
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"]["code"] == "backends_misconfigured"
    assert "e401 refuses Junto's key" in job["error"]["message"]
    assert "e404 has no model 'm'" in job["error"]["message"]
    (attempt,) = job["attempt_log"]
    assert sorted(attempt["reasons"]) == ["e401/m: credentials", "e404/m: model_missing"]
    assert KEY not in str(job)


def test_a_job_waits_for_a_backend_that_may_come_back(racks: Racks) -> None:
    racks.lacking.script.plan(FAILS)
    racks.lacking.script.always(Scripted(text="Back again."))
    job = racks.job()
    assert (job["status"], job["response"], job["attempts"]) == ("complete", "Back again.", 2)
    first, second = (sorted(attempt["reasons"]) for attempt in job["attempt_log"])
    assert "e404/m: server" in first
    assert "e404/m: server" not in second


@pytest.mark.parametrize("dialect", list(PATHS))
def test_a_caller_of_any_dialect_is_told_what_an_operator_has_to_mend(racks: Racks, dialect: str) -> None:
    path, body = chat_request(dialect, "m", "hello", stream=False)
    response = racks.junto.http.post(path, json=body, headers={"x-junto-sensitivity": "public"})
    assert response.status_code == 502, response.text
    for said in ("e401 refuses Junto's key", "e404 has no model 'm'", "e401/m: credentials", "e404/m: model_missing"):
        assert said in response.text
    assert KEY not in response.text


def test_the_log_warns_once_of_a_backend_that_refuses_its_key_until_it_works_again(
    racks: Racks, capfd: pytest.CaptureFixture[str]
) -> None:
    ask = {"model": "e401/m", "messages": [{"role": "user", "content": "hello"}]}

    def asked() -> int:
        return racks.junto.http.post("/v1/chat/completions", json=ask).status_code

    with capture_logs() as lines:
        assert [asked() for _ in range(3)] == [502, 502, 502]
        racks.refusing.script.plan(Scripted(text="yes"))
        assert asked() == 200
        assert asked() == 502
    warned = [line for line in lines if line["event"] == "backend_refuses_key"]
    assert [(line["backend"], line["log_level"]) for line in warned] == [("e401", "warning")] * 2
    assert warned[0]["look_at"] == "backends: e401: api_key, or OPENAI_API_KEY"
    assert KEY not in str(lines) + "".join(capfd.readouterr())
