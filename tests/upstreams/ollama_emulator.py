"""An Ollama server on loopback, after Ollama's `docs/api.md` and `api/types.go` (0.40).

It also serves OpenAI's and Anthropic's `/v1` on the same port, as Ollama does, with the same models and script.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.upstreams import anthropic_render, ollama_ask, ollama_render, openai_render
from tests.upstreams.anthropic_emulator import AnthropicEmulator
from tests.upstreams.ask import Ask
from tests.upstreams.connection import Exchange
from tests.upstreams.ollama_memory import Busy, Memory
from tests.upstreams.ollama_models import (
    OllamaModel,
    full_name,
    lacking_capability,
    listed,
    local_models,
    remote_fields,
    running,
    shown,
)
from tests.upstreams.openai_emulator import OpenAIEmulator, RenderWords
from tests.upstreams.plan import Fail, Scripted
from tests.upstreams.playback import Rendered, play, play_planned
from tests.upstreams.script import Script
from tests.upstreams.wording import embedding

type RenderLoaded = Callable[[Ask, Scripted, int, Mapping[str, Any]], Rendered]

VERSION = "0.40.1"
BUSY = "server busy, please try again.  maximum pending requests exceeded"
DEFAULT_KEEP_ALIVE = 300.0


class OllamaEmulator(OpenAIEmulator):
    """Serves `/api/...`, `/` and `/v1/...` for the given models.

    `parallel`, `max_queue`, `max_loaded`, `cold_load` are as in `Memory`. A restart forgets what was loaded.
    """

    name = "ollama"

    def __init__(
        self,
        script: Script | None = None,
        *,
        models: Sequence[OllamaModel] | None = None,
        version: str = VERSION,
        parallel: int = 4,
        max_queue: int = 512,
        max_loaded: int = 3,
        cold_load: float = 0.0,
        port: int = 0,
    ) -> None:
        super().__init__(script, reasoning_field="reasoning", port=port)
        self.version = version
        self.parallel = parallel
        self.max_queue = max_queue
        self.max_loaded = max_loaded
        self.cold_load = cold_load
        self.set_models(local_models() if models is None else models)
        self.began()

    def set_models(self, models: Sequence[OllamaModel]) -> None:
        """Replace the models, as pulls and deletes would."""
        self.tags = {model.tag: model for model in models}
        self.models = list(self.tags)
        self.embedding_models = []
        bare = [tag.removesuffix(":latest") for tag in self.tags]
        self._anthropic = AnthropicEmulator(self.script, models=[*self.tags, *bare])

    def began(self) -> None:
        """Start with nothing loaded."""
        self.memory = Memory(
            parallel=self.parallel,
            max_queue=self.max_queue,
            max_loaded=self.max_loaded,
            cold_load=self.cold_load,
        )

    @property
    def resident(self) -> list[str]:
        """The tags that are loaded now."""
        return [model.tag for model, _ in self.memory.resident()]

    def known(self, model: str) -> bool:
        """Tell whether a name, with or without its tag, is a model here."""
        return full_name(model) in self.tags

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        request = exchange.received
        if request.path.startswith("/v1/messages"):
            await self._messages(exchange)
            return
        if request.path.startswith("/v1/"):
            await super().handle(exchange)
            return
        posts = {
            "/api/show": self._show,
            "/api/chat": self._chat,
            "/api/generate": self._generate,
            "/api/embed": self._embed_batch,
            "/api/embeddings": self._embed_one,
        }
        if request.method == "POST" and request.path in posts:
            body = await self._parsed(exchange)
            if body is not None:
                await posts[request.path](exchange, body)
            return
        await self._get(exchange)

    async def _get(self, exchange: Exchange) -> None:
        request = exchange.received
        if request.path == "/" and request.method in {"GET", "HEAD"}:
            await exchange.send(200, b"Ollama is running", "text/plain; charset=utf-8")
            return
        gets: dict[str, Callable[[], Any]] = {
            "/api/version": lambda: {"version": self.version},
            "/api/tags": lambda: {"models": [listed(model) for model in self.tags.values()]},
            "/api/ps": lambda: {"models": [running(*loaded) for loaded in self.memory.resident()]},
        }
        make = gets.get(request.path)
        if make is None or request.method not in {"GET", "HEAD"}:
            await exchange.send(404, b"404 page not found", "text/plain")
            return

        async def answer() -> None:
            await exchange.send_json(200, make())

        planned = self.script.planned_at(request.path)
        await play_planned(exchange, planned, ollama_render.error_answer, answer)

    async def _parsed(self, exchange: Exchange) -> dict[str, Any] | None:
        """Parse the body and check the model's name; None where it was refused."""
        if not exchange.received.body:
            await self._error(exchange, 400, "missing request body")
            return None
        try:
            body = exchange.received.json
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            await self._error(exchange, 400, "invalid character in request body")
            return None
        name = body.get("model") or body.get("name")
        if not name:
            await self._error(exchange, 400, "model is required")
            return None
        if not self.known(name):
            await self._error(exchange, 404, f"model '{name}' not found")
            return None
        return {**body, "model": name}

    async def _error(self, exchange: Exchange, status: int, message: str) -> None:
        await exchange.send_json(status, {"error": message})

    async def _busy(self, exchange: Exchange) -> None:
        """Refuse because the queue is full, in the words of the wire that was spoken."""
        fail = Fail(status=503, message=BUSY)
        path = exchange.received.path
        if path.startswith("/v1/messages"):
            refused = anthropic_render.error_answer(fail)
        elif path.startswith("/v1/"):
            refused = openai_render.error_answer(fail)
        else:
            refused = ollama_render.error_answer(fail)
        await exchange.send_json(refused.status, refused.body, refused.headers)

    async def _show(self, exchange: Exchange, body: dict[str, Any]) -> None:
        model = self.tags[full_name(body["model"])]

        async def answer() -> None:
            await exchange.send_json(200, shown(model))

        await play_planned(exchange, self.script.planned_at("/api/show"), ollama_render.error_answer, answer)

    async def _chat(self, exchange: Exchange, body: dict[str, Any]) -> None:
        if not body.get("messages"):
            await self._load_only(exchange, body, {"message": {"role": "assistant", "content": ""}})
            return
        await self._run(exchange, body, ollama_ask.chat_ask(body), ollama_render.render_chat)

    async def _generate(self, exchange: Exchange, body: dict[str, Any]) -> None:
        if not body.get("prompt"):
            await self._load_only(exchange, body, {"response": ""})
            return
        await self._run(exchange, body, ollama_ask.generate_ask(body), ollama_render.render_generate)

    async def _load_only(self, exchange: Exchange, body: dict[str, Any], empty: dict[str, Any]) -> None:
        """Load, or unload where keep_alive is 0: what an empty prompt means."""
        model = self.tags[full_name(body["model"])]
        keep = self._keep_alive(body)

        async def answer() -> None:
            if keep == 0:
                self.memory.unload(model.tag)
            else:
                await self.memory.load(model, keep)
            reason = {"done": True, "done_reason": "load" if keep else "unload"}
            head = {"model": body["model"], "created_at": ollama_render.CREATED_AT}
            await exchange.send_json(200, {**head, **empty, **reason})

        planned = self.script.planned_at(exchange.received.path)
        await play_planned(exchange, planned, ollama_render.error_answer, answer)

    async def _run(self, exchange: Exchange, body: dict[str, Any], ask: Ask, render: RenderLoaded) -> None:
        model = self.tags[full_name(body["model"])]
        lacking = lacking_capability(model, ask, exchange.received.path.removeprefix("/api/"))
        if lacking:
            await self._error(exchange, 400, lacking)
            return
        keep = self._keep_alive(body)
        async with self._slot(exchange) as taken:
            if not taken:
                return
            answer = self.script.planned_at(exchange.received.path) or self.script.answer(ask)
            load_ns = await self.memory.load(model, keep or DEFAULT_KEEP_ALIVE)
            await play(
                exchange,
                answer,
                stream=ask.stream,
                render=lambda planned: render(ask, planned, load_ns, remote_fields(model)),
                error=ollama_render.error_answer,
            )
            if keep == 0:
                self.memory.unload(model.tag)

    async def _infer(self, exchange: Exchange, read: Callable[[Mapping[str, Any]], Ask], render: RenderWords) -> None:
        """Answer on the OpenAI wire: the same queue and the same memory as on Ollama's own."""
        async with self._loaded(exchange) as taken:
            if taken:
                await super()._infer(exchange, read, render)

    async def _messages(self, exchange: Exchange) -> None:
        """Answer on the Anthropic wire: the same queue and the same memory, too."""
        async with self._loaded(exchange) as taken:
            if taken:
                await self._anthropic.handle(exchange)

    @asynccontextmanager
    async def _loaded(self, exchange: Exchange) -> AsyncIterator[bool]:
        """Take a slot and have the model that the body names in memory; false where the queue has refused it."""
        model = self.tags.get(full_name(self._asked_model(exchange)))
        async with self._slot(exchange) as taken:
            if taken and model is not None:
                await self.memory.load(model, DEFAULT_KEEP_ALIVE)
            yield taken

    @staticmethod
    def _asked_model(exchange: Exchange) -> str:
        try:
            return str(exchange.received.json["model"])
        except (ValueError, TypeError, KeyError):
            return ""

    @asynccontextmanager
    async def _slot(self, exchange: Exchange) -> AsyncIterator[bool]:
        """Take a slot for the length of an answer; false where the full queue has refused the request."""
        try:
            await self.memory.enter()
        except Busy:
            await self._busy(exchange)
            yield False
            return
        try:
            yield True
        finally:
            self.memory.leave()

    def _keep_alive(self, body: Mapping[str, Any]) -> float:
        return ollama_ask.keep_alive_seconds(body.get("keep_alive"), DEFAULT_KEEP_ALIVE)

    async def _embed_batch(self, exchange: Exchange, body: dict[str, Any]) -> None:
        given = body.get("input") or []
        inputs = [given] if isinstance(given, str) else list(given)
        model = self.tags[full_name(body["model"])]
        size = body.get("dimensions") or model.embedding_length

        async def answer() -> None:
            load_ns = await self.memory.load(model, self._keep_alive(body))
            await exchange.send_json(200, ollama_render.embeddings(body["model"], inputs, size, load_ns))

        planned = self.script.planned_at("/api/embed")
        await play_planned(exchange, planned, ollama_render.error_answer, answer)

    async def _embed_one(self, exchange: Exchange, body: dict[str, Any]) -> None:
        model = self.tags[full_name(body["model"])]

        async def answer() -> None:
            await self.memory.load(model, self._keep_alive(body))
            vector = embedding(body.get("prompt") or "", model.embedding_length)
            await exchange.send_json(200, {"embedding": vector})

        planned = self.script.planned_at("/api/embeddings")
        await play_planned(exchange, planned, ollama_render.error_answer, answer)
