"""A real Junto for flow tests: the same build and the same server as `junto serve`, on a thread of its own, any free port."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import httpx2
import msgspec
import uvicorn

from junto.bootstrap.build import Services, build
from junto.bootstrap.known import known_providers
from junto.settings.load import load
from junto.settings.model import ServeOptions
from junto.web.server import JuntoProtocol, sweep_slow_callers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from junto.settings.model import Settings

ADMIN_KEY = "jt_a-key-for-tests-only-0123456789"
_START_SECONDS = 30.0
_SWEEP_SECONDS = 0.05


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """A thread gets no signals."""


class RunningJunto:
    """`with RunningJunto(tmp_path, {"backends": [...]}) as junto:` serves at `junto.url`.

    Nothing is taken from the environment of the test run. The configuration lies in a file, and so does `pricing`, the text
    of a pricing.yaml. `building` goes to `build`. `http` is a plain client, `services` is the running Junto itself, for looking inside.
    """

    def __init__(
        self,
        data_dir: Path,
        config: dict[str, Any] | None = None,
        *,
        environ: dict[str, str] | None = None,
        pricing: str | None = None,
        protocol: type[JuntoProtocol] = JuntoProtocol,
        **building: Any,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.config_file = data_dir / "junto.yaml"
        self.configure(config or {})
        if pricing is not None:
            (data_dir / "pricing.yaml").write_text(pricing)
        self._data_dir = data_dir
        self._protocol = protocol
        self._building = building
        self._environ = {"JUNTO_ADMIN_KEY": ADMIN_KEY, "OLLAMA_HOST": "http://127.0.0.1:9", **(environ or {})}
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="junto", daemon=True)
        self.services: Services
        self.http: httpx2.Client
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
        self.http = httpx2.Client(
            base_url=self.url, timeout=30, verify=False
        )  # without certificates it is made quickly
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "http"):
            self.http.close()
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        gc.unfreeze()  # a process that serves keeps its Junto for good (web/on_demand.py); one that tests has many
        if self._failure is not None:
            raise self._failure

    def configure(self, config: dict[str, Any] | str) -> None:
        """Write the configuration file anew: values on top of what suits tests, or a text as it is."""
        if not isinstance(config, str):
            standing = {"builtin_model": "off", "logging": {"level": "error"}}
            config = msgspec.yaml.encode({**standing, **config}).decode()
        self.config_file.write_text(config)

    def get(self, path: str, **query: Any) -> Any:
        """Ask the control plane as the administrator and give back the JSON of a 200."""
        return self.http.get(path, params=query, headers=self.admin).raise_for_status().json()

    def recorded(self, count: int = 1, **query: Any) -> list[dict[str, Any]]:
        """Wait until exactly so many exchanges are stored that match, and give them back, newest first."""
        deadline = time.monotonic() + 5
        while True:
            found: list[dict[str, Any]] = self.get("/admin/responses", **query)["responses"]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count, found
                return found
            time.sleep(0.02)

    @property
    def busy(self) -> int:
        """How much is under way or waiting: attempts, slots in use, places in queues, each counted on its own."""

        def count() -> int:
            deployments = self.services.operation.current.runtime.snapshot.deployments
            lives = {id(each.backend_live): each.backend_live for each in deployments}.values()
            at_backends = sum(live.in_flight + live.in_use + live.queued + live.retries_in_flight for live in lives)
            return at_backends + sum(each.live.in_flight for each in deployments)

        return self.call(count)

    def falls_idle(self, within: float = 5.0) -> bool:
        """Wait until nothing is under way any more; False when that takes longer."""
        deadline = time.monotonic() + within
        while self.busy and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.busy

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

    def _settings(self) -> Settings:
        options = ServeOptions(port=0, data_dir=self._data_dir)
        return load(self.config_file, self._environ, options, known_providers=known_providers())

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  told to the test's own thread
            self._failure = failure
        finally:
            self._started.set()

    async def _serve(self) -> None:
        async with build(self._settings(), read_settings=self._settings, **self._building) as services:
            self.services = services
            config = uvicorn.Config(
                services.app, port=0, http=self._protocol, ws="none", lifespan="off", log_config=None, access_log=False
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve())
            sweep = sweep_slow_callers(server.server_state.connections, every=_SWEEP_SECONDS)
            sweeping = asyncio.create_task(sweep)
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
            sweeping.cancel()
