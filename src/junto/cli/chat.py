"""`junto chat`: ask a running Junto, once or in a conversation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from junto.cli.options import DEFAULT_URL, KeyOption, UrlOption, usual_model
from junto.cli.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.cli.conversation import Answered, Message
    from junto.cli.remote import Junto

_HELP = "/new forgets what was said, /model NAME asks another, /bye (or Ctrl-D) ends; Ctrl-C stops an answer."
_INTERRUPTED = 130  # as shells say it


def chat(
    context: typer.Context,
    question: Annotated[
        str | None, typer.Argument(help="Without one: a conversation, or what comes through a pipe.")
    ] = None,
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model, a group, or BACKEND/MODEL; else `fast`, or the first.")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="Instructions before the first question.")
    ] = None,
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
) -> None:
    """Ask a question and see the answer as it comes, with who gave it."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        talk = Talk(junto, model or _usual(junto), system=system, sensitivity=sensitivity)
        if question is None and sys.stdin.isatty():
            converse(talk, input)
            return
        answered = talk.say(sys.stdin.read().strip() if question is None else question)
    if answered.stopped or answered.failure:
        raise typer.Exit(_INTERRUPTED if answered.stopped else 1)


def _usual(junto: Junto) -> str:
    return usual_model([model["id"] for model in junto.get("/v1/models")["data"]]) or "fast"


class Talk:
    """A conversation: what was said so far, and who is asked. The model may be changed on the way."""

    def __init__(self, junto: Junto, model: str, *, system: str | None = None, sensitivity: str | None = None) -> None:
        from junto.cli.screen import TerminalScreen

        self.model = model
        self._junto = junto
        self._screen = TerminalScreen()
        self._beginning: list[Message] = [{"role": "system", "content": system}] if system else []
        self._headers = {"x-junto-sensitivity": sensitivity} if sensitivity else {}
        self._said = list(self._beginning)

    def say(self, question: str) -> Answered:
        """Ask, show the answer, and remember both as far as they went; raises RemoteError when no answer began."""
        from junto.cli.conversation import ask

        asked = {"role": "user", "content": question}
        answered = ask(self._junto, self.model, [*self._said, asked], self._screen, headers=self._headers)
        self._screen.end(answered)
        if answered.text:
            self._said += [asked, {"role": "assistant", "content": answered.text}]
        return answered

    def forget(self) -> None:
        """Begin anew."""
        self._said = list(self._beginning)


def converse(talk: Talk, read: Callable[[str], str]) -> None:
    """Read and answer until the end of input. Errors and Ctrl-C end an answer, not the conversation."""
    from junto.cli.remote import RemoteError

    _edit_lines()
    print(f"You are talking to {talk.model}. {_HELP}")
    while True:
        try:
            line = read("> ").strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            continue
        if line == "/bye":
            return
        try:
            _obey(talk, line)
        except RemoteError as error:
            complain(str(error))


def _obey(talk: Talk, line: str) -> None:
    command, _, rest = line.partition(" ")
    match command:
        case "":
            return
        case "/new":
            talk.forget()
        case "/model" if rest:
            talk.model = rest.strip()
        case _ if command.startswith("/"):
            print(_HELP)
        case _:
            talk.say(line)


def _edit_lines() -> None:
    """Let `input` edit its line and recall earlier ones, where this Python can."""
    import contextlib
    import importlib

    with contextlib.suppress(ImportError):
        importlib.import_module("readline")
