"""`junto responses`: the stored exchanges of a running Junto."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer

from junto.cli.listing import ListsByDefault
from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import harmless, print_json, print_table, short_usd

_COLUMNS = ("id", "started", "asked for", "answered by", "tier", "outcome", "in", "out", "ms", "usd")
_TIMES = {"started_ms": "started", "oldest_ms": "oldest", "newest_ms": "newest"}
_NUMBERS = ("in", "out", "ms", "usd")


app = typer.Typer(name="responses", help="Look at stored exchanges.", cls=ListsByDefault)


@app.callback()
def responses() -> None:
    """Look at stored exchanges: `list` (the default), `show ID`, `stats`."""


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many, newest first.")] = 20,
    before: Annotated[str | None, typer.Option(help="Those older than the exchange with this id.")] = None,
    model: Annotated[str | None, typer.Option(help="Answered by this model.")] = None,
    backend: Annotated[str | None, typer.Option(help="Answered by this backend.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="Of this tier.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, error or cancelled.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List stored exchanges, newest first, without their bodies."""
    from junto.cli.remote import junto_at

    filters = {"model": model, "backend": backend, "sensitivity": sensitivity, "outcome": outcome}
    with junto_at(context, url, key) as junto:
        page = junto.get("/admin/responses", limit=limit, before=before, **filters)
    if as_json:
        print_json(page)
        return
    if not page["responses"]:
        print("No exchange is stored.")
        return
    print_table(_COLUMNS, [_row(one) for one in page["responses"]], numbers=_NUMBERS)
    if page["next"]:
        print(f"More: --before {page['next']}")


@app.command()
def show(
    context: typer.Context,
    exchange_id: Annotated[str, typer.Argument(metavar="ID", help="As the list or X-Junto-Request-Id says it.")],
    *,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one exchange in full, with its thinking, as far as its tier keeps it."""
    from urllib.parse import quote

    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        one = junto.get(f"/admin/responses/{quote(exchange_id, safe='')}")
    if as_json:
        print_json(one)
    else:
        _show(one)


@app.command()
def stats(
    context: typer.Context, *, url: UrlOption = DEFAULT_URL, key: AdminKeyOption = None, as_json: JsonOption = False
) -> None:
    """Counts, sizes, compression and cost of what is stored."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        figures = junto.get("/admin/responses/stats")
    if as_json:
        print_json(figures)
        return
    rows = [(_label(name), _figure(name, value)) for name, value in figures.items()]
    print_table(("stored exchanges", ""), rows)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    usage = one["usage"]
    answered = f"{one['backend']}/{one['model']}" if one["backend"] else "-"
    outcome = one["outcome"] if one["outcome"] == "ok" else f"{one['outcome']} {one['error_code']}".strip()
    tokens_in = usage["input_tokens"] + usage["cache_read_tokens"] + usage["cache_write_tokens"]
    return (
        one["id"],
        _time(one["started_ms"]),
        one["requested_model"],
        answered,
        one["sensitivity"],
        outcome,
        str(tokens_in),
        str(usage["output_tokens"]),
        str(one["duration_ms"]),
        short_usd(one["cost_usd"]),
    )


def _show(one: dict[str, Any]) -> None:
    request, answer = one.pop("request", None), one.pop("answer", None)
    rows = [(_label(name), _figure(name, value)) for name, value in one.items() if value not in ("", None)]
    print_table(("exchange", ""), rows)
    for title, body in (("Request", request), ("Answer", answer)):
        if body is None:
            print(f"{title}: not stored.")
        else:
            print(f"{title}:")
            print_json(_harmless(body))


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        return {harmless(name): _harmless(item) for name, item in value.items()}
    return value


def _label(name: str) -> str:
    return _TIMES.get(name, name).replace("_", " ")


def _figure(name: str, value: Any) -> str:
    if name == "cost_usd":
        return short_usd(value)
    if name in _TIMES and isinstance(value, int):
        return _time(value)
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return "; ".join(_figure("", item) for item in value) or "-"
    return "-" if value is None else str(value)


def _time(milliseconds: int) -> str:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
