"""`junto eval`: evidence about models. Each command is in a module of its own, which reads what it needs when it is called."""

from __future__ import annotations

import typer

from junto.cli.eval_compare import compare, shadows
from junto.cli.eval_judge import judge
from junto.cli.eval_proposals import app as proposals
from junto.cli.eval_review import review
from junto.cli.eval_run import run

app = typer.Typer(name="eval", help="Find out which model is good enough for a task.", no_args_is_help=True)
app.command()(run)
app.command()(compare)
app.command()(review)
app.command()(judge)
app.command()(shadows)
app.add_typer(proposals)


@app.callback()
def eval_() -> None:
    """Find out which model is good enough for a task."""
