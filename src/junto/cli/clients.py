"""`junto clients`: the applications that may ask, and their keys."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import fail, print_json, print_table, short_usd

if TYPE_CHECKING:
    from junto.cli.remote import Junto

app = typer.Typer(name="clients", help="Make clients and hand out their keys.", no_args_is_help=True)

ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="Its name, or its id.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Its tenant, by name or id.")]
RateOption = Annotated[int | None, typer.Option("--requests-per-minute", min=1, help="Requests it may send a minute.")]
TokensOption = Annotated[int | None, typer.Option("--tokens-per-minute", min=1, help="Tokens it may use a minute.")]
ConcurrencyOption = Annotated[int | None, typer.Option("--max-concurrency", min=1, help="Requests at once.")]
BudgetOption = Annotated[str | None, typer.Option("--budget", metavar="USD", help="What it may spend a --period.")]
PeriodOption = Annotated[str | None, typer.Option("--period", help="daily, monthly or total.")]
NotesOption = Annotated[str | None, typer.Option("--notes", help="A note for people.")]

_COLUMNS = ("name", "tenant", "id", "state", "scopes", "floor", "cloud for internal", "limits", "budgets", "keys")


@app.callback()
def clients() -> None:
    """Make clients and hand out their keys."""


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits, dots, dashes, underscores.")],
    *,
    tenant: TenantOption = None,
    requests_per_minute: RateOption = None,
    tokens_per_minute: TokensOption = None,
    max_concurrency: ConcurrencyOption = None,
    budget: BudgetOption = None,
    period: PeriodOption = None,
    allow_cloud_for_internal: Annotated[
        bool, typer.Option("--allow-cloud-for-internal", help="Internal content may go to cloud models.")
    ] = False,
    min_sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="A model it may use; may be repeated.")] = None,
    weight: Annotated[int | None, typer.Option(min=1, help="Its share of scarce hardware.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="inference, jobs, service, read-usage; may be repeated.")
    ] = None,
    notes: NotesOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a client and show its key, this once."""
    from junto.cli.remote import given, junto_at

    body = given(
        name=name,
        tenant=tenant,
        rate_limit_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        max_concurrency=max_concurrency,
        budget_usd=budget,
        period=period,
        allow_cloud_for_internal=allow_cloud_for_internal or None,
        min_sensitivity=min_sensitivity,
        allowed_models=model,
        weight=weight,
        scopes=scope,
        notes=notes,
    )
    with junto_at(context, url, key) as junto:
        made = junto.post("/clients", body)
    _show_key(made, as_json=as_json)


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all clients, oldest first."""
    from junto.cli.remote import all_pages, junto_at

    with junto_at(context, url, key) as junto:
        found = all_pages(junto, "/clients", "clients", tenant=tenant)
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(client) for client in found])
    else:
        print("There is no client. `junto clients create NAME` makes one.")


@app.command()
def show(
    context: typer.Context,
    client: ClientArgument,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one client, its policy, and the beginnings of its keys."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        one = junto.get(f"/clients/{_id(junto, client, tenant)}")
    if as_json:
        print_json(one)
        return
    rows = [(label.removesuffix("_ms").replace("_", " "), _figure(label, value)) for label, value in one.items()]
    print_table(("client", ""), rows)


@app.command()
def rotate(
    context: typer.Context,
    client: ClientArgument,
    *,
    overlap: Annotated[
        int | None,
        typer.Option("--overlap", min=0, metavar="SECONDS", help="How long the old key works on; 0: not at all."),
    ] = None,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a client a new key, shown this once; the old one works on for a day unless --overlap says otherwise."""
    from junto.cli.remote import given, junto_at

    with junto_at(context, url, key) as junto:
        rotated = junto.post(f"/clients/{_id(junto, client, tenant)}/rotate-key", given(overlap_s=overlap))
    _show_key(rotated, as_json=as_json)


@app.command()
def disable(
    context: typer.Context,
    client: ClientArgument,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a client's keys from the next request on; what it has and did stays."""
    _enable(context, client, tenant, url, key, enabled=False, as_json=as_json)


@app.command()
def enable(
    context: typer.Context,
    client: ClientArgument,
    *,
    tenant: TenantOption = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a disabled client in again."""
    _enable(context, client, tenant, url, key, enabled=True, as_json=as_json)


def _enable(
    context: typer.Context, client: str, tenant: str | None, url: str, key: str | None, *, enabled: bool, as_json: bool
) -> None:
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        changed = junto.patch(f"/clients/{_id(junto, client, tenant)}", {"enabled": enabled})
    if as_json:
        print_json(changed)
    else:
        print(f"{changed['name']} ({changed['id']}) is {'enabled' if enabled else 'disabled'}.")


def _id(junto: Junto, client: str, tenant: str | None) -> str:
    """The id of the client of that name; what is no name of any is taken for an id, and Junto says what is near."""
    from urllib.parse import quote

    found = junto.get("/clients", name=client, tenant=tenant)["clients"]
    if len(found) > 1:
        places = ", ".join(f"{one['id']} of {one['tenant_name']}" for one in found)
        fail(f"Several clients are called {client}: {places}. Say which by --tenant or by its id.")
    return str(found[0]["id"]) if found else quote(client, safe="")


def _show_key(issued: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(issued)
        return
    print(f"Client {issued['name']} ({issued['id']}) of the tenant {issued['tenant_name']}.")
    ends = [key["expires_ms"] for key in issued["keys"] if key["expires_ms"] is not None]
    if ends:
        print(f"Its earlier keys work until {_time(max(ends))} at the latest.")
    print(f"Its new key, which is shown only now: {issued['api_key']}")


def _row(client: dict[str, Any]) -> tuple[str, ...]:
    return (
        client["name"],
        client["tenant_name"],
        client["id"],
        "enabled" if client["enabled"] else "disabled",
        ", ".join(client["scopes"]),
        client["min_sensitivity"],
        "yes" if client["allow_cloud_for_internal"] else "no",
        limits_of(client),
        budgets_of(client),
        ", ".join(_key(key) for key in client["keys"]) or "-",
    )


def limits_of(owner: dict[str, Any]) -> str:
    """The limits of a client or tenant in short: `60 req/min, 4 at once`."""
    units = {"rate_limit_per_minute": "req/min", "tokens_per_minute": "tokens/min", "max_concurrency": "at once"}
    return ", ".join(f"{owner[name]} {unit}" for name, unit in units.items() if owner[name] is not None) or "-"


def budgets_of(owner: dict[str, Any]) -> str:
    """The budgets of a client or tenant in short: `12.5 $ daily`."""
    return ", ".join(f"{short_usd(one['budget_usd'])} $ {one['period']}" for one in owner["budgets"]) or "-"


def _figure(label: str, value: Any) -> str:
    if label == "keys":
        return ", ".join(_key(key) for key in value) or "-"
    if label == "budgets":
        return budgets_of({"budgets": value})
    if label.endswith("_ms"):
        return _time(value)
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


def _key(key: dict[str, Any]) -> str:
    ends = "" if key["expires_ms"] is None else f" (until {_time(key['expires_ms'])})"
    return f"{key['prefix']}...{ends}"


def _time(milliseconds: int) -> str:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
