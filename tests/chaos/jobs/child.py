"""A process of Junto that dies or stops at a point. Run as `python -m tests.chaos.jobs.child`, with JSON as its argument.

Points are put around the stores and into the scripted provider, and effects (a commit, a hint published, a byte from upstream, a
write to a file) are counted, by this test's own build: production code has none of it. It prints `ready URL` (or `ready -`),
`refused` for each end that the fence turned away, `armed` and `dies at EFFECT`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn

from junto.bootstrap.build import build
from junto.bootstrap.jobs import JobOptions, JobStores
from junto.bootstrap.known import known_providers
from junto.bootstrap.worker import build_worker
from junto.coordination.receiving import TaskiqQueue
from junto.providers.fake import Fake, FakeReply, Step, saying
from junto.settings.load import load
from junto.settings.model import ServeOptions
from junto.storage.sessions import Sessions
from junto.web.server import JuntoProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Buffer, Sequence

    from junto.core.events import Event
    from junto.ports.provider import Call, Clearance, Reply
    from junto.settings.model import BackendSettings, Settings
    from junto.storage.sessions import Scope, Session

PRICING = "- {provider: fake, model: cloud-model, from: 2026-01-01, input: 1, output: 2}\n"
WORDS = "five words are enough here"


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Orders(msgspec.Struct, kw_only=True):
    """What the child is told."""

    data_dir: str
    works_only: bool = False
    database_url: str | None = None
    die_at: str = ""  # exit(137) there
    die_after: int = 0  # exit(137) at that effect after SIGUSR1
    stop_at: str = ""  # SIGSTOP there, the first time
    stop_each: int = 0  # or each time that it was reached so often
    pause: float = 0.01  # of the provider, before each of its seven events
    lease: float = 1.0
    grace: float = 5.0
    concurrency: int = 4


class Points:
    """The named points of this process."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._reached = 0
        self._effects = 0
        self._is_armed = False

    def reach(self, name: str) -> None:
        """Be at that point."""
        if name == self._orders.die_at:
            os._exit(137)
        if name == self._orders.stop_at:
            self._reached += 1
            each = self._orders.stop_each
            if self._reached % each == 0 if each else self._reached == 1:
                os.kill(os.getpid(), signal.SIGSTOP)

    def arm(self) -> None:
        """Count effects from here on."""
        self._is_armed = True
        say("armed")

    def effect(self, name: str) -> None:
        """Have, or be about to have, that effect."""
        if self._is_armed:
            self._effects += 1
            if self._effects == self._orders.die_after:
                say(f"dies at {name}")
                os._exit(137)


class Around:
    """A store, or a ledger, with a point before and after each of its methods."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        self._points.reach(f"before {name}")
        result = await getattr(self._inner, name)(*arguments, **options)
        self._points.reach(f"after {name}")
        if name == "finish" and result is None:
            say("refused")
        return result


def around(points: Points, stores: JobStores) -> JobStores:
    for store in (stores.jobs, stores.work, stores.sweep):
        inside: Any = store
        inside._ledger = Around(inside._ledger, points)  # in the middle of the transactions that end jobs
    return JobStores(
        jobs=Around(stores.jobs, points), work=Around(stores.work, points), sweep=Around(stores.sweep, points)
    )


def count_effects(points: Points) -> None:
    """Have every write transaction, hint and write to a file of this process pass the points."""
    write, publish, to_file = Sessions.write, TaskiqQueue.publish, os.write

    @asynccontextmanager
    async def pointed_write(sessions: Sessions, scope: Scope) -> AsyncIterator[Session]:
        async with write(sessions, scope) as session:
            yield session
            points.effect("before commit")
        points.effect("after commit")

    async def pointed_publish(queue: TaskiqQueue, tenant_id: str, job_id: str) -> bool:
        points.effect("before publish")
        published = await publish(queue, tenant_id, job_id)
        points.effect("after publish")
        return published

    def pointed_to_file(fd: int, data: Buffer) -> int:
        points.effect("before write")
        written = to_file(fd, data)
        points.effect("after write")
        return written

    Sessions.write = pointed_write  # type: ignore[assignment, method-assign]
    TaskiqQueue.publish = pointed_publish  # type: ignore[assignment, method-assign]
    os.write = pointed_to_file


class PointedReply(FakeReply):
    points: Points

    async def events(self) -> Sequence[Event]:
        if self.position == 3:
            self.points.reach("in the answer")
        self.points.effect(f"byte {self.position} from upstream")
        return await super().events()


class Pointed(Fake):
    """A scripted provider with a point at the beginning of a call and one in the middle of its answer."""

    points: Points

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        self.points.reach("upstream")
        self.points.effect("upstream call")
        reply = await super().open(clearance, call)
        assert isinstance(reply, FakeReply)
        pointed = PointedReply(reply.step)
        pointed.points = self.points
        return pointed


def provider(orders: Orders, points: Points, settings: BackendSettings) -> Fake:
    found = Pointed(settings.name, models=("cloud-model",), script=[Step(events=saying(WORDS), pause=orders.pause)])
    found.points = points
    return found


def settings_of(orders: Orders) -> Settings:
    data_dir = Path(orders.data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "pricing.yaml").write_text(PRICING)
    config = {
        "builtin_model": "off",
        "logging": {"level": "error"},
        "backends": [{"name": "cloud", "provider": "fake", "locality": "cloud", "models": ["cloud-model"]}],
        "jobs": {"concurrency": orders.concurrency, "worker": "on"},
        **({"database_url": orders.database_url} if orders.database_url else {}),
    }
    (data_dir / "junto.yaml").write_bytes(msgspec.json.encode(config))
    environ = {"JUNTO_ADMIN_KEY": "jt_a-key-for-tests-only-0123456789", "OLLAMA_HOST": "http://127.0.0.1:9"}
    options = ServeOptions(port=0, data_dir=data_dir)
    return load(data_dir / "junto.yaml", environ, options, known_providers=known_providers())


async def main(orders: Orders) -> None:
    points, settings = Points(orders), settings_of(orders)
    count_effects(points)
    options = JobOptions(lease=orders.lease, sweep=0.2, grace=orders.grace, around=partial(around, points))
    make = partial(provider, orders, points)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, points.arm)
    async with AsyncExitStack() as stack:
        if orders.works_only:
            await stack.enter_async_context(
                build_worker(settings, options=options, make_provider=make, jitter=lambda: 0.0)
            )
            say("ready -")
            await stopped.wait()
            return
        services = await stack.enter_async_context(
            build(settings, make_provider=make, jitter=lambda: 0.0, job_options=options)
        )
        config_of = uvicorn.Config(
            services.app, port=0, http=JuntoProtocol, ws="none", lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(config_of)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        say(f"ready http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
        await stopped.wait()
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Orders)))
