"""`junto serve`: load the configuration, start, and say how to use it."""

from __future__ import annotations

import asyncio
import gc
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from junto.cli.configuration import load_or_exit, read, warnings_of
from junto.cli.options import ConfigOption, usual_model
from junto.cli.output import fail

if TYPE_CHECKING:
    from junto.bootstrap.build import Services
    from junto.settings.model import Settings

_QUESTION = '{"model": "%s", "messages": [{"role": "user", "content": "What is the capital of France?"}]}'


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 lets the system choose.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the journal and the database live.")] = None,
    workers: Annotated[int | None, typer.Option(help="1: for more processes, start it several times.")] = None,
) -> None:
    """Start Junto."""
    gc.disable()  # until serving has settled: all that is loaded meanwhile stays, and looking it through takes a tenth of the start
    from junto.settings.model import ServeOptions

    options = ServeOptions(host=host, port=port, data_dir=data_dir, workers=workers)
    settings = load_or_exit(config, options)
    _run(settings, partial(read, config, options))


def _run(settings: Settings, read_settings: partial[Settings]) -> None:
    import structlog
    import uvloop

    from junto.bootstrap.serving import serve as serve_forever
    from junto.core.document import ConfigErrors
    from junto.core.errors import Overloaded
    from junto.storage.away import why
    from junto.storage.lock import DataDirInUse
    from junto.storage.schema import SchemaError
    from junto.telemetry.logging import configure

    configure(settings.logging.level, settings.logging.format, sys.stderr)
    for warning in warnings_of(settings):
        structlog.get_logger().warning("configuration", message=warning)
    work = serve_forever(settings, read_settings=read_settings, on_ready=_say_hello)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except (DataDirInUse, SchemaError, ConfigErrors) as refused:
        fail(str(refused))
    except Overloaded as away:
        fail(f"The database does not answer: {why(away)}")
    except OSError as error:
        fail(f"Junto cannot use its data directory {settings.data_dir.absolute()}: {error}")
    except SystemExit:  # uvicorn's word for an address that cannot be had; it has logged why
        where = f"{settings.server.host}:{settings.server.port}"
        fail(f"Junto cannot listen on {where}: is another program there? Choose another port with --port.")


def _say_hello(services: Services, address: str) -> None:
    """The first screen: where, the key (once), and a line to paste."""
    lines = ["", f"Junto is at {address}  (OpenAI: {address}/v1, Ollama and Anthropic: {address})"]
    if services.new_admin_key is not None:
        lines.append(f"Admin key, shown this once: {services.new_admin_key}")
    snapshot = services.operation.current.runtime.snapshot
    if snapshot.deployments:
        model = usual_model([entry.name for entry in snapshot.listing()])
        needs_key = services.operation.settings.auth.mode == "keys"
        lines += ["", *line_to_paste(address, model, needs_key=needs_key)]
    else:
        lines += ["", "No model was found yet: `junto doctor` says what is missing."]
    print("\n".join([*lines, ""]), flush=True)
    services.keep_admin_key()


def line_to_paste(address: str, model: str, *, needs_key: bool) -> list[str]:
    """What a newcomer pastes into a shell to get a first answer, with a heading; for `keys` mode it sends $JUNTO_KEY."""
    lines = [
        "Try it:",
        f"  curl {address}/v1/chat/completions -H 'content-type: application/json' \\",
        f"    -d '{_QUESTION % model}'",
    ]
    if needs_key:  # callers have keys of their own; the admin key gives them out
        lines[0] = "Try it, with a key from `junto clients create NAME` in JUNTO_KEY:"
        lines[1:2] = [lines[1], '    -H "authorization: Bearer $JUNTO_KEY" \\']
    return lines
