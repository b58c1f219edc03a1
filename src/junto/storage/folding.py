"""Stored wire bytes back into what the model said: text, thinking and tool calls, in whatever wire it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.completion import Completion, Folder
from junto.core.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.dialects.wire import Wire

    type FoldAnswer = Callable[[str, bool, bytes], dict[str, Any] | None]


def answer_folder(wires: Mapping[str, Wire]) -> FoldAnswer:
    """A function (wire's name, whether it is a stream, body) -> answer.

    The answer is `{text, thinking, tool_calls: [{id, name, arguments}], finish_reason}`, with `failure` if the stream broke
    off; for embeddings `{vectors, dimensions}`, both counts. None when the wire is unknown or the body is no answer of it.
    """

    def fold_answer(name: str, stream: bool, body: bytes) -> dict[str, Any] | None:  # noqa: FBT001
        wire = wires.get(name)
        if wire is None:
            return None
        return _fold_stream(wire, body) if stream else _fold_whole(wire, body)

    return fold_answer


def readable(body: bytes) -> Any:
    """A body for people: the JSON value if it is one, else its text."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")


def _fold_stream(wire: Wire, body: bytes) -> dict[str, Any]:
    folder = Folder()
    parser = wire.event_parser()
    for event in (*parser.feed(body), *parser.end()):
        folder.add(event)
    answer = _answer(folder.completion())
    if folder.failure is not None:
        answer["failure"] = folder.failure.kind.value
    return answer


def _fold_whole(wire: Wire, body: bytes) -> dict[str, Any] | None:
    try:
        parsed = wire.parse_response(body)
    except UpstreamFailure:
        return None
    if isinstance(parsed, Completion):
        return _answer(parsed)
    return {"vectors": len(parsed.vectors), "dimensions": len(parsed.vectors[0]) if parsed.vectors else 0}


def _answer(completion: Completion) -> dict[str, Any]:
    return {
        "text": completion.text,
        "thinking": completion.thinking,
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in completion.tool_calls
        ],
        "finish_reason": completion.reason.value,
    }
