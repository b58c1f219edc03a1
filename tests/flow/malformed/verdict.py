"""What a caller was given: an answer or an error, and in any case something that its dialect allows. Knows nothing of upstreams."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

# As lenient about characters as clients are: a bare control character in a relayed text is the upstream's, and no harm.
read = partial(json.loads, strict=False)

ANSWER = "answer"
ERROR = "error"

PATHS = {
    "openai": ("/v1/chat/completions", "/v1/chat/completions"),
    "ollama": ("/api/chat", "/api/chat"),
    "anthropic": ("/v1/messages", "/v1/messages"),
    "native": ("/complete", "/complete/stream"),
}


def question(caller: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of a small question."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Hello?"}]}
    if caller != "native":
        body["stream"] = stream
    if caller == "anthropic":
        body["max_tokens"] = 50
    return PATHS[caller][stream], body


def verdict(caller: str, status: int, body: bytes, *, stream: bool) -> str:
    """ANSWER or ERROR; AssertionError for what is neither in the caller's dialect."""
    if status != 200:
        assert 400 <= status <= 599, status
        assert status != 500, body
        check_error(caller, json.loads(body))
        return ERROR
    return _STREAMED[caller](body) if stream else _whole(caller, json.loads(body))


def check_error(caller: str, value: Any) -> None:
    """Whether this is an error object of the dialect."""
    error = value["error"]
    if caller == "ollama":
        assert isinstance(error, str)
        assert error
    elif caller == "native":
        assert error == "All providers unavailable" or (error["type"] and error["code"] and error["message"])
    elif caller == "anthropic":
        assert value["type"] == "error"
        assert error["type"]
        assert error["message"]
    else:
        assert error["message"]
        assert error["type"]
        assert {"param", "code"} <= error.keys()


def _whole(caller: str, value: dict[str, Any]) -> str:
    match caller:
        case "openai":
            assert value["choices"]
        case "ollama":
            assert value["done"] is True
        case "anthropic":
            assert value["type"] == "message"
        case _:
            assert {"content", "model", "usage", "tool_calls"} <= value.keys()
    assert "error" not in value or value["error"] is None
    return ANSWER


def _openai(body: bytes) -> str:
    data: list[Any] = [read(line) if line != "[DONE]" else line for line in _data(body)]
    assert data, "an empty stream"
    *before, last = data
    assert "[DONE]" not in before
    assert not any("error" in value and value["error"] for value in before)
    if last == "[DONE]":
        return ANSWER
    check_error("openai", last)
    return ERROR


def _anthropic(body: bytes) -> str:
    data = [read(line) for line in _data(body) if line]
    assert data, "an empty stream"
    kinds = [value["type"] for value in data]
    assert not {"error", "message_stop"} & set(kinds[:-1])
    if kinds[-1] == "message_stop":
        return ANSWER
    assert kinds[-1] == "error", kinds
    check_error("anthropic", data[-1])
    return ERROR


def _data(body: bytes) -> list[str]:
    """The data of each event, read as the standard says."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for event in text.split("\n\n"):
        lines = [line for line in event.split("\n") if line]
        assert all(line.partition(":")[0] in {"data", "event", "id", "retry", ""} for line in lines), lines
        data = [line.removeprefix("data:").removeprefix(" ") for line in lines if line.startswith("data:")]
        found.append("\n".join(data).strip())
    return [data for data in found if data]


def _ollama(body: bytes) -> str:
    *before, last = _lines(body)
    assert not any(value.get("done") or value.get("error") for value in before)
    if "error" in last and last["error"] is not None:
        check_error("ollama", last)
        return ERROR
    assert last["done"] is True
    return ANSWER


def _native(body: bytes) -> str:
    *before, last = _lines(body)
    assert all(value["type"] == "chunk" for value in before)
    assert last["type"] in {"done", "error"}
    return ANSWER if last["type"] == "done" else ERROR


def _lines(body: bytes) -> list[dict[str, Any]]:
    lines = [read(line) for line in body.decode("utf-8", "replace").split("\n") if line.strip()]
    assert lines, "an empty stream"
    return lines


_STREAMED = {"openai": _openai, "ollama": _ollama, "anthropic": _anthropic, "native": _native}
