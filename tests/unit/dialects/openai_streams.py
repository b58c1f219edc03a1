"""Streams and bodies of OpenAI-compatible servers for tests, and short ways to run them through a codec."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from junto.dialects.openai import CHAT
from junto.dialects.wire import Rendering

if TYPE_CHECKING:
    from junto.core.events import Event
    from junto.dialects.wire import Tap, Wire

ASKED = True  # for the usage
NOT_ASKED = False
DONE = b"data: [DONE]\n\n"
RENDERING = Rendering(id="answer-1", model="m", created=1_760_000_000)
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def body(**fields: Any) -> bytes:
    """A chat request, compact, with a model and one message unless told otherwise."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return json.dumps(asked, separators=(",", ":"), ensure_ascii=False).encode()


def sse(value: Any, end: bytes = b"\n\n") -> bytes:
    """One event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + end


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One chunk of a chat."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return sse({"id": "c1", "object": "chat.completion.chunk", "model": "up", "choices": [choice], **more})


def usage_chunk(usage: dict[str, Any] | None = None) -> bytes:
    """The chunk that carries nothing but the usage."""
    return sse({"id": "c1", "object": "chat.completion.chunk", "model": "up", "choices": [], "usage": usage or USAGE})


STREAM = b"".join(
    (
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": 'Say "usage" and '}),
        chunk({"content": "[DONE], \u00e4\n\nthen"}),
        chunk({}, "stop"),
        usage_chunk(),
        DONE,
    )
)


def events_of(*pieces: bytes, wire: Wire = CHAT) -> list[Event]:
    """All events of a stream that comes in these pieces."""
    parser = wire.event_parser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.end()


def passed(tap: Tap, *pieces: bytes) -> bytes:
    """What a tap lets pass of a stream that comes in these pieces, as the gateway feeds it."""
    out = b""
    for piece in pieces:
        out += tap.feed(piece)
        if tap.finished or tap.failure is not None:
            return out
    return out + tap.end()
