"""`junto serve`: load the configuration, start, and say how to use it."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from junto.cli.configuration import load_or_exit, read

if TYPE_CHECKING:
    from junto.bootstrap.build import Services
    from junto.settings.model import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="junto.yaml; without one, the defaults apply.", envvar="JUNTO_CONFIG")
]


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 lets the system choose.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the journal and the database live.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; more than one needs database_url.")] = None,
) -> None:
    """Start Junto."""
    from junto.settings.model import ServeOptions  # noqa: PLC0415  the command line starts fast

    options = ServeOptions(host=host, port=port, data_dir=data_dir, workers=workers)
    settings = load_or_exit(config, options)
    _run(settings, partial(read, config, options))


def _run(settings: Settings, read_settings: partial[Settings]) -> None:
    import uvloop  # noqa: PLC0415

    from junto.bootstrap.serving import serve as serve_forever  # noqa: PLC0415
    from junto.storage.lock import DataDirInUse  # noqa: PLC0415
    from junto.telemetry.logging import configure  # noqa: PLC0415

    configure(settings.logging.level, settings.logging.format, sys.stderr)
    work = serve_forever(settings, read_settings=read_settings, on_ready=_say_hello)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except DataDirInUse as refused:
        _fail(str(refused))
    except SystemExit:  # uvicorn's word for an address that cannot be had; it has logged why
        _fail(f"Could not listen on {settings.server.host}:{settings.server.port}: is another program there?")


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg=typer.colors.RED, err=True)
    raise typer.Exit(1)


def _say_hello(services: Services, address: str) -> None:
    """The first screen: where, the key (once), and a line to paste."""
    lines = ["", f"Junto is at {address}  (OpenAI: {address}/v1, Ollama and Anthropic: {address})"]
    if services.new_admin_key is not None:
        lines += [f"Admin key, shown this once: {services.new_admin_key}"]
    question = '{"model": "fast", "messages": [{"role": "user", "content": "Why is the sky blue? One sentence."}]}'
    lines += [
        "",
        "Try it:",
        f"  curl {address}/v1/chat/completions -H 'content-type: application/json' \\",
        f"    -d '{question}'",
        "",
    ]
    print("\n".join(lines), flush=True)
