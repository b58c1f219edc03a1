"""`junto council`: put a question to a council, and watch it sit; or list the councils that there are."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, JsonOption, KeyOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.cli.council_screen import CouncilScreen
    from junto.cli.council_state import Sitting
    from junto.cli.remote import Junto

_PATH = "/v1/council/chat"
_INTERRUPTED = 130  # as shells say it
_CUT = "The answer ended before the council did."


def council(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="`-`, or none: what comes through a pipe.")] = None,
    *,
    template: Annotated[
        str | None, typer.Option("--template", "-t", help="Which council; else `diverse-analysis`. --list shows them.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model or a group for the members that name none.")
    ] = None,
    members: Annotated[
        str | None, typer.Option(help="Only these, by name: `Ann,Bob`; `Ann=fast` gives one a model of its own.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    lists: Annotated[bool, typer.Option("--list", help="List the councils instead of asking one.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
) -> None:
    """Ask several models at once: see each of them speak, and get one answer that says where they differ."""
    from junto.cli.remote import junto_at

    if lists:
        from junto.cli.council_list import list_councils

        with junto_at(context, url, key) as junto:
            list_councils(junto, as_json=as_json)
        return
    body = {"messages": [{"role": "user", "content": _question(question)}]} | _changes(template, model, members, rounds)
    headers = {"x-junto-sensitivity": sensitivity} if sensitivity else {}
    with junto_at(context, url, key) as junto:
        if as_json:
            _print_whole(junto, body, headers)
            return
        from junto.cli.council_screen import council_screen

        screen = council_screen(time.monotonic)
        sitting = sit(junto, body, headers, screen, clock=time.monotonic)
    if sitting.stopped or sitting.failure:
        raise typer.Exit(_INTERRUPTED if sitting.stopped else 1)


def sit(
    junto: Junto,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    screen: CouncilScreen,
    *,
    clock: Callable[[], float],
) -> Sitting:
    """Ask, show the sitting while it lasts, and give it back as it ended; raises RemoteError when none begins.

    Ctrl-C ends it: the connection closes, and Junto cancels every member. What was said until then stays.
    """
    from junto.cli.conversation import chunks_of
    from junto.cli.council_state import Sitting, after, ended
    from junto.cli.remote import RemoteError

    sitting = Sitting(started=clock())
    stopped, failure = False, ""
    try:
        with junto.stream(_PATH, {**body, "stream": True}, headers) as response:
            screen.begin(sitting)
            for chunk in chunks_of(response, screen.waiting):
                sitting = after(sitting, _sound(chunk), clock())
                screen.show(sitting, chunk)
        failure = "" if sitting.report else _CUT
    except KeyboardInterrupt:
        stopped = True
    except RemoteError as error:
        if not sitting.template:
            raise
        failure = str(error)
    finally:
        sitting = ended(sitting, clock(), stopped=stopped, failure=failure)
        screen.close(sitting)
    screen.end(sitting)
    return sitting


def _sound(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk; raises RemoteError when it is an error."""
    from junto.cli.remote import RemoteError, told

    if chunk.get("error"):
        raise RemoteError(told(chunk["error"]))
    return chunk


def _print_whole(junto: Junto, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    from junto.cli.output import print_json
    from junto.cli.remote import RemoteError

    try:
        with junto.stream(_PATH, body, headers) as response:
            answer = json.loads(response.read())
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except ValueError:
        raise RemoteError("The answer is not one that a council gives.") from None
    print_json(answer)


def _question(given: str | None) -> str:
    """What is asked; raises BadParameter when that is nothing."""
    if given is None and sys.stdin.isatty():
        raise typer.BadParameter("What is the question?", param_hint="QUESTION")
    question = sys.stdin.read() if given in {None, "-"} else given
    if not (question or "").strip():
        raise typer.BadParameter("The question is empty.", param_hint="QUESTION")
    return (question or "").strip()


def _changes(template: str | None, model: str | None, members: str | None, rounds: int | None) -> dict[str, Any]:
    """What the caller wants otherwise, as the request says it."""
    changes = {
        "template": None if template is None else template.removeprefix("council/"),
        "model": model,
        "members": None if members is None else [_member(one) for one in members.split(",") if one.strip()],
        "rounds": rounds,
    }
    return {name: value for name, value in changes.items() if value is not None}


def _member(entry: str) -> str | dict[str, str]:
    name, named, model = entry.partition("=")
    return {"name": name.strip(), "model": model.strip()} if named else name.strip()
