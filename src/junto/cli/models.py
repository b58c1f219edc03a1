"""`junto models`: every name that a running Junto answers to."""

from __future__ import annotations

from typing import Any

import typer

from junto.cli.options import DEFAULT_URL, JsonOption, KeyOption, UrlOption
from junto.cli.output import print_json, print_table, short_usd

_COLUMNS = ("name", "kind", "where", "backends", "context", "can", "in $/M", "out $/M")
_NUMBERS = ("context", "in $/M", "out $/M")


def models(
    context: typer.Context, *, url: UrlOption = DEFAULT_URL, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the models and groups that can be asked for."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        listed = junto.get("/v1/models")["data"]
    if as_json:
        print_json(listed)
    elif listed:
        print_table(_COLUMNS, [_row(model) for model in listed], numbers=_NUMBERS)
    else:
        print("There is no model. `junto doctor` looks for the reason.")


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    about = model["junto"]
    prices, able = about["prices"], about["capabilities"]
    return (
        model["id"],
        about["kind"],
        ", ".join(about["locality"]) or "-",
        ", ".join(about["backends"]) or "-",
        str(about["context_length"] or "?"),
        "?" if able is None else ", ".join(able),
        short_usd(prices["input_usd_per_mtok"]),
        short_usd(prices["output_usd_per_mtok"]),
    )
