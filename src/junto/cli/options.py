"""Options that several commands share. Light to import: every command's module is loaded whichever is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:11430"

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="junto.yaml; without one, the defaults apply.", envvar="JUNTO_CONFIG"),
]
UrlOption = Annotated[str, typer.Option("--url", envvar="JUNTO_URL", help="Where Junto is.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar=["JUNTO_API_KEY", "JUNTO_ADMIN_KEY"], help="A key, where one is needed.")
]
AdminKeyOption = Annotated[str | None, typer.Option("--key", envvar="JUNTO_ADMIN_KEY", help="The admin key.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def usual_model(names: list[str]) -> str:
    """The name to ask when none was given: the group `fast`, else the first of the list; "" if that is empty."""
    return "fast" if "fast" in names else next(iter(names), "")
