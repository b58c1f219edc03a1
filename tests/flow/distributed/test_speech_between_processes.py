"""Speech between processes: ordered at one node, said by a worker, told of at the other; a file that lies elsewhere is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.providers.speech import hibari
from tests.flow.distributed.processes import until

if TYPE_CHECKING:
    from tests.flow.distributed.site import Site

pytestmark = pytest.mark.skipif(hibari.find() is None, reason="junto[speech] is not installed")


def test_a_book_is_said_by_a_worker_and_a_file_of_another_host_is_told_to_be_there(site: Site) -> None:
    client, stranger = site.client(), site.client()
    book = {"chapters": [{"title": "I", "text": "First one."}, {"text": "Second one."}], "format": "wav"}
    made = site.serves[0].http.post("/tts", json=book, headers=client.own)
    assert made.status_code == 202, made.text
    job = client.ended(site.serves[1], made.json()["job_id"], within=120)
    assert (job["status"], job["model_used"], len(job["chapters"])) == ("complete", "hibari", 2)
    assert job["tokens_out"] == sum(chapter["bytes"] for chapter in job["chapters"])
    url = job["chapters"][0]["url"]
    for serve in site.serves:  # each process of this site has a folder of its own
        elsewhere = serve.http.get(url, headers=client.own)
        assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (503, "output_elsewhere")
        assert serve.http.get(url, headers=stranger.own).status_code == 404
        assert serve.http.get("/output/job_1%00.wav", headers=client.own).status_code == 404


def test_speech_that_runs_on_a_worker_is_cancelled_through_a_node(site: Site) -> None:
    client = site.client()
    book = {"chapters": [{"text": "This goes on for a while, and then it goes on again. " * 60}] * 20}
    made = site.serves[0].http.post("/tts", json=book, headers=client.own).json()
    until(lambda: client.job(site.serves[1], made["job_id"])["status"] == "running", seconds=60)
    cancelled = site.serves[1].http.delete(f"/jobs/{made['job_id']}?force=true", headers=client.own)
    assert cancelled.status_code in {200, 202}
    assert client.ended(site.serves[0], made["job_id"])["status"] == "cancelled"
