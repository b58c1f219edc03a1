"""Reading an error as the clients of each dialect read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


def complaint(dialect: str, answer: httpx2.Response) -> str:
    """The message of an error, read as the dialect's clients read it."""
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-junto-request-id"].startswith("req_")
    body = answer.json()
    match dialect:
        case "openai":
            assert body["error"].keys() >= {"message", "type", "param", "code"}
            return str(body["error"]["message"])
        case "anthropic":
            assert body["type"] == "error"
            assert body["error"].keys() == {"type", "message"}
            return str(body["error"]["message"])
        case "ollama":
            assert body.keys() == {"error"}
            return str(body["error"])
        case _:
            assert body["error"].keys() >= {"type", "code", "message"}
            return str(body["error"]["message"])
