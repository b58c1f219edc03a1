"""`junto config check` and `junto config show`: what the configuration says, without starting anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from junto.cli.configuration import load_or_exit, warnings_of
from junto.cli.options import ConfigOption, JsonOption
from junto.cli.output import print_json, print_table

if TYPE_CHECKING:
    from junto.settings.model import Settings

app = typer.Typer(name="config", help="Look at the configuration.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Look at the configuration."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="junto.yaml; without one, as `junto serve` finds it.")] = None,
) -> None:
    """Say everything that is wrong, each with its path and line, and exit with 2; or that nothing is."""
    from junto.settings.model import ServeOptions

    settings = load_or_exit(file, ServeOptions())
    for warning in warnings_of(settings):
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    print(_summary(settings))


@app.command()
def show(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Print every setting in force and where it is from; secrets are masked."""
    from junto.cli.origins import flat, origins
    from junto.settings.model import ServeOptions

    settings = load_or_exit(config, ServeOptions())
    plain = settings.redacted()
    sources = origins(settings, plain, os.environ)
    if as_json:
        print_json({"settings": plain, "from": sources})
        return
    rows = [(path, _shown(value), sources[path]) for path, value in flat(plain)]
    print_table(("key", "value", "from"), rows)


def _summary(settings: Settings) -> str:
    file = settings.config_file or "No configuration file; the defaults and the environment"
    backends = ", ".join(f"{backend.name} ({backend.provider})" for backend in settings.backends) or "none configured"
    groups = ", ".join(settings.groups) or "fast, quality (made from what there is)"
    listening = f"{settings.server.host}:{settings.server.port}, auth {settings.auth.mode}"
    return f"{file}: all is well.\n  backends: {backends}\n  groups: {groups}\n  listens on: {listening}"


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case True | False:
            return str(value).lower()
        case _:
            return str(value)
