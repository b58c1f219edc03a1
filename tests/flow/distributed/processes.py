"""Real processes of Junto, `junto serve` and `junto worker`, as an operator starts them: by command line and environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Self

import httpx2
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ADMIN_KEY = "jt_an-admin-key-for-tests-only-0123456789"
SECRETS_KEY = "a-secrets-key-for-tests-only-0123456789"
JUNTO = [sys.executable, "-c", "from junto.cli.main import run; run()"]
PATIENCE = 10.0
"""Seconds that a test waits for what is promised within one: it must come to pass, and a busy machine may take its time."""
_START_SECONDS = 60.0
_STOP_SECONDS = 40.0


def until[T](holds: Callable[..., T], *given: object, seconds: float = PATIENCE) -> T:
    """Wait until it holds of what is given, and give back what it was; raises AssertionError when it does not come to pass."""
    deadline = time.monotonic() + seconds
    while not (value := holds(*given)):
        assert time.monotonic() < deadline, f"it did not come to pass within {seconds} s"
        time.sleep(0.02)
    return value


def environment(**more: str) -> dict[str, str]:
    """What a process sees: nothing of the test run's own but where programs and modules are."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    keys = {"JUNTO_ADMIN_KEY": ADMIN_KEY, "JUNTO_SECRETS_KEY": SECRETS_KEY, "OLLAMA_HOST": "http://127.0.0.1:9"}
    return {**kept, **keys, **more}


class Process:
    """One command that runs until the block is left; `log` is what it said on standard error, line by line."""

    def __init__(self, words: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._command = [*JUNTO, *words]
        self._folder = folder
        self._environ = environ
        self._process: subprocess.Popen[str]
        self._readers: list[threading.Thread] = []
        self.said: list[str] = []
        self.log: list[str] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for stream, lines in ((self._process.stdout, self.said), (self._process.stderr, self.log)):
            reader = threading.Thread(target=_read, args=(stream, lines), daemon=True)
            reader.start()
            self._readers.append(reader)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Told to stop, it stops, and says that all was well."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_SECONDS)
            assert kind is not None or code == 0, "\n".join(self.log)
        finally:
            self._process.kill()
            self._process.wait()
            for reader in self._readers:
                reader.join()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_socket(self, port: int) -> bool:
        """Whether one of its connections comes from that port of this machine."""
        return any(one.laddr[1:] == (port,) for one in psutil.Process(self.pid).net_connections("tcp"))

    def said_line(self, beginning: str) -> str:
        """The first line on standard output that begins so, as soon as it is there."""

        def found() -> str:
            assert self._process.poll() is None, "\n".join(self.log)
            return next((line for line in self.said if line.startswith(beginning)), "")

        return until(found, seconds=_START_SECONDS)

    def logged(self, event: str) -> dict[str, Any]:
        """The first line of the log about that event, as soon as it is there."""

        def found() -> dict[str, Any]:
            assert self._process.poll() is None, "\n".join(self.log)
            return next((line for line in map(_parsed, self.log) if line.get("event") == event), {})

        return until(found, seconds=_START_SECONDS)


class Serve(Process):
    """`junto serve`; `http` speaks to it once `ready` came back."""

    def __init__(self, folder: Path, config: Path, environ: dict[str, str]) -> None:
        words = ["serve", "--config", str(config), "--data-dir", str(folder), "--port", "0"]
        super().__init__(words, folder, environ)
        self.http: httpx2.Client

    def ready(self) -> Self:
        url = self.said_line("Junto is at ").split()[3]
        self.http = httpx2.Client(base_url=url, timeout=30, verify=False, headers={"connection": "keep-alive"})
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if hasattr(self, "http"):
            self.http.close()
        super().__exit__(kind)

    def admin(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        """Ask as the administrator."""
        return self.http.request(method, path, json=body, headers={"authorization": f"Bearer {ADMIN_KEY}"}, **more)

    def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of what the administrator asked for; raises unless it was done."""
        return self.admin(method, path, body, **more).raise_for_status().json()


class Worker(Process):
    """`junto worker` with its metrics on a port of the system's choice."""

    def __init__(self, folder: Path, config: Path, environ: dict[str, str]) -> None:
        words = ["worker", "--config", str(config), "--data-dir", str(folder), "--metrics-port", "0"]
        super().__init__(words, folder, environ)
        self.metrics_port = 0

    def ready(self) -> Self:
        self.said_line("Junto works: ")
        self.metrics_port = int(self.logged("metrics_listening")["port"])
        return self

    def metrics(self) -> str:
        """What it tells scrapers."""
        return httpx2.get(f"http://127.0.0.1:{self.metrics_port}/metrics", verify=False).raise_for_status().text


def _read(stream: IO[str], lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in iter(stream.readline, ""))


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
