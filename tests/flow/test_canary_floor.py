"""A canary in the cloud sees nothing confidential, and nobody is refused for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from pathlib import Path


def test_confidential_jobs_and_requests_are_answered_by_the_preferred_model(tmp_path: Path) -> None:
    with OpenAIEmulator(models=["usual"]) as desk, OpenAIEmulator(models=["sky"]) as far:
        backends = [
            {"name": "desk", "provider": "openai", "url": desk.base_url, "locality": "local"},
            {"name": "far", "provider": "openai", "url": far.base_url, "locality": "cloud"},
        ]
        desk.script.always(Scripted(text="from the desk"))
        far.script.always(Scripted(text="from the sky"))
        with RunningJunto(tmp_path, {"backends": backends, "jobs": {"worker": "on"}}) as junto:
            route = {"preferred_model": "usual", "sensitivity": "public", "canary": {"model": "sky", "share": 1.0}}
            junto.http.put("/routing/mail", json=route, headers=junto.admin).raise_for_status()
            asked = {"task_type": "mail", "prompt": "hi", "sensitivity": "confidential", "wait_s": 20}
            job = junto.http.post("/jobs", json=asked)
            assert (job.status_code, job.json()["response"]) == (200, "from the desk")
            chat = junto.http.post(
                "/v1/chat/completions",
                json={"model": "task/mail", "messages": [{"role": "user", "content": "hi"}]},
                headers={"x-junto-sensitivity": "confidential"},
            )
            assert chat.json()["choices"][0]["message"]["content"] == "from the desk"
            assert not far.script.inferences
            public = junto.http.post("/jobs", json={**asked, "sensitivity": "public"})
            assert public.json()["response"] == "from the sky"
