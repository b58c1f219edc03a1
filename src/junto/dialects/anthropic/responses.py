"""Whole answers of `/messages`."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import msgspec

from junto.core.chat import Text, Thinking, ToolCall
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.dialects.anthropic.blocks import WireBlock, input_object, input_text
from junto.dialects.anthropic.errors import WireError, stream_failure
from junto.dialects.anthropic.usage import WireUsage, parse_reason, render_reason, render_usage
from junto.dialects.decoding import decode_answer
from junto.dialects.wire import Rendering

type AnswerPart = Text | Thinking | ToolCall


class WireMessage(msgspec.Struct):
    """A whole answer, or an error in its place."""

    type: str
    id: str = ""
    model: str = ""
    content: list[WireBlock] = []
    stop_reason: str | None = None
    usage: WireUsage | None = None
    error: WireError | None = None


_MESSAGE = msgspec.json.Decoder(WireMessage)


def parse_response(body: bytes) -> Completion:
    """Read a whole answer; raises UpstreamFailure. Blocks of tools that ran at Anthropic are left out."""
    message = decode_answer(_MESSAGE, body)
    if message.type == "error":
        raise UpstreamFailure(*stream_failure(message.error))
    if message.type != "message":
        raise UpstreamFailure(FailureKind.PROTOCOL, "an answer that is no message")
    parts = [part for part in map(_part, message.content) if part is not None]
    return Completion(
        parts=tuple(_joined(parts)),
        reason=parse_reason(message.stop_reason),
        usage=message.usage.usage() if message.usage is not None else None,
        model=message.model,
        id=message.id,
    )


def render_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """Write a whole answer."""
    if isinstance(answer, Embeddings):
        raise Unsupported("Anthropic has no embeddings.")
    return msgspec.json.encode(
        head_of(rendering)
        | {
            "content": [_render_part(part) for part in answer.parts],
            "stop_reason": render_reason(answer.reason),
            "stop_sequence": None,
            "usage": render_usage(answer.usage),
        }
        | answer.beside
    )


def head_of(rendering: Rendering) -> dict[str, Any]:
    """What every answer begins with."""
    return {
        "id": f"msg_{rendering.id.removeprefix('req_')}",
        "type": "message",
        "role": "assistant",
        "model": rendering.model,
    }


def _part(block: WireBlock) -> AnswerPart | None:
    match block.type:
        case "text":
            return Text(block.text) if block.text else None
        case "thinking":
            return Thinking(block.thinking or "", block.signature or None)
        case "redacted_thinking":
            return Thinking(redacted=block.data or "")
        case "tool_use":
            return ToolCall(block.id or "", block.name or "", input_text(block.input))
    return None


def _joined(parts: list[AnswerPart]) -> list[AnswerPart]:
    """Texts that follow each other are one: citations cut a text into blocks."""
    joined: list[AnswerPart] = []
    for kind, run in groupby(parts, type):
        members = list(run)
        if kind is Text:
            joined.append(Text("".join(part.text for part in members if isinstance(part, Text))))
        else:
            joined += members
    return joined


def _render_part(part: AnswerPart) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(redacted=str(redacted)):
            return {"type": "redacted_thinking", "data": redacted}
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature or ""}
        case ToolCall(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": input_object(arguments)}
