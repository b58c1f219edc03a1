"""A real Junto for flow tests: the same build and the same server as `junto serve`, on a thread of its own, any free port."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

import msgspec
import uvicorn

from junto.bootstrap.build import Services, build
from junto.bootstrap.known import known_providers
from junto.settings.load import parse
from junto.settings.model import ServeOptions
from junto.web.server import JuntoProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ADMIN_KEY = "jt_a-key-for-tests-only-0123456789"
_START_SECONDS = 30.0


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """A thread gets no signals."""


class RunningJunto:
    """`with RunningJunto(tmp_path, {"backends": [...]}) as junto:` serves at `junto.url`.

    Nothing is taken from the environment of the test run. `services` is the running Junto itself, for looking inside.
    """

    def __init__(
        self, data_dir: Path, config: dict[str, Any] | None = None, *, environ: dict[str, str] | None = None
    ) -> None:
        self._config = {"builtin_model": "off", "logging": {"level": "error"}, **(config or {})}
        self._data_dir = data_dir
        self._environ = {"JUNTO_ADMIN_KEY": ADMIN_KEY, "OLLAMA_HOST": "http://127.0.0.1:9", **(environ or {})}
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="junto", daemon=True)
        self.services: Services
        self.url = ""
        self.port = 0

    @property
    def admin(self) -> dict[str, str]:
        """The headers of the administrator."""
        return {"authorization": f"Bearer {ADMIN_KEY}"}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError("Junto did not start")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        if self._failure is not None:
            raise self._failure

    def call[T](self, work: Callable[[], T]) -> T:
        """Run a function on Junto's own loop and give back what it returns."""

        async def run() -> T:
            return work()

        return self.run(run())

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on Junto's own loop."""
        if self._loop is None:
            raise RuntimeError("not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    def beat(self) -> None:
        """Let every backend be probed now."""

        async def now() -> None:
            for backend in self.services.heartbeats.backends.values():
                backend.due = 0.0
            await self.services.heartbeats.beat()

        self.run(now())

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  told to the test's own thread
            self._failure = failure
        finally:
            self._started.set()

    async def _serve(self) -> None:
        text = msgspec.yaml.encode(self._config).decode()
        options = ServeOptions(port=0, data_dir=self._data_dir)
        settings = parse(text, self._environ, options, known_providers=known_providers())
        async with build(settings) as services:
            self.services = services
            config = uvicorn.Config(
                services.app, port=0, http=JuntoProtocol, ws="none", lifespan="off", log_config=None, access_log=False
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110  uvicorn tells nobody
                await asyncio.sleep(0.002)
            self.port = server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            self._started.set()
            await self._stop.wait()
            server.should_exit = True
            await serving
