"""Runs a built Junto behind uvicorn: signals, watching the configuration file, shutting down in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvicorn

from junto.bootstrap.build import Services, build
from junto.bootstrap.watching import watch
from junto.core.errors import JuntoError
from junto.web.server import JuntoProtocol, sweep_slow_callers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from junto.settings.model import Settings

_BACKLOG = 2048
_COLLECT_AFTER = 20_000  # new objects; requests leave hardly any cycles behind
_GRACE_SECONDS = 30
_SWITCH_SECONDS = 0.0005
_KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """uvicorn's server, with its signals left to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    settings: Settings, *, read_settings: Callable[[], Settings], on_ready: Callable[[Services, str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is told the address once requests are taken."""
    async with build(settings, read_settings=read_settings) as services:
        _settle()
        server = Server(_config(services, settings))
        async with asyncio.TaskGroup() as tasks:
            _listen_to_signals(server, services, tasks)
            background = [
                tasks.create_task(sweep_slow_callers(server.server_state.connections)),
                tasks.create_task(watch(services.operation.settings, partial(_reload, services))),
                tasks.create_task(_tell_when_ready(server, services, on_ready)),
            ]
            await server.serve()
            for task in background:
                task.cancel()


def _settle() -> None:
    """Set the interpreter up for serving: a quiet collector, and a loop that gets the processor back from threads quickly.

    What was built lives as long as the process, so the collector need not walk over it again and again. Batches are stored
    by a thread; with the usual 5 ms between switches a request could wait that long behind it.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)
    gc.enable()  # the command had it off while it started


def _config(services: Services, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        services.app,
        host=settings.server.host,
        port=settings.server.port,
        http=JuntoProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _listen_to_signals(server: Server, services: Services, tasks: asyncio.TaskGroup) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.force_exit = server.should_exit  # the second signal does not wait for requests under way
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, lambda: tasks.create_task(_reload(services)))


async def _reload(services: Services) -> None:
    """Reload; what was wrong is in the log, and what was in force stays. Never raises: that would end the server."""
    try:
        await services.operation.reload()
    except JuntoError:
        return
    except Exception:  # noqa: BLE001
        structlog.get_logger().exception("reload_failed")


async def _tell_when_ready(server: Server, services: Services, on_ready: Callable[[Services, str], None]) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn tells nobody
        await asyncio.sleep(0.005)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    structlog.get_logger().info("listening", address=address)
    on_ready(services, address)
