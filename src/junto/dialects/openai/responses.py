"""The whole chat completion: wire to core and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Text, Thinking, ToolCall
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, UpstreamFailure
from junto.dialects.openai.chunks import UNREADABLE, Answer, Choice, Said, decode_answer, finish_reason, invented_id
from junto.dialects.openai.errors import failure_of
from junto.dialects.openai.messages import arguments_text, render_call
from junto.dialects.openai.usage import parse_usage, render_usage

if TYPE_CHECKING:
    from junto.dialects.wire import Rendering


def read_answer(body: bytes) -> tuple[Answer, Choice]:
    """An upstream's answer and its first choice; raises UpstreamFailure for everything else."""
    try:
        answer = decode_answer(body)
    except UNREADABLE as error:
        raise UpstreamFailure(FailureKind.PROTOCOL, f"unreadable answer: {type(error).__name__}") from None
    if answer.failed:
        raise failure_of({"error": answer.failed})
    if not answer.choices:
        raise UpstreamFailure(FailureKind.PROTOCOL, "an answer without choices")
    return answer, answer.choices[0]


def parse_response(body: bytes) -> Completion:
    """The answer: reasoning first, then words, then calls."""
    answer, choice = read_answer(body)
    if choice.message is None:
        raise UpstreamFailure(FailureKind.PROTOCOL, "a choice without a message")
    said = choice.message
    parts: list[Text | Thinking | ToolCall] = []
    if said.thinking:
        parts.append(Thinking(said.thinking))
    if said.text:
        parts.append(Text(said.text))
    calls = _parse_calls(said, answer.key)
    return Completion(
        parts=(*parts, *calls),
        reason=finish_reason(choice.finish_reason, called=bool(calls)),
        usage=parse_usage(answer.usage),
        model=answer.name,
        id=answer.key,
    )


def _parse_calls(said: Said, answer: str) -> list[ToolCall]:
    calls = []
    for index, piece in enumerate(said.calls):
        name = (piece.function and piece.function.name) or ""
        arguments = arguments_text(piece.function.arguments) if piece.function else ""
        calls.append(ToolCall(piece.id or invented_id(answer, index, name), name, arguments))
    return calls


def render_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """The body of a chat completion."""
    if isinstance(answer, Embeddings):
        raise TypeError("embeddings are no chat completion")
    body: dict[str, Any] = {
        "id": rendering.id,
        "object": "chat.completion",
        "created": rendering.created,
        "model": rendering.model,
        "choices": [
            {
                "index": 0,
                "message": render_message(answer),
                "logprobs": None,
                "finish_reason": answer.reason.value,
            }
        ],
    }
    if answer.usage is not None:
        body["usage"] = render_usage(answer.usage)
    return msgspec.json.encode(body | answer.beside)


def render_message(answer: Completion) -> dict[str, Any]:
    """The assistant's message; content is null only where there are calls instead."""
    calls = [render_call(call) for call in answer.tool_calls]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text or (None if calls else ""),
        "refusal": None,
    }
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if calls:
        message["tool_calls"] = calls
    return message
