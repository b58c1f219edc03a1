"""`junto worker`: take jobs from the queue and run them, on any host that reaches the database."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from junto.cli.configuration import load_or_exit, read, warnings_of
from junto.cli.options import ConfigOption
from junto.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from junto.settings.model import Settings


def worker(
    config: ConfigOption = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where this worker's journal lives; its own.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Serve /metrics on this port.")] = None,
    metrics_host: Annotated[str, typer.Option(help="On this address; whoever reaches it may read.")] = "127.0.0.1",
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running jobs may take when it is stopped.")] = 25.0,
) -> None:
    """Run jobs; any number of workers share one database."""
    from junto.bootstrap.jobs import JobOptions
    from junto.bootstrap.worker import work
    from junto.settings.model import ServeOptions

    options = ServeOptions(data_dir=data_dir)
    settings = load_or_exit(config, options)
    if settings.database_url is None:
        fail("A worker needs database_url (DATABASE_URL): without it `junto serve` runs all jobs itself.")
    running = partial(
        work,
        settings,
        read_settings=partial(read, config, options),
        on_ready=lambda node: print(f"Junto works: {node.id}", flush=True),
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        options=JobOptions(grace=grace),
    )
    _run(settings, running)


def _run(settings: Settings, running: Callable[[], Coroutine[object, object, None]]) -> None:
    import structlog
    import uvloop

    from junto.bootstrap.worker import MetricsRefused
    from junto.core.document import ConfigErrors
    from junto.core.errors import Overloaded
    from junto.storage.away import why
    from junto.storage.lock import DataDirInUse
    from junto.storage.schema import SchemaError
    from junto.telemetry.logging import configure

    configure(settings.logging.level, settings.logging.format, sys.stderr)
    for warning in warnings_of(settings):
        structlog.get_logger().warning("configuration", message=warning)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(running())
    except (DataDirInUse, SchemaError, ConfigErrors, MetricsRefused) as refused:
        fail(str(refused))
    except Overloaded as away:
        fail(f"The database does not answer: {why(away)}")
    except OSError as error:
        fail(f"The worker cannot start: {error}")
