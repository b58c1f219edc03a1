"""Several real processes of Junto on one Postgres (and one Redis): `junto serve` and `junto worker`, killed and started at will.

All ask one emulated upstream, whose answers have a known usage, so that what everything has cost is known too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2

from tests.chaos.jobs.processes import ROOT, START_SECONDS, until
from tests.upstreams import Scripted, Usage

if TYPE_CHECKING:
    from pathlib import Path

ADMIN_KEY: Final = "jt_a-key-for-tests-only-0123456789"
ADMIN: Final = {"authorization": f"Bearer {ADMIN_KEY}"}
MODEL: Final = "gpt-test"
PRICE: Final = 5 * 1_000 + 5 * 2_000  # nano-dollars of five tokens in and five out
_PRICING: Final = f"- {{provider: openai, model: {MODEL}, from: 2026-01-01, input: 1, output: 2}}\n"
_READY: Final = re.compile(r"(http://127\.0\.0\.1:\d+)|Junto works: (\w+)")
_JUNTO: Final = ("-c", "from junto.cli.main import run; run()")
_STOP_SECONDS: Final = 60.0


def answer(seconds: float) -> Scripted:
    """Five words that take about so long."""
    return Scripted(text="five words are enough here", usage=Usage(input=5, output=5), gap=seconds / 4)


class Node:
    """One life of one process."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str], directory: Path) -> None:
        self.name = name
        self.id = ""  # of a worker, as the database knows it
        self.url = ""  # of what serves
        self.ended_ms = 0  # by the wall clock
        self._log = directory / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ, cwd=directory
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_ready(self) -> bool:
        """It lives, and works."""
        return bool(self.url or self.id) and self._process.poll() is None

    def ready(self) -> Self:
        """Wait until it works; raises AssertionError when it does not begin to."""
        until(lambda: self.is_ready or self._process.poll() is not None, START_SECONDS)
        assert self.is_ready, self._log.read_text()[-2000:]
        return self

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.ended_ms = time.time_ns() // 1_000_000
        self._process.kill()
        self._end()

    def stop(self) -> int:
        """SIGTERM, and its exit status; one that does not end is killed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._end()

    def _end(self) -> None:
        self._process.wait(START_SECONDS)
        self._reader.join(START_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := _READY.search(line):
                self.url, self.id = self.url or found[1] or "", self.id or found[2] or ""


class Cluster:
    """The processes; leaving the block stops them in order. `lease` (seconds) is for workers with one of their own length."""

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str,
        upstream_url: str,
        redis_url: str | None = None,
        concurrency: int = 4,
        lease: float | None = None,
    ) -> None:
        self._directory = directory
        self._lease = lease
        self._nodes: dict[str, Node] = {}
        self.dead: list[Node] = []  # those that were killed
        config = {
            "builtin_model": "off",
            "auth": {"mode": "keys"},
            "database_url": database_url,
            "logging": {"level": "warning"},
            "backends": [
                {"name": "up", "provider": "openai", "url": upstream_url, "models": [MODEL], "locality": "cloud"}
            ],
            "jobs": {"concurrency": concurrency, "worker": "off"},
            **({"redis_url": redis_url} if redis_url else {}),
        }
        self._config = directory / "junto.yaml"
        self._config.write_text(json.dumps(config))
        (directory / "pricing.yaml").write_text(_PRICING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
        for node in self._nodes.values():
            node.kill()

    def stop(self) -> None:
        """End all in order: workers, then what serves."""
        for name in sorted(self._nodes, reverse=True):
            assert self._nodes[name].stop() == 0
            del self._nodes[name]

    @property
    def workers(self) -> list[Node]:
        """The workers that live, ready or not."""
        return [node for node in self._nodes.values() if node.name.startswith("worker")]

    @property
    def urls(self) -> list[str]:
        """Where is served now."""
        return [node.url for node in tuple(self._nodes.values()) if node.url]

    def serve(self, name: str = "serve-0") -> Node:
        """Start a `junto serve`."""
        return self._start(name, [*_JUNTO, "serve", "--port", "0"])

    def worker(self, name: str) -> Node:
        """Start a `junto worker`."""
        if self._lease is None:
            return self._start(name, [*_JUNTO, "worker"])
        return self._start(name, ["-m", "tests.chaos.dispatch.quick_worker", "--lease", str(self._lease)])

    def kill(self, node: Node) -> Node:
        """End it as kill -9 does, and start the next life of it."""
        del self._nodes[node.name]
        node.kill()
        self.dead.append(node)
        return self.start(node.name)

    def restart(self, node: Node) -> Node:
        """Stop it in order, and start the next life of it; raises AssertionError when it does not end well."""
        del self._nodes[node.name]
        assert node.stop() == 0
        return self.start(node.name)

    def start(self, name: str) -> Node:
        """Start what the name begins with."""
        return self.worker(name) if name.startswith("worker") else self.serve(name)

    def node(self, name: str) -> Node:
        """The present life of a process."""
        return self._nodes[name]

    def client(self, name: str, **fields: Any) -> str:
        """Make a client; its key."""
        made = httpx2.post(
            f"{self.urls[0]}/clients", json={"name": name, **fields}, headers=ADMIN, timeout=30, trust_env=False
        )
        return str(made.raise_for_status().json()["api_key"])

    def _start(self, name: str, words: list[str]) -> Node:
        data_dir = self._directory / name
        environ = {
            "HOME": str(self._directory),
            "JUNTO_ADMIN_KEY": ADMIN_KEY,
            "JUNTO_SECRETS_KEY": "a-secret-of-the-tests-only-0123456789",
            "OPENAI_API_KEY": "sk-of-the-tests",
            "OLLAMA_HOST": "http://127.0.0.1:9",
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, sys.path)]),
        }
        command = [sys.executable, *words, "--config", str(self._config), "--data-dir", str(data_dir)]
        node = self._nodes[name] = Node(name, command, environ, self._directory)
        return node
