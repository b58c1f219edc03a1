"""One good answer in each dialect, whole and as a stream, to be spoilt by the cases. Pure."""

from __future__ import annotations

import json
from typing import Any

SECRET = "the-upstreams-own-words-0451"  # stands in what is no part of an answer, so it must reach no caller
SAID = "Grüße 🌍!"
DIALECTS = ("openai", "ollama", "anthropic")
STREAM_TYPES = {
    "openai": "text/event-stream",
    "ollama": "application/x-ndjson",
    "anthropic": "text/event-stream",
}


def dumps(value: Any) -> bytes:
    """JSON as servers write it: compact, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


OPENAI: tuple[dict[str, Any], ...] = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Grüße "}),
    chunk({"content": "🌍!"}),
    chunk(finish="stop"),
    {**chunk(), "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
)
OLLAMA: tuple[dict[str, Any], ...] = (
    {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "Grüße "},
        "done": False,
    },
    {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "🌍!"},
        "done": False,
    },
    {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "total_duration": 5,
        "load_duration": 1,
        "prompt_eval_count": 3,
        "prompt_eval_duration": 1,
        "eval_count": 2,
        "eval_duration": 2,
    },
)
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
ANTHROPIC: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "🌍!"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
)
OBJECTS = {"openai": OPENAI, "ollama": OLLAMA, "anthropic": ANTHROPIC}
WHOLES: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    "ollama": {**OLLAMA[-1], "message": {"role": "assistant", "content": SAID}},
    "anthropic": {**MESSAGE, "content": [{"type": "text", "text": SAID}], "stop_reason": "end_turn"},
}
ERRORS: dict[str, dict[str, Any]] = {
    "openai": {"error": {"message": SECRET, "type": "server_error", "param": None, "code": None}},
    "ollama": {"error": SECRET},
    "anthropic": {"type": "error", "error": {"type": "api_error", "message": SECRET}},
}


def event(dialect: str, value: dict[str, Any] | bytes) -> bytes:
    """One event of a stream in the dialect's framing."""
    data = value if isinstance(value, bytes) else dumps(value)
    if dialect == "ollama":
        return data + b"\n"
    name = b"event: %b\n" % str(value["type"]).encode() if dialect == "anthropic" and isinstance(value, dict) else b""
    return name + b"data: " + data + b"\n\n"


def events(dialect: str) -> list[bytes]:
    """The good stream, event by event."""
    closing = [b"data: [DONE]\n\n"] if dialect == "openai" else []
    return [*(event(dialect, value) for value in OBJECTS[dialect]), *closing]


def stream(dialect: str) -> bytes:
    """The good stream in one piece."""
    return b"".join(events(dialect))


def head(dialect: str, *, streamed: bool, framing: str = "Transfer-Encoding: chunked", status: str = "200 OK") -> bytes:
    """The head of an answer."""
    kind = STREAM_TYPES[dialect] if streamed else "application/json"
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n".encode("latin-1")
