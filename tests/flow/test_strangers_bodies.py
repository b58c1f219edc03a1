"""What strangers send is not parsed beyond what an open path needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = b'{"token": "wrong", "score": 3, "note": "' + b"x" * 200_000 + b'"}'


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with RunningJunto(tmp_path_factory.mktemp("data"), {"auth": {"mode": "keys"}}) as running:
        yield running


@pytest.mark.parametrize("path", ["/jobs/job_1/eval", "/clients", "/jobs", "/tts"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_a_large_body_of_a_stranger_is_refused_for_who_sends_it(
    junto: RunningJunto, path: str, headers: dict[str, str]
) -> None:
    sent = junto.http.post(path, content=LARGE, headers=headers)
    assert (sent.status_code, sent.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_large_body_of_somebody_known_is_read(junto: RunningJunto) -> None:
    assert junto.http.post("/clients", content=LARGE, headers=junto.admin).status_code == 422
