"""Two `junto serve` and two `junto worker` on one Postgres and one Redis, in front of an emulated local and an emulated cloud backend."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tests.flow.distributed.processes import Process, Serve, Worker, environment, until
from tests.upstreams import OllamaEmulator, OllamaModel, OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.conformance.databases import Postgres
    from tests.conformance.redis_server import RedisServer
    from tests.upstreams import Script

LOCAL, CLOUD = "house:7b", "gpt-test"
PRICES = "- {provider: openai, model: gpt-test, from: 2026-01-01, input: 2, output: 10}\n"
HELLO = [{"role": "user", "content": "hello"}]


@dataclass
class Site:
    """The processes, what they stand on, and what the company that uses them does."""

    serves: tuple[Serve, Serve]
    workers: tuple[Worker, Worker]
    local: Script
    cloud: Script
    redis: RedisServer
    postgres: Postgres
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def client(self, **policy: Any) -> Client:
        """A new client, made on the first node."""
        body = {"name": f"client-{next(self._numbers)}", "allow_cloud_for_internal": True, **policy}
        return Client(self.serves[0].done("POST", "/clients", body))

    def name(self, what: str) -> str:
        """A name that no other test has."""
        return f"{what}-{next(self._numbers)}"

    def caller_of(self, peer_port: int) -> Process:
        """The process whose connection an upstream saw; it has to be open still."""
        return next(one for one in (*self.serves, *self.workers) if one.has_socket(peer_port))


class Client:
    """A client and the key that it was made with."""

    def __init__(self, made: dict[str, Any]) -> None:
        self.id: str = made["id"]
        self.key: str = made["api_key"]

    @property
    def own(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def ask(self, serve: Serve, model: str = LOCAL, **more: Any) -> httpx2.Response:
        return serve.http.post(
            "/v1/chat/completions", json={"model": model, "messages": HELLO, **more}, headers=self.own
        )

    def submit(self, serve: Serve, *, key: str | None = None, at_once: bool = False, **more: Any) -> httpx2.Response:
        """A job, for later as a rule; `key` makes it one however often it is sent."""
        body = {"task_type": "bio", "prompt": "Who was Ada?", "model": LOCAL, "async": not at_once, **more}
        headers = self.own if key is None else {**self.own, "idempotency-key": key}
        return serve.http.post("/jobs", json=body, headers=headers)

    def later(self, serve: Serve, **more: Any) -> str:
        """Submit a job for later; its id."""
        answer = self.submit(serve, **more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, serve: Serve, id: str) -> dict[str, Any]:
        found: dict[str, Any] = serve.http.get(f"/jobs/{id}", headers=self.own).raise_for_status().json()
        return found

    def ended(self, serve: Serve, id: str, within: float = 30.0) -> dict[str, Any]:
        """The job, as soon as it is over."""

        def over() -> dict[str, Any]:
            job = self.job(serve, id)
            return job if job["status"] not in {"pending", "running"} else {}

        return until(over, seconds=within)


@dataclass
class Pair:
    """One of each on a Postgres of their own, without any Redis."""

    serve: Serve
    worker: Worker
    local: Script

    def client(self) -> Client:
        policy = {"name": "alone", "allow_cloud_for_internal": True}
        found = self.serve.done("GET", "/clients?name=alone")["clients"]
        if found:
            return Client(self.serve.done("POST", f"/clients/{found[0]['id']}/rotate-key"))
        return Client(self.serve.done("POST", "/clients", policy))


@contextmanager
def running_site(folder: Path, postgres: Postgres, redis: RedisServer) -> Iterator[Site]:
    """Start everything, and stop it in reverse order."""
    with ExitStack() as stack:
        desk, cloud, config = stack.enter_context(_backends(folder))
        environ = environment(DATABASE_URL=stack.enter_context(_database(postgres)), REDIS_URL=redis.url)
        serves = [stack.enter_context(Serve(folder / f"serve-{n}", config, environ)) for n in (1, 2)]
        workers = [stack.enter_context(Worker(folder / f"worker-{n}", config, environ)) for n in (1, 2)]
        yield Site(
            serves=(serves[0].ready(), serves[1].ready()),
            workers=(workers[0].ready(), workers[1].ready()),
            local=desk,
            cloud=cloud,
            redis=redis,
            postgres=postgres,
        )


@contextmanager
def running_pair(folder: Path, postgres: Postgres) -> Iterator[Pair]:
    """The same, of one each, without Redis."""
    with ExitStack() as stack:
        desk, _, config = stack.enter_context(_backends(folder))
        environ = environment(DATABASE_URL=stack.enter_context(_database(postgres)))
        serve = stack.enter_context(Serve(folder / "serve", config, environ))
        worker = stack.enter_context(Worker(folder / "worker", config, environ))
        yield Pair(serve=serve.ready(), worker=worker.ready(), local=desk)


@contextmanager
def _backends(folder: Path) -> Iterator[tuple[Script, Script, Path]]:
    """An emulated local and an emulated cloud backend, and the configuration that names them."""
    able = OllamaModel(name=LOCAL, capabilities=("completion", "tools"))
    with OllamaEmulator(models=[able]) as desk, OpenAIEmulator() as cloud:
        yield desk.script, cloud.script, _configured(folder, desk.url, cloud.base_url)


@contextmanager
def _database(postgres: Postgres) -> Iterator[str]:
    url = postgres.fresh()
    try:
        yield url
    finally:
        postgres.drop(url)


def _configured(folder: Path, desk: str, cloud: str) -> Path:
    config = {
        "auth": {"mode": "keys"},
        "builtin_model": "off",
        "backends": [
            {"name": "desk", "provider": "ollama", "url": desk, "slots": 2},
            {"name": "gpts", "provider": "openai", "url": cloud},
        ],
        "outbound": {"allow": ["127.0.0.1"]},
    }
    (folder / "pricing.yaml").write_text(PRICES)
    file = folder / "junto.yaml"
    file.write_bytes(msgspec.yaml.encode(config))
    return file
