"""Anthropic's token counts and reasons to stop, and the core's. Its input tokens leave cached ones out, as the core's do."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.events import FinishReason
from junto.core.usage import Usage


class WireDetails(msgspec.Struct):
    """What output tokens were spent on."""

    thinking_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """Counts so far; a stream sends them twice or more, each time in full or in part."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: WireDetails | None = None

    def then(self, later: WireUsage) -> WireUsage:
        """These counts with later ones on top; counts only grow."""
        return WireUsage(
            input_tokens=_larger(self.input_tokens, later.input_tokens),
            output_tokens=_larger(self.output_tokens, later.output_tokens),
            cache_read_input_tokens=_larger(self.cache_read_input_tokens, later.cache_read_input_tokens),
            cache_creation_input_tokens=_larger(self.cache_creation_input_tokens, later.cache_creation_input_tokens),
            output_tokens_details=later.output_tokens_details or self.output_tokens_details,
        )

    def usage(self) -> Usage:
        """The same as the core counts it."""
        details = self.output_tokens_details
        return Usage.checked(
            input=self.input_tokens or 0,
            cache_read=self.cache_read_input_tokens or 0,
            cache_write=self.cache_creation_input_tokens or 0,
            output=self.output_tokens or 0,
            reasoning=(details.thinking_tokens or 0) if details is not None else 0,
        )


_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
_RENDERED_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


def parse_reason(reason: str | None) -> FinishReason:
    """Why the model stopped; a reason that nobody knows yet reads as a plain stop."""
    return _REASONS.get(reason or "", FinishReason.STOP)


def render_reason(reason: FinishReason) -> str:
    """Why the model stopped, in Anthropic's word."""
    return _RENDERED_REASONS[reason]


def render_usage(usage: Usage | None) -> dict[str, Any]:
    """The counts on the wire; zeros where nobody counted."""
    known = usage or Usage()
    wire: dict[str, Any] = {
        "input_tokens": known.input,
        "cache_creation_input_tokens": known.cache_write,
        "cache_read_input_tokens": known.cache_read,
        "output_tokens": known.output,
    }
    if known.reasoning:
        wire["output_tokens_details"] = {"thinking_tokens": known.reasoning}
    return wire


def _larger(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)
