"""The native answer: core to wire and back. It says content, model, usage and tool calls, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Text, ToolCall
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.events import FinishReason
from junto.core.usage import Usage
from junto.dialects.decoding import decode_answer
from junto.dialects.openai.messages import WireToolCall, arguments_text, render_call

if TYPE_CHECKING:
    from junto.dialects.wire import Rendering


class WireUsage(msgspec.Struct):
    """Tokens, cached or not."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def usage(self) -> Usage:
        """In the core's classes."""
        return Usage.checked(input=self.prompt_tokens, output=self.completion_tokens)


class Answer(msgspec.Struct):
    """The whole answer."""

    content: str | None = None
    model: str = ""
    usage: WireUsage | None = None
    tool_calls: list[WireToolCall] = []
    error: Any = None


answer_decoder = msgspec.json.Decoder(Answer)


def parse_response(body: bytes) -> Completion:
    """The answer of another Junto."""
    answer = decode_answer(answer_decoder, body)
    if answer.content is None or answer.error is not None:
        raise UpstreamFailure(FailureKind.PROTOCOL, "an answer without content")
    words = (Text(answer.content),) if answer.content else ()
    calls = parse_calls(answer.tool_calls)
    return Completion(
        parts=(*words, *calls),
        reason=FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
        usage=answer.usage.usage if answer.usage else None,
        model=answer.model,
    )


def parse_calls(calls: list[WireToolCall]) -> tuple[ToolCall, ...]:
    """The tool calls of an answer."""
    return tuple(
        ToolCall(call.id or f"call_{at}", call.function.name, arguments_text(call.function.arguments))
        for at, call in enumerate(calls)
        if call.function is not None
    )


def render_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """The body of an answer."""
    if isinstance(answer, Embeddings):
        raise TypeError("embeddings are no completion")
    return msgspec.json.encode(
        {
            "content": answer.text,
            "model": rendering.model,
            "usage": render_usage(answer.usage),
            "tool_calls": [render_call(call) for call in answer.tool_calls],
        }
        | answer.beside
    )


def render_usage(usage: Usage | None) -> dict[str, int]:
    """The usage object; zeros only where not even an estimate is at hand."""
    usage = usage or Usage()
    return {"prompt_tokens": usage.prompt, "completion_tokens": usage.output}
