"""`junto eval proposals`: changes of routes that the evidence bears out, with that evidence; and what is missing for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.listing import ListsByDefault
from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import harmless, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(name="proposals", help="Routes that the evidence would change.", cls=ListsByDefault)

ProposalArgument = Annotated[str, typer.Argument(metavar="ID", help="As the list says it.")]
TaskOption = Annotated[str | None, typer.Option("--task", "-t", help="Only this task type.")]
_COLUMNS = ("proposal", "task", "status", "from", "to", "better by", "pairs", "saves", "decided by", "reason")
_NUMBERS = ("pairs", "saves")


@app.callback()
def proposals() -> None:
    """Routes that the evidence would change: `list` (the default), `show`, `accept`, `reject`; `candidates` says what is missing."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    task: TaskOption = None,
    status: Annotated[str | None, typer.Option(help="open, canary, accepted, rejected, superseded or stopped.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many, newest first.")] = 50,
    before: Annotated[str | None, typer.Option(help="Those older than the proposal with this id.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List proposals, newest first."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        page = junto.get("/eval/proposals", task_type=task, status=status, limit=limit, before=before)
    if as_json:
        print_json(page)
    elif not page["proposals"]:
        print("There is no proposal. `junto eval proposals candidates` says what is missing for one.")
    else:
        print_table(_COLUMNS, [_row(one) for one in page["proposals"]], numbers=_NUMBERS)
        if page["next"]:
            print(f"More: --before {page['next']}")


@app.command()
def show(
    context: typer.Context,
    proposal: ProposalArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a proposal with its evidence, condition by condition."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        one = junto.get(_path(proposal))
    if as_json:
        print_json(one)
        return
    _tell(one)
    _conditions(one["evidence"])


@app.command()
def candidates(
    context: typer.Context,
    *,
    task: TaskOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each route's candidates which conditions they meet, and what is missing."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get("/eval/candidates", task_type=task)["candidates"]
    if as_json:
        print_json(found)
    elif not found:
        print("No route has a candidate: those are its `shadow_models`.")
    else:
        for one in found:
            print(harmless(f"{one['task_type']}: {one['candidate']} in the place of {one['incumbent']}"))
            _conditions(one)
            if one["cleared"]:
                print("All is met: `junto eval proposals` has it within a minute.")


@app.command()
def accept(
    context: typer.Context,
    proposal: ProposalArgument,
    *,
    canary_share: Annotated[
        float | None, typer.Option(help="Let it answer that share of the requests first, above 0 up to 1.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the route, from the next request on; `junto routing rollback` undoes it."""
    from junto.cli.remote import given, junto_at

    with junto_at(context, url, key) as junto:
        one = junto.post(f"{_path(proposal)}/accept", given(canary_share=canary_share))
    if as_json:
        print_json(one)
    else:
        _tell(one)


@app.command()
def reject(
    context: typer.Context,
    proposal: ProposalArgument,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a proposal down; a canary of it ends, and the candidate begins anew."""
    from junto.cli.remote import given, junto_at

    with junto_at(context, url, key) as junto:
        one = junto.post(f"{_path(proposal)}/reject", given(reason=reason))
    if as_json:
        print_json(one)
    else:
        _tell(one)


def _path(proposal: str) -> str:
    from urllib.parse import quote

    return f"/eval/proposals/{quote(proposal, safe='')}"


def _tell(one: Mapping[str, Any]) -> None:
    version = f"; the route's version {one['new_version']}" if one["new_version"] else ""
    reason = f" {one['reason']}" if one["reason"] else ""
    change = f"{one['task_type']} from {one['incumbent']} to {one['candidate']}"
    print(harmless(f"{one['id']} is {one['status']}: {change}{version}.{reason}"))


def _conditions(evidence: Mapping[str, Any]) -> None:
    rows = [("yes" if one["met"] else "no", one["name"], one["reason"]) for one in evidence["conditions"]]
    print_table(("met", "condition", "why"), rows)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    from junto.cli.eval_compare import interval

    quality, saving = one["evidence"].get("quality"), (one["evidence"].get("cost") or {}).get("saving")
    return (
        one["id"],
        one["task_type"],
        one["status"],
        one["incumbent"],
        one["candidate"],
        "-" if quality is None else interval(quality["difference"], "mean"),
        "-" if quality is None else str(quality["pairs"]),
        "-" if saving is None else f"{saving:.0%}",
        one["decided_by"] or "-",
        one["reason"] or "-",
    )
