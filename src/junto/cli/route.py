"""`junto route explain`: where a request would go, and why not elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import harmless, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(name="route", help="Ask how requests are routed.", no_args_is_help=True)

_ABILITIES = ("chat", "tools", "vision", "json_schema", "reasoning", "embeddings")
_TIERS = ("public", "internal", "confidential")


@app.callback()
def route() -> None:
    """Ask how requests are routed."""


@app.command()
def explain(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model, a group, BACKEND/MODEL, task/TYPE, or auto.")],
    *,
    task: Annotated[str | None, typer.Option(help="The task type that the request names besides.")] = None,
    client: Annotated[str | None, typer.Option(help="A client, by name or id, whose policy counts then.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    needs: Annotated[str, typer.Option(help="Abilities, with commas between: tools,vision,json_schema.")] = "",
    prompt_tokens: Annotated[int, typer.Option(min=0, help="How long the prompt is.")] = 0,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="How long the answer may be.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the candidates for such a request in their order, and those that were dropped. Contacts no backend."""
    from junto.cli.remote import junto_at

    question = {
        "model": model,
        "sensitivity": _tier(sensitivity),
        "needs": _abilities(needs),
        "prompt_tokens": prompt_tokens,
        "max_tokens": max_tokens,
    }
    question |= {name: value for name, value in (("task_type", task), ("client", client)) if value is not None}
    with junto_at(context, url, key) as junto:
        explained = junto.post("/routing/explain", question)
    if as_json:
        print_json(explained)
    else:
        _show(explained)


def _tier(name: str | None) -> str | None:
    if name is not None and name not in _TIERS:
        raise typer.BadParameter(f"{name} is not one of {', '.join(_TIERS)}.", param_hint="--sensitivity")
    return name


def _abilities(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _ABILITIES:
            raise typer.BadParameter(f"{name} is not one of {', '.join(_ABILITIES)}.", param_hint="--needs")
    return names


def _show(explained: dict[str, Any]) -> None:
    print(f"Sensitivity: {explained['sensitivity']}. Names, in turn: {', '.join(explained['stages'])}.")
    for line in _policies(explained):
        print(line)
    kept, dropped = explained["candidates"], explained["dropped"]
    if kept:
        print_table(
            ("turn", "deployment", "name", "where", "why there"), [_kept(one) for one in kept], numbers=("turn",)
        )
    else:
        print("\nNobody may answer.\n")
    if dropped:
        rows = [(one["deployment"], one["locality"], one["filter"], one["detail"]) for one in dropped]
        print_table(("dropped", "where", "filter", "why"), rows)
    if explained["last_resort"]:
        print("Every candidate is out of service; the least bad one is tried all the same.")


def _policies(explained: dict[str, Any]) -> Iterator[str]:
    """The route that applies and the client whose policy counts, as sentences."""
    route, client = explained.get("route"), explained.get("client")
    if route is not None:
        name = f"{route['name']}@{route['version']}" if route["version"] else f"{route['name']}, which is not stored"
        of_task = f"Task: {route['task_type']}. " if route["task_type"] else ""
        which = "The default route, since the task type has none" if route["is_default"] else "Its route"
        does = ["only its floor counts, since a model was named"] if route["keeps_model"] else []
        does += [f"floor {route['floor']}"] if route["floor"] else []
        does += [f"at most {route['max_tokens']} tokens"] if route["max_tokens"] else []
        yield harmless(f"{of_task}{which}: {'; '.join([name, *does])}.")
    if client is not None:
        yield harmless(f"Client: {client['name']} ({client['id']}), floor {client['floor']}.")


def _kept(one: dict[str, Any]) -> tuple[str, ...]:
    reasons = "; ".join(f"{reason['rule']}: {reason['detail']}" for reason in one["reasons"])
    turn = str(one["position"]) if one["is_attempted"] else "-"
    return (turn, one["deployment"], one["stage"], one["locality"], reasons)
