"""The commands of `junto`, assembled. Modules of commands import what is heavy when they are called."""

from __future__ import annotations

from typing import Annotated

import typer

from junto.cli.agents import app as agents
from junto.cli.chat import chat
from junto.cli.clients import app as clients
from junto.cli.config import app as config
from junto.cli.council import council
from junto.cli.datasets import app as datasets
from junto.cli.doctor import doctor
from junto.cli.eval import app as eval_
from junto.cli.jobs import app as jobs
from junto.cli.migrate import migrate
from junto.cli.models import models
from junto.cli.prompts import app as prompts
from junto.cli.responses import app as responses
from junto.cli.route import app as route
from junto.cli.routing import app as routing
from junto.cli.say import say
from junto.cli.seed import seed
from junto.cli.serve import serve
from junto.cli.tenants import app as tenants
from junto.cli.version import tell_version, version
from junto.cli.worker import worker

app = typer.Typer(
    name="junto",
    help="One door to every model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it draws pages; a plain traceback is easier to send
)
app.command()(serve)
app.command()(worker)
app.command()(migrate)
app.command()(seed)
app.command()(chat)
app.command()(council)
app.command()(say)
app.command()(models)
app.add_typer(route)
app.add_typer(routing)
app.add_typer(prompts)
app.add_typer(agents)
app.add_typer(clients)
app.add_typer(tenants)
app.add_typer(jobs)
app.add_typer(eval_)
app.add_typer(datasets)
app.add_typer(config)
app.add_typer(responses)
app.command()(doctor)
app.command()(version)


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=tell_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """One door to every model."""


def run() -> None:
    """The entry point of the `junto` command."""
    app()
