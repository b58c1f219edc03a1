"""`junto jobs`: what waits, runs and has ended, for the administrator of a running Junto."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import print_json, print_table, short_usd

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(name="jobs", help="List, show and cancel jobs.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id: job_...")]
_COLUMNS = ("job", "status", "task", "priority", "sensitivity", "model", "attempts", "tokens", "cost")


@app.callback()
def jobs() -> None:
    """List, show and cancel jobs."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    status: Annotated[str | None, typer.Option(help="pending, running, complete, failed or cancelled.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get("/jobs", status=status, task_type=task, limit=limit)["jobs"]
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(job) for job in found])
    else:
        print("There is no such job.")


@app.command()
def show(
    context: typer.Context,
    job: JobArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Show one job as it stands, with its attempts and webhooks."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        print_json(junto.get(f"/jobs/{job}"))


@app.command()
def cancel(
    context: typer.Context,
    job: JobArgument,
    *,
    force: Annotated[bool, typer.Option("--force", help="Cancel the upstream call of a running job.")] = False,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Cancel a job: at once while it is pending, with --force while it runs."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        cancelled = junto.delete(f"/jobs/{job}", force="true" if force else None)
    print(f"{cancelled['job_id']} is {cancelled['status']}.")


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    tokens = f"{job['tokens_in']} + {job['tokens_out']}" if "tokens_in" in job else ""
    return (
        job["job_id"],
        job["status"],
        job["task_type"],
        str(job["priority"]),
        job["sensitivity"],
        job.get("model_used", ""),
        str(job["attempts"]),
        tokens,
        short_usd(job["cost_usd"]) if "cost_usd" in job else "",
    )
