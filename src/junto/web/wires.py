"""Which wire is spoken at which path: those that are served, and in whose shape an error is told elsewhere.

Knows no framework, so that who needs no more than this does not load one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.dialects import anthropic, native, ollama, openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.dialects.wire import Wire
    from junto.web.asgi import Scope

INFERENCE: Final[Mapping[str, Wire]] = {
    "/v1/chat/completions": openai.CHAT,
    "/v1/completions": openai.COMPLETIONS,
    "/v1/council/chat": openai.COUNCIL,
    "/v1/embeddings": openai.EMBEDDINGS,
    "/v1/messages": anthropic.MESSAGES,
    "/api/chat": ollama.CHAT,
    "/api/generate": ollama.GENERATE,
    "/api/embed": ollama.EMBED,
    "/api/embeddings": ollama.EMBEDDINGS,
    "/complete": native.COMPLETE,
    "/complete/stream": native.COMPLETE_STREAM,
}


def wire_of(scope: Scope) -> Wire:
    """The wire whose error shape this caller expects: told by the path, and where two dialects share one, by the headers."""
    path = scope["path"]
    if path.startswith("/v1/messages") or (path.startswith("/v1/models") and _speaks_anthropic(scope)):
        return anthropic.MESSAGES
    if path.startswith("/v1/"):
        return openai.CHAT
    if path.startswith("/api/"):
        return ollama.CHAT
    return native.COMPLETE


def _speaks_anthropic(scope: Scope) -> bool:
    return any(name == b"anthropic-version" for name, _ in scope["headers"])
