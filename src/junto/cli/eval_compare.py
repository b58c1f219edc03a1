"""`junto eval compare` and `junto eval shadows`: what is known of models, and what candidates answered, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS = ("model", "as", "answers", "failed", "avg ms", "p50", "p95", "in", "out", "usd", "score", "wins")
_NUMBERS = ("answers", "failed", "avg ms", "p50", "p95", "in", "out", "usd")
_SHADOWS = ("shadow", "created", "task", "tier", "production", "candidate", "status", "in", "out", "ms", "usd")
_SHADOW_NUMBERS = ("in", "out", "ms", "usd")


def compare(
    context: typer.Context,
    *,
    task: Annotated[str | None, typer.Option("--task", "-t", help="A task type; else all traffic.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days, today included.")] = 30,
    kind: Annotated[str | None, typer.Option(help="Only production, or only shadow.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put models side by side: failures, latency, tokens, cost, scores and wins with 95 % intervals, and whether that is enough."""
    from junto.cli.output import harmless, print_json, print_table
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        compared = junto.get("/eval/compare", task_type=task, days=days, kind=kind)
    if as_json:
        print_json(compared)
        return
    if compared["models"]:
        print_table(_COLUMNS, [_row(one) for one in compared["models"]], numbers=_NUMBERS)
    print(harmless(compared["note"]))


def shadows(
    context: typer.Context,
    shadow_id: Annotated[str | None, typer.Argument(metavar="ID", help="Show this one in full.")] = None,
    *,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only this task type.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, running, complete, failed or dropped.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many, newest first.")] = 20,
    before: Annotated[str | None, typer.Option(help="Those older than the shadow with this id.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List shadows, newest first; or show one with what was asked and answered."""
    from urllib.parse import quote

    from junto.cli.output import print_json, print_table
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        if shadow_id is not None:
            print_json(junto.get(f"/eval/shadows/{quote(shadow_id, safe='')}"))
            return
        page = junto.get("/eval/shadows", task_type=task, status=status, limit=limit, before=before)
    if as_json:
        print_json(page)
    elif not page["shadows"]:
        print("There is no such shadow. A route's `shadow_models` make them.")
    else:
        print_table(_SHADOWS, [_shadow(one) for one in page["shadows"]], numbers=_SHADOW_NUMBERS)
        if page["next"]:
            print(f"More: --before {page['next']}")


def interval(told: Mapping[str, Any], value: str, places: int = 2) -> str:
    """A figure with its bounds and of how many it is: `4.31 (4.02 to 4.60, n 41)`; `-` of nothing."""
    if not told["n"] or told[value] is None:
        return "-"
    return f"{told[value]:.{places}f} ({told['low']:.{places}f} to {told['high']:.{places}f}, n {told['n']})"


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    failed = one["failure_rate"]
    return (
        one["model"],
        one["kind"],
        str(one["job_count"]),
        "-" if failed is None else f"{failed:.1%}",
        *(_number(one[name]) for name in ("avg_latency_ms", "p50", "p95", "avg_tokens_in", "avg_tokens_out")),
        _usd(one["cost_per_job_usd"]),
        interval(one["avg_score"], "mean"),
        interval(one["win_rate"], "rate"),
    )


def _shadow(one: Mapping[str, Any]) -> tuple[str, ...]:
    from junto.cli.routing import when

    status = " ".join(filter(None, (one["status"], one["error_code"])))
    return (
        one["id"],
        when(one["created_ms"]),
        one["task_type"],
        one["sensitivity"],
        one["production_model"],
        _candidate(one["model"], one["model_used"]),
        status,
        *(str(one[name]) for name in ("tokens_in", "tokens_out", "latency_ms")),
        _usd(one["cost_usd"]),
    )


def _candidate(asked: str, answered: str) -> str:
    """As the route names it; and who answered, where that is somebody of a group."""
    return asked if asked.endswith(answered) else f"{asked} ({answered})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _usd(amount: str | None) -> str:
    from junto.cli.output import short_usd

    return "-" if amount is None else short_usd(amount)
