"""`junto agents`: a tenant's assistants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import fail, harmless, print_json, print_table

app = typer.Typer(name="agents", help="Make assistants that people talk to.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and -.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Its tenant, by name or id.")]
_COLUMNS = ("name", "called", "role", "state", "model", "floor", "channels", "kept for")
_SHOWN = 60


@app.callback()
def agents() -> None:
    """Make assistants that people talk to."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a tenant's agents."""
    from junto.cli.remote import all_pages, junto_at

    with junto_at(context, url, key) as junto:
        found = all_pages(junto, "/agents", "agents", tenant=tenant)
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(agent) for agent in found])
    else:
        print("There is no agent. `junto agents create NAME` makes one.")


@app.command()
def create(
    context: typer.Context,
    name: NameArgument,
    *,
    display_name: Annotated[str | None, typer.Option(help="What people know it by.")] = None,
    role: Annotated[str | None, typer.Option(help="What it is: `front desk of the museum`.")] = None,
    persona: Annotated[str | None, typer.Option(help="How it speaks.")] = None,
    instructions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with what it has to know and do, `-` standard input.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model or a group; `fast` if nothing is said.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="At least public, internal or confidential.")] = None,
    tools: Annotated[bool, typer.Option("--tools", help="It may use tools.")] = False,
    web: Annotated[bool, typer.Option("--web", help="It has a chat page.")] = False,
    visitors: Annotated[bool, typer.Option("--visitors", help="The page is for visitors too; implies --web.")] = False,
    slack: Annotated[bool, typer.Option("--slack", help="It answers in Slack.")] = False,
    retention_days: Annotated[int | None, typer.Option(min=1, help="How long conversations are kept.")] = None,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an agent: anybody who may use models asks it as `agent/NAME`."""
    from junto.cli.remote import given, junto_at

    channels: dict[str, Any] = {}
    if web or visitors:
        channels["web"] = {"enabled": True, "visitors": visitors}
    if slack:
        channels["slack"] = {"enabled": True}
    body = given(
        name=name,
        tenant=tenant,
        display_name=display_name,
        role=role,
        persona=persona,
        instructions=None if instructions is None else _read(instructions),
        model=model,
        sensitivity=sensitivity,
        tools=tools or None,
        channels=channels or None,
        retention_days=retention_days,
    )
    with junto_at(context, url, key) as junto:
        made = junto.post("/agents", body)
    if as_json:
        print_json(made)
    else:
        print(f"Made agent/{made['name']}. It answers in {_channels(made)}.")
        for warning in made.get("warnings", ()):
            typer.secho(f"warning: {harmless(warning)}", fg=typer.colors.YELLOW, err=True)


@app.command()
def show(
    context: typer.Context,
    name: NameArgument,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one agent, its words included."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        one = junto.get(_path(name), tenant=tenant)
    if as_json:
        print_json(one)
        return
    print_table(_COLUMNS, [_row(one)])
    for field in ("persona", "instructions"):
        if one[field]:
            print(f"{field}:\n{harmless(one[field])}\n")


@app.command()
def delete(
    context: typer.Context,
    name: NameArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Delete an agent with all its conversations. They cannot be had back."""
    from junto.cli.remote import junto_at

    if not yes and not typer.confirm(f"Delete agent/{name} with all its conversations?"):
        fail("Nothing was deleted.")
    with junto_at(context, url, key) as junto:
        gone = junto.delete(_path(name), tenant=tenant)
    print(f"Deleted agent/{gone['name']}.")


def _path(name: str) -> str:
    from urllib.parse import quote

    return f"/agents/{quote(name, safe='')}"


def _read(file: Path) -> str:
    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")).strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")


def _row(agent: dict[str, Any]) -> tuple[str, ...]:
    days = agent["retention_days"]
    return (
        agent["name"],
        agent["display_name"] or "-",
        agent["role"][:_SHOWN] or "-",
        "on" if agent["enabled"] else "off",
        agent["model"],
        agent["sensitivity"] or "-",
        _channels(agent),
        "ever" if days is None else f"{days} days",
    )


def _channels(agent: dict[str, Any]) -> str:
    channels = agent["channels"]
    web = "web, for visitors too" if channels["web"]["visitors"] else "web"
    on = [*([web] if channels["web"]["enabled"] else []), *(["slack"] if channels["slack"]["enabled"] else [])]
    return "; ".join(["api", *on])
