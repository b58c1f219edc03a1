"""`junto routing`: routes by task type, with their history. Where a request would go is `junto route explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import complain, fail, print_json, print_table

if TYPE_CHECKING:
    from junto.cli.remote import Junto

app = typer.Typer(name="routing", help="Say which model does which task.", no_args_is_help=True)

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="A task type.")]
_COLUMNS = ("task", "version", "model", "fallback", "sensitivity", "most tokens", "sampling", "notes")
_VERSIONS = ("version", "when", "by", "model", "fallback", "sensitivity", "shadows", "canary")
_WRITTEN = (
    "preferred_model",
    "fallback_model",
    "sensitivity",
    "max_tokens",
    "sampling",
    "shadow_models",
    "evidence",
    "canary",
    "notes",
)


@app.callback()
def routing() -> None:
    """Say which model does which task."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the routes in force."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get("/routing")["routes"]
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(route) for route in found])
    else:
        print("There is no route. `junto seed` makes a few, `junto routing set TASK` makes one.")


@app.command()
def get(
    context: typer.Context,
    task: TaskArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Show one route as JSON; `junto routing set TASK --file` takes it back."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        print_json(junto.get(_path(task)))


@app.command(name="set")
def set_(
    context: typer.Context,
    task: TaskArgument,
    *,
    model: Annotated[str | None, typer.Option(help="A model or a group.")] = None,
    fallback: Annotated[str | None, typer.Option(help="What follows; '' takes it away.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The most tokens of an answer.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Where a request says nothing of it.")] = None,
    notes: Annotated[str | None, typer.Option(help="A note for people.")] = None,
    file: Annotated[Path | None, typer.Option(help="A whole route as JSON or YAML, before the options.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make or change a route; what no option says stays as it is."""
    from junto.cli.remote import given, junto_at

    changes = given(preferred_model=model, sensitivity=sensitivity, max_tokens=max_tokens, notes=notes)
    if fallback is not None:
        changes["fallback_model"] = fallback or None
    read = None if file is None else _read(file)
    with junto_at(context, url, key) as junto:
        version, before = _now(junto, task)
        body = {**(before if read is None else read), **changes}
        if temperature is not None:
            body["sampling"] = {**(body.get("sampling") or {}), "temperature": temperature}
        if not {"preferred_model", "sensitivity"} <= set(body):
            fail("A new route needs --model and --sensitivity.")
        saved = junto.put(_path(task), {**body, "expected_version": version})
    _tell(saved, as_json=as_json)


@app.command()
def delete(
    context: typer.Context,
    task: TaskArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Delete a route; `junto routing rollback` brings it back."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        deleted = junto.delete(_path(task))
    print(f"The route of {task} is deleted; that is its version {deleted['version']}.")


@app.command()
def history(
    context: typer.Context,
    task: TaskArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the last hundred versions of a route, newest first."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get(f"{_path(task)}/history")["versions"]
    if as_json:
        print_json(found)
    else:
        print_table(_VERSIONS, [_version(one) for one in found], numbers=("version",))


@app.command()
def rollback(
    context: typer.Context,
    task: TaskArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to be in force again.")],
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an earlier version in force again, as a new one."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        saved = junto.post(f"{_path(task)}/rollback", {"version": version})
    _tell(saved, as_json=as_json)


def when(milliseconds: int) -> str:
    """A time as people read it."""
    import datetime as dt

    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _path(task: str) -> str:
    from urllib.parse import quote

    return f"/routing/{quote(task, safe='')}"


def _now(junto: Junto, task: str) -> tuple[int | None, dict[str, Any]]:
    """The version of a route and what is written in it; nothing where there is none."""
    from junto.cli.remote import RemoteError

    try:
        found = junto.get(_path(task))
    except RemoteError as refused:
        if refused.code != "not_found":
            raise
        return None, {}
    return found["version"], {name: found[name] for name in _WRITTEN if name in found}  # an older Junto says less


def _read(file: Path) -> dict[str, Any]:
    from junto.core.document import ConfigErrors, read

    try:
        value = read(file.read_text("utf-8")).value
    except (OSError, UnicodeDecodeError, ConfigErrors) as error:
        fail(f"{file}: {error}")
    if not isinstance(value, dict):
        fail(f"{file}: a route is a mapping of fields.")
    shown = {"task_type", "version", "deleted", "author", "created_ms", "warnings"}  # of a route as it was shown
    return {name: field for name, field in value.items() if name not in shown}


def _tell(saved: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(saved)
        return
    if saved["deleted"]:
        print(f"{saved['task_type']} has no route now; that is its version {saved['version']}.")
    else:
        print(f"{saved['task_type']} goes to {saved['preferred_model']}; that is version {saved['version']}.")
    for warning in saved["warnings"]:
        complain(warning)


def _row(route: dict[str, Any]) -> tuple[str, ...]:
    return (
        route["task_type"],
        str(route["version"]),
        route["preferred_model"],
        route["fallback_model"] or "-",
        route["sensitivity"],
        str(route["max_tokens"] or "-"),
        ", ".join(f"{name} {value}" for name, value in (route["sampling"] or {}).items()) or "-",
        route["notes"],
    )


def _version(one: dict[str, Any]) -> tuple[str, ...]:
    first = (str(one["version"]), when(one["created_ms"]), one["author"])
    if one["deleted"]:
        return (*first, "deleted", "", "", "", "")
    shadows = [_share(shadow["model"], shadow["rate"]) for shadow in one.get("shadow_models") or ()]
    canary = one.get("canary")
    return (
        *first,
        one["preferred_model"],
        one["fallback_model"] or "-",
        one["sensitivity"],
        ", ".join(shadows) or "-",
        _share(canary["model"], canary["share"]) if canary else "-",
    )


def _share(model: str, share: float) -> str:
    return f"{model} {share * 100:g}%"
