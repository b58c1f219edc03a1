"""A worker: the same process as `junto serve` without its doors. Takes jobs until it is told to stop, and gives back what is left.

SIGTERM or SIGINT: claim no more, let what runs end within the grace period, give the rest back at once. The second one does not
wait. SIGHUP: reload.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from junto.bootstrap.agent_jobs import open_handler
from junto.bootstrap.clock import SystemClock
from junto.bootstrap.evals import open_evals
from junto.bootstrap.jobs import JobOptions, JobParts, open_jobs
from junto.bootstrap.node import Given, Node, open_node
from junto.bootstrap.speech import SpeechOptions, open_speech
from junto.core.errors import JuntoError
from junto.gateway.slots import SlotPool
from junto.telemetry.exposition import MetricsListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from junto.ports.provider import Provider
    from junto.settings.model import BackendSettings, Settings


class MetricsRefused(RuntimeError):
    """The address for the worker's own metrics cannot be had; the message says what to do."""


@asynccontextmanager
async def build_worker(
    settings: Settings,
    *,
    read_settings: Callable[[], Settings] | None = None,
    make_provider: Callable[[BackendSettings], Provider] | None = None,
    beat: bool = True,
    jitter: Callable[[], float] = random.random,
    options: JobOptions | None = None,
    speech_options: SpeechOptions | None = None,
) -> AsyncIterator[tuple[Node, JobParts]]:
    """A running worker; leaving the block stops it in order."""
    given = Given(
        read_settings=read_settings or (lambda: settings),
        clock=SystemClock(),
        make_provider=make_provider,
        make_slots=SlotPool,
        jitter=jitter,
    )
    async with AsyncExitStack() as stack:
        node = await open_node(settings, given, stack)
        stack.push_async_callback(node.replicas.stop)
        await node.replicas.start()
        await node.operation.start(beat=beat)
        stack.push_async_callback(node.operation.stop)
        speech = open_speech(settings, given, node, stack, speech_options)
        parts = await open_jobs(
            settings,
            given,
            node,
            stack,
            routes=lambda: node.routing.routes.table,
            prompts=node.prompts.shelf,
            works=True,
            speech=speech.room,
            options=options,
        )
        await open_evals(settings, given, node, stack)
        open_handler(settings, node, parts, stack, {})  # what a server that is gone has accepted is answered here too
        yield node, parts


async def work(
    settings: Settings,
    *,
    read_settings: Callable[[], Settings],
    on_ready: Callable[[Node], None],
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    options: JobOptions | None = None,
) -> None:
    """Work until SIGINT or SIGTERM; raises MetricsRefused where the metrics' port cannot be had."""
    async with build_worker(settings, read_settings=read_settings, options=options) as (node, parts):
        listener = await metrics_listener(node, metrics_host, metrics_port)
        try:
            stopped = asyncio.Event()
            background: set[asyncio.Task[None]] = set()
            _listen_to_signals(node, parts, stopped, background)
            on_ready(node)
            await stopped.wait()
            structlog.get_logger().info("worker_stops", running=len(parts.runs))
        finally:
            if listener is not None:
                await listener.stop()


async def metrics_listener(node: Node, host: str, port: int | None) -> MetricsListener | None:
    """What answers scrapers at that address, where one is given; raises MetricsRefused."""
    if port is None or node.observing.scrape is None:
        return None
    listener = MetricsListener(node.observing.scrape, host=host, port=port)
    try:
        await listener.start()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise MetricsRefused(
            f"The worker cannot serve its metrics at {host}:{port} ({why}): is another worker there?"
            " Choose another address with --metrics-port and --metrics-host, or leave them out."
        ) from error
    return listener


def _listen_to_signals(
    node: Node, parts: JobParts, stopped: asyncio.Event, background: set[asyncio.Task[None]]
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopped.is_set():
            _in_background(parts.runs.stop(grace=0), background)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: _in_background(_reload(node), background))


def _in_background(work: Coroutine[object, object, None], background: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(work)
    background.add(task)
    task.add_done_callback(background.discard)


async def _reload(node: Node) -> None:
    """Reload; what was wrong is in the log, and what was in force stays."""
    try:
        await node.operation.reload()
    except JuntoError:
        return
    except Exception:  # noqa: BLE001  a configuration must not end the worker
        structlog.get_logger().exception("reload_failed")
