"""A job between processes: submitted to one node, run by a worker, followed and cancelled on the other node, told once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from junto.core.secret import Secret
from junto.jobs.signing import verify
from tests.flow.distributed.processes import Serve, Worker, until
from tests.flow.distributed.site import CLOUD, LOCAL, Client, Site
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator


def events(serve: Serve, client: Client, id: str, heard: list[tuple[str, dict[str, Any]]]) -> None:
    """Follow a job to its end, and note what happens."""
    with serve.http.stream("GET", f"/jobs/{id}/events", headers=client.own) as response:
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                heard.append((name, json.loads(line[6:])))


def test_a_job_for_later_is_run_by_a_worker_and_by_no_other(site: Site) -> None:
    client, gate = site.client(), Gate()
    site.local.plan(Scripted(text="From the desk.", gate=gate))
    id = client.later(site.serves[0])
    (received,) = site.local.wait_arrived(1, 30)
    assert isinstance(site.caller_of(received.peer_port), Worker)
    assert client.job(site.serves[1], id)["status"] == "running"
    gate.open()
    assert client.ended(site.serves[1], id)["response"] == "From the desk."
    assert len(site.local.inferences) == 1


def test_what_a_worker_writes_is_followed_on_the_other_node(site: Site) -> None:
    client, gate = site.client(), Gate()
    site.local.plan(Scripted(text="one two three four", gate=gate, gate_after=2))
    id = client.later(site.serves[0])
    heard: list[tuple[str, dict[str, Any]]] = []
    following = threading.Thread(target=events, args=(site.serves[1], client, id, heard))
    following.start()
    try:
        until(lambda: any(name == "text" for name, _ in heard))
        assert heard[-1][0] != "end"
    finally:
        gate.open()
        following.join(30)
    name, last = heard[-1]
    assert (name, last["status"], last["response"]) == ("end", "complete", "one two three four")
    text = "".join(data["text"] for name, data in heard if name == "text")
    assert last["response"].startswith(text)


def test_a_job_that_runs_is_cancelled_through_the_other_node_and_its_worker_leaves_the_upstream(site: Site) -> None:
    client, gate = site.client(), Gate()
    site.local.plan(Scripted(text="one two three four", gate=gate, gate_after=2))
    id = client.later(site.serves[0])
    (received,) = site.local.wait_arrived(1, 30)
    other = site.serves[1].http
    assert other.delete(f"/jobs/{id}", headers=client.own).status_code == 409
    answer = other.delete(f"/jobs/{id}?force=true", headers=client.own)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert received.wait_abandoned(10)
    assert client.job(site.serves[0], id)["status"] == "cancelled"
    assert other.delete(f"/jobs/{id}?force=true", headers=client.own).status_code == 409
    gate.open()


def test_a_job_that_waits_is_cancelled_through_the_other_node_and_never_run(site: Site) -> None:
    client, gate = site.client(), Gate()
    site.local.plan(*[Scripted(text="held", gate=gate)] * 4)
    try:
        held = [
            client.later(site.serves[0]) for _ in range(10)
        ]  # two workers run two each, and have two more each at hand
        site.local.wait_arrived(4, 30)
        waiting = until(lambda: [id for id in held if client.job(site.serves[0], id)["status"] == "pending"])[-1]
        answer = site.serves[1].http.delete(f"/jobs/{waiting}", headers=client.own)
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    finally:
        gate.open()
    ends = [client.ended(site.serves[1], id)["status"] for id in held]
    assert (ends.count("complete"), ends.count("cancelled")) == (9, 1)
    assert len(site.local.inferences) == 9


def test_an_idempotency_key_is_one_job_on_both(site: Site) -> None:
    client = site.client()
    ids = {client.submit(serve, key="k1").raise_for_status().json()["job_id"] for serve in (*site.serves, *site.serves)}
    assert len(ids) == 1
    other = client.submit(site.serves[1], key="k1", prompt="Who was Alan?")
    assert (other.status_code, other.json()["error"]["param"]) == (422, "Idempotency-Key")
    client.ended(site.serves[0], ids.pop())
    assert len(site.local.inferences) == 1


def test_an_idempotency_key_that_comes_to_both_at_the_same_time_is_one_job(site: Site) -> None:
    client = site.client()
    with ThreadPoolExecutor(8) as pool:
        coming = [pool.submit(client.submit, serve, key="k2") for serve in site.serves * 4]
        answers = [each.result() for each in coming]
    assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
    ids = {answer.json()["job_id"] for answer in answers}
    assert len(ids) == 1
    client.ended(site.serves[1], ids.pop())
    assert len(site.local.inferences) == 1


def test_many_jobs_over_both_nodes_are_done_once_each_by_both_workers(site: Site) -> None:
    client = site.client()
    site.local.always(Scripted(text="done", delay=0.05))
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: client.later(site.serves[n % 2], prompt=f"job {n}"), range(40)))
    for id in ids:
        assert client.ended(site.serves[1], id)["status"] == "complete"
    asked = [received.json["messages"][-1]["content"] for received in site.local.inferences]
    assert sorted(asked) == sorted(f"job {n}" for n in range(40))
    usage = site.serves[1].done("GET", f"/clients/{client.id}/usage?days=2")["totals"]
    assert (usage["jobs"], usage["requests"], usage["failures"]) == (40, 0, 0)


class Receiver(BaseHTTPRequestHandler):
    heard: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        self.heard.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(heard: list[tuple[dict[str, str], bytes]]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hook", (Receiver,), {"heard": heard}))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def is_told(client: Client, serve: Serve, id: str) -> bool:
    return [one["state"] for one in client.job(serve, id)["webhooks"]] == ["delivered"]


def test_each_end_is_told_to_its_webhook_once_and_signed_with_the_key_that_every_node_shows(site: Site) -> None:
    client = site.client()
    heard: list[tuple[dict[str, str], bytes]] = []
    with receiving(heard) as hook:
        ids = [client.later(site.serves[n % 2], webhook=hook) for n in range(6)]
        ids.append(  # done at once, by the node itself
            client.submit(site.serves[1], at_once=True, model=CLOUD, sensitivity="public", webhook=hook).json()[
                "job_id"
            ]
        )
        until(lambda: len(heard) >= len(ids), seconds=30)
        for id in ids:  # noted as delivered: nobody sends it again
            until(is_told, client, site.serves[0], id)
    assert sorted(json.loads(body)["job_id"] for _, body in heard) == sorted(ids)
    secrets = {serve.done("GET", f"/clients/{client.id}/webhook-secret")["secret"] for serve in site.serves}
    assert len(secrets) == 1
    for headers, signed in heard:
        assert verify(Secret(min(secrets)), headers, signed, now=int(headers["X-Junto-Timestamp"]))


def test_a_local_model_is_loaded_for_all(site: Site) -> None:
    """One node's load is what the other node shows: residency is the backend's, not a node's."""
    site.serves[0].done("POST", f"/models/{LOCAL}/load")

    def loaded() -> bool:
        shown = site.serves[1].done("GET", "/models")["local"]
        return any(one["name"] == LOCAL and one["status"] == "loaded" for one in shown)

    until(loaded, seconds=30)
