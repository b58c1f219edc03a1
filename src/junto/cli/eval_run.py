"""`junto eval run`: a file of cases put to several models side by side, and a table of what came of it.

Owns the run: how many calls are under way, what is written down of each, and how it ends. Decides nothing about models.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from junto.cli.options import DEFAULT_URL, JsonOption, KeyOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from junto.cli.eval_calls import Asking
    from junto.cli.eval_cases import Case
    from junto.cli.eval_figures import Outcome
    from junto.cli.remote import Junto

_INTERRUPTED: Final = 130  # as shells say it
_TASK: Final = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")  # what a header carries unchanged


def run(
    context: typer.Context,
    *,
    task: Annotated[str, typer.Option("--task", "-t", help="The task type that the answers count for.")],
    models: Annotated[
        str, typer.Option("--models", "-m", help="Models, groups or routes: A,B. `task/T` is T's route.")
    ],
    cases: Annotated[Path, typer.Option("--cases", help="JSON lines: prompt or messages, expected, id.")],
    judge: Annotated[
        str | None, typer.Option(help="A model that scores each answer 1 to 5; needs the admin key.")
    ] = None,
    rubric: Annotated[str | None, typer.Option(help="What the judge looks for.")] = None,
    same_family: Annotated[
        bool, typer.Option("--allow-same-family", help="Let the judge score models of its own family.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many calls at once.")] = 4,
    system: Annotated[str | None, typer.Option(help="Instructions before every case.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="Else the model's own.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The most tokens of an answer.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write each result there as it comes, as JSON lines.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what --out names.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    admin_key: Annotated[str | None, typer.Option(envvar="JUNTO_ADMIN_KEY", help="For the judge, else --key.")] = None,
) -> None:
    """Put a file of cases to several models, side by side; exit with 1 if a call failed. Ctrl-C leaves what there is."""
    from junto.cli.eval_calls import Asking
    from junto.cli.eval_figures import figures_of
    from junto.cli.remote import given

    if not _TASK.fullmatch(task):
        raise typer.BadParameter("A task type is 1 to 200 printable ASCII characters.", param_hint="--task")
    names = names_of(models)
    read = _read(cases)
    options = given(temperature=temperature, max_tokens=max_tokens)
    asking = Asking(
        task=task,
        sensitivity=sensitivity,
        system=system,
        options=options,
        judge=judge,
        judge_key=admin_key,
        rubric=rubric,
        allow_same_family=same_family,
    )
    outcomes: list[Outcome] = []
    with _results(out, force=force) as results:
        is_whole = _ask_all(
            context,
            url,
            key,
            asking,
            cases=read,
            models=names,
            concurrency=concurrency,
            told=_teller(outcomes, results),
        )
    _show(task, figures_of(names, outcomes), is_whole=is_whole, as_json=as_json)
    if not is_whole:
        raise typer.Exit(_INTERRUPTED)
    if any(one.failure or one.judge_failure for one in outcomes):
        raise typer.Exit(1)


async def run_cases(
    work: Iterable[tuple[Case, str]],
    ask: Callable[[Case, str], Awaitable[Outcome]],
    told: Callable[[Outcome], None],
    *,
    concurrency: int,
) -> bool:
    """Make all calls, at most so many at once; False when it was cancelled, which cancels those under way."""
    left = iter(work)

    async def one_after_another() -> None:
        for case, model in left:
            told(await ask(case, model))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(one_after_another())
    except asyncio.CancelledError:
        return False
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # what they were told to failed, for all of them alike
    return True


def names_of(models: str) -> list[str]:
    """The names between commas; raises BadParameter for none, and for one that is there twice."""
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("Name at least one model.", param_hint="--models")
    if len(set(names)) < len(names):
        raise typer.BadParameter("A model is named twice.", param_hint="--models")
    return names


def unknown_of(junto: Junto, names: Iterable[str]) -> list[str]:
    """What Junto says of those that it has no model for: a slip of the pen is to cost no calls of the others."""
    from urllib.parse import quote

    from junto.cli.remote import RemoteError

    told = []
    for name in names:
        try:
            junto.get(f"/v1/models/{quote(name, safe='/:')}")
        except RemoteError as refused:
            if refused.code == "model_not_found":  # whatever else there is to say, the calls say
                told.append(str(refused))
    return told


def _read(file: Path) -> list[Case]:
    from junto.cli.eval_cases import BadCases, read_cases
    from junto.cli.output import fail

    try:
        return read_cases(file)
    except BadCases as bad:
        fail("\n".join(bad.errors))


def _ask_all(
    context: typer.Context,
    url: str,
    key: str | None,
    asking: Asking,
    *,
    cases: list[Case],
    models: list[str],
    concurrency: int,
    told: Callable[[Outcome], None],
) -> bool:
    from junto.cli.eval_calls import Caller, ManyCalls
    from junto.cli.eval_screen import run_screen
    from junto.cli.output import fail
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        junto.get("/v1/models")  # so that no Junto, or no key, is told once and not for every case
        unknown = unknown_of(junto, models)
    if asking.judge is not None:
        with junto_at(context, url, asking.judge_key or key) as junto:
            unknown += unknown_of(junto, [asking.judge])
    if unknown:
        fail("\n".join(dict.fromkeys(unknown)))
    screen = run_screen()

    def both(outcome: Outcome) -> None:
        told(outcome)
        screen.show(outcome)

    async def ask_all() -> bool:
        async with ManyCalls(url, key, most=concurrency, transport=context.obj) as calls:
            work = ((case, model) for case in cases for model in models)
            return await run_cases(work, Caller(calls, asking).ask, both, concurrency=concurrency)

    screen.begin(len(cases) * len(models))
    try:
        return asyncio.run(ask_all())
    except OSError as error:
        fail(f"The results cannot be written: {error.strerror or error}")
    finally:
        screen.close()


@contextlib.contextmanager
def _results(file: Path | None, *, force: bool) -> Iterator[TextIO | None]:
    from junto.cli.output import fail

    if file is None:
        yield None
        return
    try:
        stream = file.open("w" if force else "x", encoding="utf-8")
    except FileExistsError:
        fail(f"{file} is there already; --force writes over it.")
    except OSError as error:
        fail(f"{file}: {error.strerror or error}")
    try:
        with stream:
            yield stream
    finally:
        with contextlib.suppress(OSError):
            if not force and not file.stat().st_size:  # nothing was asked: the next try is not to stumble over it
                file.unlink()


def _teller(outcomes: list[Outcome], results: TextIO | None) -> Callable[[Outcome], None]:
    from junto.cli.eval_figures import document_of

    def told(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if results is not None:
            results.write(json.dumps(document_of(outcome), ensure_ascii=False) + "\n")
            results.flush()

    return told


def _show(task: str, figures: list[Any], *, is_whole: bool, as_json: bool) -> None:
    from junto.cli.eval_figures import document_of, table_of
    from junto.cli.output import complain, print_json, print_table

    if as_json:
        print_json({"task_type": task, "complete": is_whole, "models": [document_of(one) for one in figures]})
    else:
        columns, rows = table_of(figures)
        print_table(columns, rows, numbers=columns[1:])
    if not is_whole:
        complain("Stopped: these are the calls that had ended.")
