"""What a server said of its tags may change under way: content that must stay is then refused."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import OllamaEmulator, OllamaModel

QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "a secret"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "a secret"}], "max_tokens": 9},
    "/api/chat": {"messages": [{"role": "user", "content": "a secret"}]},
    "/api/generate": {"prompt": "a secret"},
    "/v1/embeddings": {"input": "a secret"},
    "/api/embed": {"input": ["a secret"]},
    "/complete": {"messages": [{"role": "user", "content": "a secret"}]},
}


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("tier", ["confidential", "internal"])
def test_a_tag_that_becomes_remote_between_two_heartbeats_is_refused_what_must_stay(
    tmp_path: Any, path: str, tier: str
) -> None:
    """The catalog still says local; the server is asked once more, and what it says now counts."""
    able = ("completion", "embedding")
    with OllamaEmulator(models=[OllamaModel(name="house:latest", capabilities=able)]) as ollama:
        config = {
            "auth": {"open_client": {"allow_cloud_for_internal": False}},
            "backends": [{"name": "desk", "provider": "ollama", "url": ollama.url}],
            "routing": {"heartbeat_interval": 3600},
        }
        with RunningJunto(tmp_path, config) as junto:
            body = {"model": "house:latest", **QUESTIONS[path]}
            headers = {"x-junto-sensitivity": tier}
            assert httpx2.post(f"{junto.url}{path}", json=body, headers=headers).status_code == 200
            ollama.set_models(
                [OllamaModel(name="house:latest", capabilities=able, remote_host="https://elsewhere.invalid")]
            )
            ollama.script.clear()
            response = httpx2.post(f"{junto.url}{path}", json=body, headers=headers)
            assert response.status_code == 403
            assert "a secret" not in "".join(one.body.decode() for one in ollama.script.requests)
            headers["x-junto-sensitivity"] = "public"
            assert httpx2.post(f"{junto.url}{path}", json=body, headers=headers).status_code == 200
