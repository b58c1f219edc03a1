"""`junto prompts`: templates by task type, shared or a client's own, with their history."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import fail, harmless, print_json, print_table

if TYPE_CHECKING:
    from junto.cli.remote import Junto

app = typer.Typer(name="prompts", help="Read and edit prompt templates.", no_args_is_help=True)

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="A task type.")]
ClientOption = Annotated[str | None, typer.Option("--client", help="That client's own: its name or id.")]
_COLUMNS = ("task", "whose", "version", "from", "bytes", "when", "git")
_VERSIONS = ("version", "when", "by", "from", "bytes", "git")
_SHORT = 12
_EDITOR = "vi"


@app.callback()
def prompts() -> None:
    """Read and edit prompt templates."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the templates in force."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get("/prompts")["prompts"]
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(one) for one in found])
    else:
        print("There is no template. Files of prompts/shared are read when Junto starts or reloads.")


@app.command()
def get(
    context: typer.Context,
    task: TaskArgument,
    *,
    client: ClientOption = None,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one template."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get(_path(task), client=client, version=version)
    if as_json:
        print_json(found)
    else:
        print(harmless(found["body"]) if sys.stdout.isatty() else found["body"])


@app.command()
def edit(
    context: typer.Context,
    task: TaskArgument,
    *,
    client: ClientOption = None,
    file: Annotated[Path | None, typer.Option(help="Take the text from a file, `-` from standard input.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Edit a template in $EDITOR; a client without its own begins with the shared one."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        version, text = _now(junto, task, client)
        if version is None and client is not None:
            text = _now(junto, task, None)[1]
        edited = _edited(text) if file is None else _read(file)
        if edited is None or edited.strip() == text.strip():
            print("Nothing has changed.")
            return
        body = {"body": edited.strip(), "source": "cli", **({} if version is None else {"expected_version": version})}
        saved = junto.put(_path(task), body, client=client)
    print(f"Saved as {saved['label']}.")


@app.command()
def history(
    context: typer.Context,
    task: TaskArgument,
    *,
    client: ClientOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the last hundred versions of a template, newest first."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        found = junto.get(f"{_path(task)}/history", client=client)["versions"]
    if as_json:
        print_json(found)
    else:
        print_table(_VERSIONS, [_version(one) for one in found], numbers=("version", "bytes"))


def _path(task: str) -> str:
    from urllib.parse import quote

    return f"/prompts/{quote(task, safe='')}"


def _now(junto: Junto, task: str, client: str | None) -> tuple[int | None, str]:
    """The version of a template and its text; nothing where there is none."""
    from junto.cli.remote import RemoteError

    try:
        found = junto.get(_path(task), client=client)
    except RemoteError as refused:
        if refused.code != "not_found":
            raise
        return None, ""
    return found["version"], found["body"]


def _edited(text: str) -> str | None:
    """What the editor was left with; None when it was left without saving."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or _EDITOR)
    with tempfile.TemporaryDirectory(prefix="junto-") as folder:
        file = Path(folder) / "prompt.md"
        file.write_text(text.rstrip("\n") + "\n", "utf-8")
        before = file.stat().st_mtime_ns
        try:
            subprocess.run([*editor, str(file)], check=True)  # noqa: S603  the user's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"The editor {editor[0]} failed: {error}")
        return None if file.stat().st_mtime_ns == before else _read(file)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    whose = one["client_id"] or "shared"
    return (one["task_type"], whose, str(one["version"]), *_of(one)[1:], _git(one))


def _version(one: dict[str, Any]) -> tuple[str, ...]:
    source, size = ("deleted", "-") if one["deleted"] else _of(one)[1:3]
    return (str(one["version"]), _of(one)[3], one["author"], source, size, _git(one))


def _of(one: dict[str, Any]) -> tuple[str, str, str, str]:
    from junto.cli.routing import when

    return (one["task_type"], one["source"], str(one["bytes"]), when(one["created_ms"]))


def _git(one: dict[str, Any]) -> str:
    return (one["git_hash"] or "-")[:_SHORT]
