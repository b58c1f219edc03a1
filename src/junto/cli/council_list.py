"""`junto council --list`: the councils that a key may ask, and for the administrator who sits in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from junto.cli.output import console, print_json, print_table
from junto.cli.remote import RemoteError

if TYPE_CHECKING:
    from junto.cli.remote import Junto

_COLUMNS = ("council", "members", "rounds", "quorum", "description")
_CLOSED = ("invalid_api_key", "forbidden")


def list_councils(junto: Junto, *, as_json: bool) -> None:
    """Print them; without the right to see templates their names alone."""
    names = [one["id"] for one in junto.get("/v1/models")["data"] if one["junto"]["kind"] == "council"]
    try:
        templates = {one["model"]: one for one in junto.get("/admin/council/templates")["templates"]}
    except RemoteError as error:
        if error.code not in _CLOSED:
            raise
        templates = {}
    if as_json:
        print_json([templates.get(name, {"name": _short(name), "model": name}) for name in names])
    elif not names:
        print("There is no council that this key may ask.")
    elif templates:
        print_table(_COLUMNS, [_row(name, templates.get(name)) for name in names], numbers=("rounds", "quorum"))
    else:
        print_table(_COLUMNS[:1], [(_short(name),) for name in names])
        console(stderr=True).print("With the admin key: who sits in them, and what for.", style="dim")


def _row(name: str, listed: dict[str, Any] | None) -> tuple[str, ...]:
    if listed is None:
        return (_short(name), *("?" for _ in _COLUMNS[1:]))
    template = listed["template"]
    return (
        _short(name),
        ", ".join(one["name"] for one in template["members"]),
        str(len(template["rounds"])),
        str(template["quorum"]),
        template["description"],
    )


def _short(name: str) -> str:
    return name.removeprefix("council/")
