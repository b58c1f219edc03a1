"""The commands of `junto`, assembled."""

from __future__ import annotations

import typer

from junto.cli.serve import serve

app = typer.Typer(name="junto", help="One door to every model.", no_args_is_help=True, add_completion=False)
app.command()(serve)


@app.callback()
def root() -> None:
    """One door to every model."""


def run() -> None:
    """The entry point of the `junto` command."""
    app()
