"""A job whose deadline passes while it waits is told to its caller then, and never begun, however late the sweeper comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from junto.bootstrap.jobs import JobOptions
from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.fake import Fake
from tests.flow.running import RunningJunto
from tests.flow.test_room_for_jobs import Gated, job, submit, until

if TYPE_CHECKING:
    from pathlib import Path

    from junto.settings.model import BackendSettings

_NO_SWEEPS = JobOptions(sweep=3600.0, grace=0.1)


def test_who_waits_for_a_job_hears_of_its_deadline_when_it_passes(
    tmp_path: Path, fresh_database: dict[str, str]
) -> None:
    slow = Gated("slow", models=("big",))
    absent = Fake("ollama", models=(), probe_failure=UpstreamFailure(FailureKind.CONNECT))

    def make(settings: BackendSettings) -> Fake:
        return slow if settings.name == "slow" else absent

    config = {
        "backends": [{"name": "slow", "provider": "fake", "locality": "local", "slots": 1, "models": ["big"]}],
        "jobs": {"worker": "on"},
    }
    with RunningJunto(tmp_path, config, environ=fresh_database, make_provider=make, job_options=_NO_SWEEPS) as junto:
        busy = [submit(junto, "big", priority=9) for _ in range(2)]
        until(lambda: all(job(junto, id)["status"] == "running" for id in busy))
        asked: dict[str, Any] = {"task_type": "bio", "prompt": "Who?", "model": "big", "deadline_s": 1, "wait_s": 600}
        late = junto.http.post("/jobs", json=asked, timeout=60).json()
        assert (late["status"], late["error"]["code"], late["attempts"]) == ("failed", "deadline_passed", 0)
        junto.call(slow.gate.set)
        until(lambda: all(job(junto, id)["status"] == "complete" for id in busy))
        assert job(junto, late["job_id"])["attempts"] == 0
