"""A limit of two requests a minute on every surface: the third is refused in the surface's own words, and says until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = [{"role": "user", "content": "hi"}]
SURFACES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "gpt-test", "messages": MESSAGES},
    "/v1/completions": {"model": "gpt-test", "prompt": "hi"},
    "/v1/messages": {"model": "gpt-test", "messages": MESSAGES, "max_tokens": 8},
    "/api/chat": {"model": "gpt-test", "messages": MESSAGES, "stream": False},
    "/api/generate": {"model": "gpt-test", "prompt": "hi", "stream": False},
    "/complete": {"model": "gpt-test", "messages": MESSAGES},
    "/jobs": {"model": "gpt-test", "task_type": "bio", "prompt": "hi", "sensitivity": "public"},
}


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with OpenAIEmulator() as upstream:
        config = {
            "auth": {"mode": "keys"},
            "backends": [{"name": "up", "provider": "openai", "url": upstream.base_url, "locality": "local"}],
        }
        with RunningJunto(tmp_path_factory.mktemp("data"), config) as running:
            yield running


def key_with_two_a_minute(junto: RunningJunto, name: str) -> dict[str, str]:
    policy = {"rate_limit_per_minute": 2}
    made = junto.http.post("/clients", json={"name": name, **policy}, headers=junto.admin).raise_for_status().json()
    return {"authorization": f"Bearer {made['api_key']}"}


@pytest.mark.parametrize("path", SURFACES)
def test_the_third_request_of_a_minute_is_refused_on_each_surface(junto: RunningJunto, path: str) -> None:
    key = key_with_two_a_minute(junto, f"surface{path.replace('/', '-')}")
    answers = [junto.http.post(path, json=SURFACES[path], headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] in ([200, 200], [202, 202]), answers[0].text
    refused = answers[2]
    assert refused.status_code == 429, refused.text
    assert "requests per minute is used up" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 61  # rounded up, and a grain of the window
    limits = {name: value for name, value in refused.headers.items() if name.startswith("x-ratelimit-")}
    assert limits["x-ratelimit-limit-requests"] == "2"
    assert limits["x-ratelimit-remaining-requests"] == "0"
    assert limits["x-ratelimit-reset-requests"] == f"{refused.headers['retry-after']}s"


def test_loading_and_unloading_count_as_requests(junto: RunningJunto) -> None:
    key = key_with_two_a_minute(junto, "loader")
    asked = [{"model": "gpt-test", "messages": []}, {"model": "gpt-test", "messages": [], "keep_alive": 0}] * 2
    assert [junto.http.post("/api/chat", json=body, headers=key).status_code for body in asked] == [200, 200, 429, 429]


def test_a_limit_counts_over_all_surfaces_together(junto: RunningJunto) -> None:
    key = key_with_two_a_minute(junto, "everywhere")
    statuses = [
        junto.http.post(path, json=SURFACES[path], headers=key).status_code
        for path in ("/api/chat", "/v1/messages", "/jobs")
    ]
    assert statuses == [200, 200, 429]


def test_a_job_that_was_accepted_tells_of_the_limits_as_well(junto: RunningJunto) -> None:
    key = key_with_two_a_minute(junto, "submitter")
    told = [junto.http.post("/jobs", json=SURFACES["/jobs"], headers=key).headers for _ in range(2)]
    assert [one["x-ratelimit-limit-requests"] for one in told] == ["2", "2"]
    assert [one["x-ratelimit-remaining-requests"] for one in told] == ["1", "0"]


def test_a_job_counts_as_what_it_used_once_that_is_known_and_a_repeated_one_as_nothing(junto: RunningJunto) -> None:
    """The estimate of a job without a maximum is above 500 tokens, so a second one would find no room."""
    made = junto.http.post("/clients", json={"name": "frugal", "tokens_per_minute": 600}, headers=junto.admin)
    key = {"authorization": f"Bearer {made.json()['api_key']}", "idempotency-key": "once"}
    asked = {**SURFACES["/jobs"], "wait_s": 20}
    first = junto.http.post("/jobs", json=asked, headers=key)
    assert first.json()["status"] == "complete"
    assert 0 < first.json()["tokens_in"] + first.json()["tokens_out"] < 80
    again = junto.http.post("/jobs", json=asked, headers=key)
    assert again.json()["job_id"] == first.json()["job_id"]
    other = junto.http.post("/jobs", json=asked, headers={**key, "idempotency-key": "another"})
    assert other.json()["status"] == "complete"
