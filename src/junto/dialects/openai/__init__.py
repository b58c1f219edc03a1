"""OpenAI's dialect: chat completions, legacy completions and embeddings, as the servers that imitate it speak it too."""

from __future__ import annotations

from dataclasses import replace

from junto.core.chat import Operation
from junto.dialects.amendment import unchanged
from junto.dialects.openai import completions, embeddings, errors, peek, requests, responses
from junto.dialects.openai.amend import amend_chat, amend_completion
from junto.dialects.openai.council import parse_council, peek_council
from junto.dialects.openai.events import ChunkParser
from junto.dialects.openai.relay import relay_request
from junto.dialects.openai.stream import ChatRenderer, CompletionRenderer
from junto.dialects.openai.taps import StreamTap, WholeTap
from junto.dialects.wire import Wire

__all__ = ["CHAT", "COMPLETIONS", "COUNCIL", "EMBEDDINGS"]

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"

CHAT = Wire(
    name="openai.chat",
    dialect="openai",
    operation=Operation.CHAT,
    path="/chat/completions",
    whole_type=_JSON,
    stream_type=_EVENTS,
    peek=peek.peek_chat,
    parse_request=requests.parse_request,
    render_request=requests.render_request,
    relay_request=relay_request,
    parse_response=responses.parse_response,
    render_response=responses.render_response,
    event_parser=ChunkParser,
    event_renderer=ChatRenderer,
    stream_tap=StreamTap,
    whole_tap=WholeTap,
    render_error=errors.render_error,
    parse_error=errors.parse_error,
    amend=amend_chat,
)

COUNCIL = replace(
    CHAT, name="openai.council", path="/council/chat", peek=peek_council, parse_request=parse_council, amend=unchanged
)

COMPLETIONS = Wire(
    name="openai.completions",
    dialect="openai",
    operation=Operation.CHAT,
    path="/completions",
    whole_type=_JSON,
    stream_type=_EVENTS,
    peek=peek.peek_completion,
    parse_request=completions.parse_request,
    render_request=completions.render_request,
    relay_request=relay_request,
    parse_response=completions.parse_response,
    render_response=completions.render_response,
    event_parser=ChunkParser,
    event_renderer=CompletionRenderer,
    stream_tap=StreamTap,
    whole_tap=WholeTap,
    render_error=errors.render_error,
    parse_error=errors.parse_error,
    amend=amend_completion,
)

EMBEDDINGS = Wire(
    name="openai.embeddings",
    dialect="openai",
    operation=Operation.EMBED,
    path="/embeddings",
    whole_type=_JSON,
    stream_type=_EVENTS,
    peek=peek.peek_embedding,
    parse_request=embeddings.parse_request,
    render_request=embeddings.render_request,
    relay_request=relay_request,
    parse_response=embeddings.parse_response,
    render_response=embeddings.render_response,
    event_parser=embeddings.no_event_parser,
    event_renderer=embeddings.no_event_renderer,
    stream_tap=embeddings.no_stream_tap,
    whole_tap=lambda: WholeTap(embeddings=True),
    render_error=errors.render_error,
    parse_error=errors.parse_error,
)
