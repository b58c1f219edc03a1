"""Runs commands against a Junto that is a function: no socket, no server."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from typer.testing import CliRunner, Result

from junto.cli.main import app

NO_ENVIRONMENT = {"JUNTO_URL": None, "JUNTO_ADMIN_KEY": None, "JUNTO_API_KEY": None, "JUNTO_CONFIG": None}


@dataclass
class FakeJunto:
    """Answers each path with what it was given, and remembers what it was asked."""

    answers: Mapping[str, httpx2.Response | Callable[[httpx2.Request], httpx2.Response]]
    asked: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.get(request.url.path, not_found(request.url.path))
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    @property
    def body(self) -> Any:
        """The JSON that it was asked with last."""
        return json.loads(self.asked[-1].content)


def run(
    fake: Callable[[httpx2.Request], httpx2.Response],
    *args: str,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Result:
    """The outcome of a command that speaks to that Junto."""
    environment = {**NO_ENVIRONMENT, **(env or {})}
    return CliRunner().invoke(app, list(args), obj=httpx2.MockTransport(fake), input=input, env=environment)


def said(value: Any, status: int = 200) -> httpx2.Response:
    """An answer of JSON."""
    return httpx2.Response(status, json=value)


def refused(status: int, code: str, message: str, reasons: tuple[str, ...] = ()) -> httpx2.Response:
    """An error as Junto's own dialect says it."""
    return said({"error": {"code": code, "message": message, "reasons": list(reasons)}}, status)


def not_found(path: str) -> httpx2.Response:
    """What Junto says of a path that it does not have."""
    return refused(404, "not_found", f"There is nothing at {path}.")


def nobody(request: httpx2.Request) -> httpx2.Response:
    """No server at all."""
    raise httpx2.ConnectError("refused", request=request)
