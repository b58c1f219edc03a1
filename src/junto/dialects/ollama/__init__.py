"""Ollama's dialect: chat, generate and the two embeddings endpoints. Served to callers and spoken to backends."""

from __future__ import annotations

from junto.core.chat import Operation
from junto.dialects.ollama.amend import amend_chat, amend_generate
from junto.dialects.ollama.embed import (
    parse_embed,
    parse_embeddings,
    parse_vectors,
    render_embed,
    render_embeddings,
    render_vector,
    render_vectors,
)
from junto.dialects.ollama.errors import parse_error, render_error
from junto.dialects.ollama.events import OllamaEventParser, chat_renderer, generate_renderer
from junto.dialects.ollama.relay import peek_chat, peek_embed, relay_request
from junto.dialects.ollama.requests import DIALECT, parse_chat, parse_generate, render_chat, render_generate
from junto.dialects.ollama.responses import parse_response, render_chat_response, render_generate_response
from junto.dialects.ollama.taps import OllamaStreamTap, OllamaVectorsTap, OllamaWholeTap
from junto.dialects.wire import Wire

__all__ = ["CHAT", "EMBED", "EMBEDDINGS", "GENERATE"]

_JSON = "application/json; charset=utf-8"
_NDJSON = "application/x-ndjson"

CHAT = Wire(
    name="ollama.chat",
    dialect=DIALECT,
    operation=Operation.CHAT,
    path="/api/chat",
    whole_type=_JSON,
    stream_type=_NDJSON,
    peek=peek_chat,
    parse_request=parse_chat,
    render_request=render_chat,
    relay_request=relay_request,
    parse_response=parse_response,
    render_response=render_chat_response,
    event_parser=OllamaEventParser,
    event_renderer=chat_renderer,
    stream_tap=OllamaStreamTap,
    whole_tap=OllamaWholeTap,
    render_error=render_error,
    parse_error=parse_error,
    amend=amend_chat,
)

GENERATE = Wire(
    name="ollama.generate",
    dialect=DIALECT,
    operation=Operation.CHAT,
    path="/api/generate",
    whole_type=_JSON,
    stream_type=_NDJSON,
    peek=peek_chat,
    parse_request=parse_generate,
    render_request=render_generate,
    relay_request=relay_request,
    parse_response=parse_response,
    render_response=render_generate_response,
    event_parser=OllamaEventParser,
    event_renderer=generate_renderer,
    stream_tap=OllamaStreamTap,
    whole_tap=OllamaWholeTap,
    render_error=render_error,
    parse_error=parse_error,
    amend=amend_generate,
)

EMBED = Wire(
    name="ollama.embed",
    dialect=DIALECT,
    operation=Operation.EMBED,
    path="/api/embed",
    whole_type=_JSON,
    stream_type=_NDJSON,
    peek=peek_embed,
    parse_request=parse_embed,
    render_request=render_embed,
    relay_request=relay_request,
    parse_response=parse_vectors,
    render_response=render_vectors,
    event_parser=OllamaEventParser,
    event_renderer=chat_renderer,
    stream_tap=OllamaStreamTap,
    whole_tap=OllamaVectorsTap,
    render_error=render_error,
    parse_error=parse_error,
)

EMBEDDINGS = Wire(
    name="ollama.embeddings",
    dialect=DIALECT,
    operation=Operation.EMBED,
    path="/api/embeddings",
    whole_type=_JSON,
    stream_type=_NDJSON,
    peek=peek_embed,
    parse_request=parse_embeddings,
    render_request=render_embeddings,
    relay_request=relay_request,
    parse_response=parse_vectors,
    render_response=render_vector,
    event_parser=OllamaEventParser,
    event_renderer=chat_renderer,
    stream_tap=OllamaStreamTap,
    whole_tap=OllamaVectorsTap,
    render_error=render_error,
    parse_error=parse_error,
)
