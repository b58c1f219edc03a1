"""`junto eval review`: two answers side by side without names, scored by a person, who learns afterwards which was which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, UrlOption
from junto.cli.output import complain, console, harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.cli.remote import Junto

_PAGE: Final = 50
_WIDEST_RULE: Final = 100  # in a pipe a line may be longer than anybody's screen
_SIDES: Final = {"l": "left", "left": "left", "r": "right", "right": "right", "t": "tie", "tie": "tie"}
_HELP: Final = "Marks are 1 (useless) to 5 (very good). s skips a pair, q (or Ctrl-D) ends."


@dataclass(frozen=True, slots=True)
class Skip:
    """The reviewer wants the next pair."""


def review(
    context: typer.Context,
    *,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only this task type.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many pairs.")] = 20,
    notes: Annotated[bool, typer.Option("--notes", help="Ask for a note on each pair.")] = False,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Score shadows beside the answers that callers got, blind: which model is which is told after each pair."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        done = review_all(junto, task, limit=limit, notes=notes, read=input)
    print("There is nothing to review." if done is None else f"{done} pair{'' if done == 1 else 's'} reviewed.")


def review_all(junto: Junto, task: str | None, *, limit: int, notes: bool, read: Callable[[str], str]) -> int | None:
    """Show pair after pair until there is none, so many are done, or input ends; how many were scored, None of none at all."""
    from junto.cli.remote import RemoteError

    shown: set[str] = set()
    done = 0
    while done < limit:
        page = [one for one in _page(junto, task) if one["pair_id"] not in shown]
        if not page:
            break
        if not shown:
            print(_HELP)
        for pair in page[: limit - done]:
            shown.add(pair["pair_id"])
            _show(pair)
            try:
                opinion = _opinion(read, notes=notes)
            except (EOFError, KeyboardInterrupt):
                print()
                return done
            if opinion is None:
                return done
            if isinstance(opinion, Skip):
                continue
            try:
                _tell(junto.post(f"/eval/review/{pair['pair_id']}", opinion))
            except RemoteError as refused:  # gone meanwhile; the others are still there
                complain(str(refused))
            else:
                done += 1
    return done if shown else None


def _page(junto: Junto, task: str | None) -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = junto.get("/eval/review", task_type=task, limit=_PAGE)
    return pairs


def _show(pair: Mapping[str, Any]) -> None:
    from rich.rule import Rule
    from rich.text import Text

    out = console()
    width = min(out.width, _WIDEST_RULE)
    task = f" · {harmless(pair['task_type'])}" if pair["task_type"] else ""
    for title, text in (
        (f"Asked{task}", pair["prompt"]),
        ("Left", pair["left"]["text"]),
        ("Right", pair["right"]["text"]),
    ):
        out.print(Rule(Text(title), align="left"), width=width)
        out.print(Text(harmless(text)), soft_wrap=True)
    out.print(Rule(), width=width)


def _opinion(read: Callable[[str], str], *, notes: bool) -> dict[str, Any] | Skip | None:
    """What the reviewer says of a pair; None to end."""
    marks: dict[str, Any] = {}
    for side in ("left", "right"):
        mark = _mark(read, side)
        if mark is None or isinstance(mark, Skip):
            return mark
        marks[side] = mark
    better = _preference(read)
    if isinstance(better, Skip):
        return better
    note = read("note: ").strip() if notes else ""
    return {**marks, **({"prefer": better} if better else {}), **({"note": note} if note else {})}


def _mark(read: Callable[[str], str], side: str) -> int | Skip | None:
    while True:
        said = read(f"{side} 1-5: ").strip().lower()
        if said in {"1", "2", "3", "4", "5"}:
            return int(said)
        if said in {"s", "skip"}:
            return Skip()
        if said in {"q", "quit"}:
            return None
        print(_HELP)


def _preference(read: Callable[[str], str]) -> str | Skip:
    """Which is better; "" leaves it to the marks."""
    while True:
        said = read("better: l, r or t (tie); Enter: as the marks say: ").strip().lower()
        if not said:
            return ""
        if said in _SIDES:
            return _SIDES[said]
        if said in {"s", "skip"}:
            return Skip()


def _tell(reviewed: Mapping[str, Any]) -> None:
    sides = (f"{side}: {reviewed[side]['model']} ({reviewed[side]['kind']})" for side in ("left", "right"))
    print(harmless(f"{'; '.join(sides)}. Preferred: {reviewed['preferred']}.\n"))
