"""llama.cpp's own server as a child process, for tests with a real model.

Run as a module it is that child: it serves until its standard input closes, so that it cannot outlive the test that
started it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 30.0


class LlamaServer:
    """A running server; `url` is its root, `base_url` what OpenAI's clients want."""

    def __init__(self, model: Path, port: int, *, embeddings: bool = False) -> None:
        self.model = model
        self.port = port
        self._embeddings = embeddings
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's root address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The address that OpenAI's clients want."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._child is not None, "not running"
        return self._child.pid

    def start(self) -> Self:
        """Start the child and wait until it is healthy; RuntimeError where it does not come up in 30 s."""
        given = {"model": str(self.model), "port": self.port, "embeddings": self._embeddings}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.upstreams.llama_server", json.dumps(given)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.healthy():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"llama.cpp's server did not start with {self.model}")
            time.sleep(0.01)
        return self

    def healthy(self) -> bool:
        """Tell whether the server answers and has its model loaded."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End the child at once, as a crash would."""
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
            self.stop()

    def stop(self) -> None:
        """End the child and wait for it; safe to call twice."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def __enter__(self) -> Self:
        return self if self._child is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_llama_server(model: Path, port: int = 0, *, embeddings: bool = False) -> LlamaServer:
    """Start a server for a GGUF file; with port 0 on a free one. Use the result in a `with`."""
    return LlamaServer(model, port or free_port(), embeddings=embeddings).start()


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve(model: str, port: int, *, embeddings: bool) -> None:
    """Be the child: serve until standard input closes."""
    import xllamacpp  # noqa: PLC0415 - only the child needs the engine

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = 4
    params.n_ctx = 8192
    params.cpuparams.n_threads = 1
    params.verbosity = 0
    params.endpoint_metrics = True
    params.cache_ram_mib = 0
    params.embedding = embeddings
    server = xllamacpp.Server(params)
    sys.stdin.buffer.read()
    del server


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
