"""`junto tenants`: those who are kept apart and billed apart."""

from __future__ import annotations

from typing import Annotated

import typer

from junto.cli.clients import (
    BudgetOption,
    ConcurrencyOption,
    NotesOption,
    PeriodOption,
    RateOption,
    TokensOption,
    budgets_of,
    limits_of,
)
from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import print_json, print_table

app = typer.Typer(name="tenants", help="Make tenants, to which clients belong.", no_args_is_help=True)

_COLUMNS = ("name", "id", "state", "limits", "budgets", "notes")


@app.callback()
def tenants() -> None:
    """Make tenants, to which clients belong."""


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits, dots, dashes, underscores.")],
    *,
    requests_per_minute: RateOption = None,
    tokens_per_minute: TokensOption = None,
    max_concurrency: ConcurrencyOption = None,
    budget: BudgetOption = None,
    period: PeriodOption = None,
    notes: NotesOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a tenant; its limits and budget are for all of its clients together."""
    from junto.cli.remote import given, junto_at

    body = given(
        name=name,
        rate_limit_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        max_concurrency=max_concurrency,
        budget_usd=budget,
        period=period,
        notes=notes,
    )
    with junto_at(context, url, key) as junto:
        made = junto.post("/tenants", body)
    if as_json:
        print_json(made)
    else:
        print(f"Tenant {made['name']} ({made['id']}).")


@app.command(name="list")
def list_(
    context: typer.Context, *, url: UrlOption = DEFAULT_URL, key: AdminKeyOption = None, as_json: JsonOption = False
) -> None:
    """List all tenants."""
    from junto.cli.remote import all_pages, junto_at

    with junto_at(context, url, key) as junto:
        found = all_pages(junto, "/tenants", "tenants")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            tenant["name"],
            tenant["id"],
            "enabled" if tenant["enabled"] else "disabled",
            limits_of(tenant),
            budgets_of(tenant),
            tenant["notes"] or "-",
        )
        for tenant in found
    ]
    print_table(_COLUMNS, rows)
