"""An OpenAI-compatible server on loopback: models, chat, completions, embeddings, errors in OpenAI's shape."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from tests.upstreams.ask import Ask, count_words
from tests.upstreams.connection import Exchange
from tests.upstreams.openai_ask import chat_ask, completion_ask
from tests.upstreams.openai_render import (
    CREATED,
    ChatWords,
    error_answer,
    error_body,
    render_chat,
    render_completion,
)
from tests.upstreams.plan import Scripted
from tests.upstreams.playback import Rendered, play, play_planned
from tests.upstreams.script import Script
from tests.upstreams.server import LoopbackServer
from tests.upstreams.wording import embedding

type RenderWords = Callable[[Ask, Scripted, ChatWords], Rendered]


class OpenAIEmulator(LoopbackServer):
    """Serves `/v1/...`; `url` has no `/v1` at its end, `base_url` has.

    With an `api_key`, requests without it get 401. Models that are not listed get 404.
    """

    name = "openai"

    def __init__(
        self,
        script: Script | None = None,
        *,
        models: Sequence[str] = ("gpt-test", "gpt-test-mini"),
        embedding_models: Sequence[str] = ("embed-test",),
        api_key: str | None = None,
        dimensions: int = 64,
        reasoning_field: str = "reasoning_content",
        done_marker: bool = True,
        port: int = 0,
    ) -> None:
        super().__init__(script, port=port)
        self.models = list(models)
        self.embedding_models = list(embedding_models)
        self.api_key = api_key
        self.dimensions = dimensions
        self.reasoning_field = reasoning_field
        self.done_marker = done_marker
        self._numbers = count(1)

    @property
    def base_url(self) -> str:
        """The address that OpenAI's clients want."""
        return f"{self.url}/v1"

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request under `/v1`."""
        request = exchange.received
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            await self.refuse(exchange, 401, "Incorrect API key provided.")
            return
        match request.method, request.path:
            case "GET", "/v1/models":
                await self._list(exchange)
            case "GET", path if path.startswith("/v1/models/"):
                await self._model(exchange, path.removeprefix("/v1/models/"))
            case "POST", "/v1/chat/completions":
                await self._infer(exchange, chat_ask, render_chat)
            case "POST", "/v1/completions":
                await self._infer(exchange, completion_ask, render_completion)
            case "POST", "/v1/embeddings":
                await self._embed(exchange)
            case method, path:
                await self.refuse(exchange, 404, f"Invalid URL ({method} {path})", "unknown_url")

    async def refuse(
        self, exchange: Exchange, status: int, message: str, kind: str = "", param: str | None = None
    ) -> None:
        """Answer with an error in OpenAI's shape."""
        await exchange.send_json(status, error_body(status, message, kind, param))

    def known(self, model: str) -> bool:
        """Tell whether a model may be asked."""
        return model in self.models or model in self.embedding_models

    async def _list(self, exchange: Exchange) -> None:
        async def models() -> None:
            listed = [model_object(name) for name in [*self.models, *self.embedding_models]]
            await exchange.send_json(200, {"object": "list", "data": listed})

        await play_planned(exchange, self.script.planned_at("/v1/models"), error_answer, models)

    async def _model(self, exchange: Exchange, name: str) -> None:
        if self.known(name):
            await exchange.send_json(200, model_object(name))
        else:
            await self._unknown(exchange, name)

    async def _unknown(self, exchange: Exchange, name: str) -> None:
        await self.refuse(exchange, 404, f"The model `{name}` does not exist or you do not have access to it.")

    async def _body(self, exchange: Exchange, *required: str) -> dict[str, Any] | None:
        """Parse and check the body; None where it was refused."""
        try:
            body = exchange.received.json
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            await self.refuse(exchange, 400, "We could not parse the JSON body of your request.")
            return None
        for name in ("model", *required):
            if name not in body:
                await self.refuse(exchange, 400, f"Missing required parameter: '{name}'.", "", name)
                return None
        if not self.known(body["model"]):
            await self._unknown(exchange, body["model"])
            return None
        return body

    async def _infer(self, exchange: Exchange, read: Callable[[Mapping[str, Any]], Ask], render: RenderWords) -> None:
        path = exchange.received.path
        body = await self._body(exchange, "messages" if path.startswith("/v1/chat") else "prompt")
        if body is None:
            return
        ask = read(body)
        words = ChatWords(
            id=f"chatcmpl-{next(self._numbers)}",
            reasoning_field=self.reasoning_field,
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            done_marker=self.done_marker,
        )
        answer = self.script.planned_at(path) or self.script.answer(ask)
        await play(
            exchange,
            answer,
            stream=ask.stream,
            render=lambda planned: render(ask, planned, words),
            error=error_answer,
        )

    async def _embed(self, exchange: Exchange) -> None:
        body = await self._body(exchange, "input")
        if body is None:
            return

        async def vectors() -> None:
            await exchange.send_json(200, embeddings_object(body, self.dimensions))

        await play_planned(exchange, self.script.planned_at("/v1/embeddings"), error_answer, vectors)


def model_object(name: str) -> dict[str, Any]:
    """Make an entry of the model list."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "emulator"}


def embeddings_object(body: Mapping[str, Any], dimensions: int) -> dict[str, Any]:
    """Answer an embeddings request: floats, or base64 of little-endian 32-bit floats."""
    inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
    size = body.get("dimensions") or dimensions
    vectors = [embedding(str(text), size) for text in inputs]
    encoded = body.get("encoding_format") == "base64"
    tokens = count_words(list(map(str, inputs)))
    return {
        "object": "list",
        "model": body["model"],
        "data": [
            {"object": "embedding", "index": index, "embedding": packed(vector) if encoded else vector}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def packed(vector: Sequence[float]) -> str:
    """Encode a vector as OpenAI does for `encoding_format: base64`."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
