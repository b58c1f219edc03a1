"""`junto eval judge`: models that score answers: one now, or a run of many, which goes on in Junto whoever watches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from junto.cli.eval_judged import told_judgement, told_results, told_run
from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import console, fail, harmless, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.cli.remote import Junto

_INTERRUPTED: Final = 130  # as shells say it
_LOOK_AGAIN: Final = 0.5
_PAGE: Final = 500
_UNDER_WAY: Final = ("pending", "running")
_KINDS: Final = ("job", "exchange", "shadow")


def judge(
    context: typer.Context,
    *,
    judges: Annotated[str | None, typer.Option("--judges", "-j", help="Models that judge: A,B.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="pointwise, pairwise (both orders) or panel; panel where there are several judges."),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Judge a task's shadows and their sources.")] = None,
    subject: Annotated[str | None, typer.Option(help="Judge one answer: job:ID, exchange:ID or shadow:ID.")] = None,
    pair: Annotated[str | None, typer.Option(help="Judge two answers to the same: KIND:ID,KIND:ID.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="With --task: how far back; else 30.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, max=500, help="With --task: else 100.")] = None,
    again: Annotated[bool, typer.Option("--again", help="With --task: also what was judged before.")] = False,
    rubric: Annotated[str | None, typer.Option(help="What to look for.")] = None,
    quorum: Annotated[int | None, typer.Option(min=1, help="How many of a panel must be heard; else most.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write scores and verdicts down.")] = False,
    same_family: Annotated[
        bool, typer.Option("--allow-same-family", help="Let judges score models of their own family.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="With --task: do not wait for the run's end.")] = False,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Watch a run that there is.")] = None,
    cancel: Annotated[str | None, typer.Option("--cancel", metavar="ID", help="Cancel a run.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let models judge answers. Nothing becomes a score or a verdict without --apply; exit with 1 if a judgement failed."""
    from junto.cli.remote import given, junto_at

    if sum(each is not None for each in (task, subject, pair, run, cancel)) != 1:
        raise typer.BadParameter("Name one of --task, --subject, --pair, --run and --cancel.")
    with junto_at(context, url, key) as junto:
        if cancel is not None:
            _tell_run(junto.delete(f"/eval/judge/{_quoted(cancel)}"), as_json=as_json)
            return
        if run is None:
            names = [name.strip() for name in (judges or "").split(",") if name.strip()]
            body = given(
                judges=names,
                mode=mode or _usual_mode(names, is_pair=pair is not None),
                task_type=task,
                subject=None if subject is None else _named(subject),
                pair=None if pair is None else _pair(pair),
                days=days,
                limit=limit,
                rubric=rubric,
                quorum=quorum,
                again=again or None,
                apply=apply or None,
                allow_same_family=same_family or None,
            )
            if not names:
                raise typer.BadParameter("Name at least one judge.", param_hint="--judges")
            answer = junto.post("/eval/judge", body, waits=True)
            if task is None:
                _tell_judgement(answer, as_json=as_json)
                return
            run = answer["run_id"]
            if detach:
                _tell_run(answer, as_json=as_json)
                return
        ended = watched(junto, str(run), sleep=time.sleep)
        _tell_run(ended, as_json=as_json, judgements=None if as_json else judged_in(junto, str(run)))


def watched(junto: Junto, run_id: str, *, sleep: Callable[[float], None]) -> dict[str, Any]:
    """A run at its end, its progress on standard error until then. Ctrl-C ends the watching, not the run."""
    notes = console(stderr=True)
    before = -1
    try:
        while True:
            run: dict[str, Any] = junto.get(f"/eval/judge/{_quoted(run_id)}", limit=1)
            if run["done"] != before:
                before = run["done"]
                notes.print(harmless(f"{before} of {run['total']} judged, {run['failed']} failed"), soft_wrap=True)
            if run["status"] not in _UNDER_WAY:
                return run
            sleep(_LOOK_AGAIN)
    except KeyboardInterrupt:
        fail(f"The run goes on: --run {run_id} watches it, --cancel {run_id} ends it.", _INTERRUPTED)


def judged_in(junto: Junto, run_id: str) -> list[dict[str, Any]]:
    """All judgements of a run."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = junto.get(f"/eval/judge/{_quoted(run_id)}", after=after, limit=_PAGE)
        found += page["judgements"]
        after = page["next"]
        if after is None:
            return found


def _tell_run(run: Mapping[str, Any], *, as_json: bool, judgements: Sequence[Mapping[str, Any]] | None = None) -> None:
    if as_json:
        print_json(run)
    else:
        print(told_run(run))
        for line in () if judgements is None else told_results(run, judgements):
            print(line)
    if run["status"] == "failed" or run["failed"]:
        raise typer.Exit(1)


def _tell_judgement(one: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    elif one["status"] == "complete":
        for line in told_judgement(one):
            print(line)
    if one["status"] != "complete":
        error = one.get("error") or {}
        fail(str(error.get("message") or "There is no judgement."))


def _usual_mode(judges: list[str], *, is_pair: bool) -> str:
    if len(judges) > 1:
        return "panel"
    return "pairwise" if is_pair else "pointwise"


def _pair(text: str) -> dict[str, Any]:
    first, comma, second = text.partition(",")
    if not comma:
        raise typer.BadParameter("A pair is KIND:ID,KIND:ID.", param_hint="--pair")
    return {"first": _named(first, "--pair"), "second": _named(second, "--pair")}


def _named(text: str, option: str = "--subject") -> dict[str, str]:
    kind, colon, id = text.strip().partition(":")
    if kind not in _KINDS or not colon or not id:
        raise typer.BadParameter(f"{text!r} is not one of job:ID, exchange:ID and shadow:ID.", param_hint=option)
    return {"kind": kind, "id": id}


def _quoted(id: str) -> str:
    from urllib.parse import quote

    return quote(id, safe="")
