"""A local backend that has its hands full keeps no job of another from its own, and nothing bounces meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from junto.bootstrap.jobs import JobOptions
from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.fake import Fake
from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from junto.ports.provider import Call, Clearance, Reply
    from junto.settings.model import BackendSettings

_BUSY, _IDLE = 12, 5
_QUICK = JobOptions(lease=3.0, sweep=0.1, grace=1.0)


@dataclass(slots=True)
class Gated(Fake):
    """Answers when the gate is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        await self.gate.wait()
        return await super(Gated, self).open(clearance, call)


def until(holds: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def submit(junto: RunningJunto, model: str, priority: int) -> str:
    asked = {"task_type": "bio", "prompt": "Who?", "model": model, "async": True, "priority": priority}
    made: dict[str, Any] = junto.http.post("/jobs", json=asked).raise_for_status().json()
    return str(made["job_id"])


def job(junto: RunningJunto, id: str) -> dict[str, Any]:
    found: dict[str, Any] = junto.http.get(f"/jobs/{id}").raise_for_status().json()
    return found


def test_jobs_for_an_idle_backend_do_not_wait_for_those_of_a_busy_one(
    tmp_path: Path, fresh_database: dict[str, str]
) -> None:
    slow, quick = Gated("slow", models=("big",)), Fake("quick", models=("small",))
    absent = Fake("ollama", models=(), probe_failure=UpstreamFailure(FailureKind.CONNECT))
    fakes = {"slow": slow, "quick": quick, "ollama": absent}

    def make(settings: BackendSettings) -> Fake:
        return fakes[settings.name]

    local = {"provider": "fake", "locality": "local", "slots": 1}
    config = {
        "backends": [{"name": "slow", **local, "models": ["big"]}, {"name": "quick", **local, "models": ["small"]}],
        "jobs": {"worker": "on"},
    }
    with RunningJunto(tmp_path, config, environ=fresh_database, make_provider=make, job_options=_QUICK) as junto:
        busy = [submit(junto, "big", priority=9) for _ in range(_BUSY)]
        until(lambda: sum(job(junto, id)["status"] == "running" for id in busy) == 2)  # one runs, one is ready
        idle = [submit(junto, "small", priority=1) for _ in range(_IDLE)]
        until(lambda: all(job(junto, id)["status"] == "complete" for id in idle))
        assert sorted(job(junto, id)["status"] for id in busy) == ["pending"] * (_BUSY - 2) + ["running"] * 2
        junto.call(slow.gate.set)
        until(lambda: all(job(junto, id)["status"] == "complete" for id in busy))
        assert {job(junto, id)["attempts"] for id in (*busy, *idle)} == {1}
        assert {each["outcome"] for id in busy for each in job(junto, id)["attempt_log"]} == {"ok"}
