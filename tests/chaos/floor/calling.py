"""Requests of every dialect, put to the application itself: no server, no socket but those that Junto opens."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.chaos.floor.configurations import NAMES

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from junto.web.asgi import App, Message

PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/council/chat",
    "/v1/embeddings",
    "/v1/messages",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/complete",
    "/complete/stream",
)
_PATIENCE = 20.0


def random_body(rng: random.Random, path: str, model: str, text: str) -> dict[str, Any]:
    """A body that says that text to that model."""
    stream = rng.random() < 0.5
    messages = [{"role": "user", "content": text}]
    match path:
        case "/v1/chat/completions" | "/api/chat":
            return {"model": model, "messages": messages, "stream": stream}
        case "/v1/council/chat":
            members = [{"name": name, "persona": "You say something.", "model": model} for name in ("Ann", "Bob")]
            council = rng.choice(("debate", "diverse-analysis", "peer-review"))
            chosen = {"members": members, "rounds": 1} if rng.random() < 0.8 else {}
            return {"template": council, "messages": messages, "stream": stream, "max_tokens": 9, **chosen}
        case "/v1/messages":
            return {"model": model, "messages": messages, "stream": stream, "max_tokens": 9}
        case "/v1/completions" | "/api/generate":
            return {"model": model, "prompt": text, "stream": stream}
        case "/v1/embeddings" | "/api/embed":
            return {"model": model, "input": text}
        case "/api/embeddings":
            return {"model": model, "prompt": text}
    return {"model": model, "messages": messages}


def marked(rng: random.Random, path: str, body: dict[str, Any], tier: str) -> dict[str, str]:
    """Say the tier somewhere, in the body or in the headers that are returned; sometimes a lower one beside it."""
    ways = ["header", "metadata", "both", "contradiction"] + (["field"] if path.startswith("/complete") else [])
    way = rng.choice(ways)
    headers = {"x-junto-sensitivity": tier} if way in {"header", "both"} else {}
    if way in {"metadata", "both", "contradiction"}:
        body["metadata"] = {"sensitivity": tier}
    if way == "contradiction":
        headers["x-junto-sensitivity"] = "public"
    if way == "field":
        body["sensitivity"] = tier
    if way == "metadata" and path.startswith("/complete") and tier != "public":
        body["sensitivity"] = "public"
    return headers


def random_name(rng: random.Random, names: list[str]) -> str:
    """Something that can be asked for, or nearly. A council, which is many requests, hardly ever: it has a path of its own."""
    if rng.random() < 0.95:
        names = [name for name in names if not name.startswith("council/")]
    name = rng.choice(names) if names and rng.random() < 0.9 else rng.choice(NAMES)
    return f"{name}:latest" if rng.random() < 0.1 else name


async def ask(app: App, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, bytes]:
    """The status and the whole body of the answer; TimeoutError when there is none in time."""
    encoded = json.dumps(body).encode()
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"content-length", b"%d" % len(encoded)), (b"content-type", b"application/json"), *pairs],
    }
    given, status, pieces = False, 0, []

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": encoded, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            pieces.append(message["body"])

    async with asyncio.timeout(_PATIENCE):
        await app(scope, receive, send)
    return status, b"".join(pieces)
