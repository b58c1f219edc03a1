"""Anthropic's dialect: the Messages API. Served to callers and spoken to Anthropic and to servers that speak its wire."""

from __future__ import annotations

from junto.core.chat import Operation
from junto.dialects.anthropic.amend import amend
from junto.dialects.anthropic.errors import parse_error, render_error
from junto.dialects.anthropic.event_renderer import AnthropicEventRenderer
from junto.dialects.anthropic.events import AnthropicEventParser
from junto.dialects.anthropic.relay import peek, relay_request
from junto.dialects.anthropic.requests import DIALECT, parse_request, render_count, render_request
from junto.dialects.anthropic.responses import parse_response, render_response
from junto.dialects.anthropic.taps import AnthropicStreamTap, AnthropicWholeTap
from junto.dialects.wire import Wire

__all__ = ["MESSAGES", "parse_count_tokens", "render_count"]

MESSAGES = Wire(
    name="anthropic.messages",
    dialect=DIALECT,
    operation=Operation.CHAT,
    path="/messages",
    whole_type="application/json",
    stream_type="text/event-stream; charset=utf-8",
    peek=peek,
    parse_request=parse_request,
    render_request=render_request,
    relay_request=relay_request,
    parse_response=parse_response,
    render_response=render_response,
    event_parser=AnthropicEventParser,
    event_renderer=AnthropicEventRenderer,
    stream_tap=AnthropicStreamTap,
    whole_tap=AnthropicWholeTap,
    render_error=render_error,
    parse_error=parse_error,
    amend=amend,
    passed_headers=frozenset({b"anthropic-version", b"anthropic-beta"}),
)

parse_count_tokens = parse_request  # the bodies are the same, but for the limit of tokens, which is optional in both
