"""An Anthropic server on loopback: messages, count_tokens, models, errors in Anthropic's shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.upstreams.anthropic_ask import messages_ask, prompt_tokens, replayed_thinking
from tests.upstreams.anthropic_render import error_answer, error_body, render_message, signature_of
from tests.upstreams.connection import Exchange
from tests.upstreams.playback import play, play_planned
from tests.upstreams.script import Script
from tests.upstreams.server import LoopbackServer

ROLES = frozenset({"user", "assistant", "system"})
VERSION_HEADER = "anthropic-version"


class AnthropicEmulator(LoopbackServer):
    """Serves `/v1/messages`, `/v1/messages/count_tokens` and `/v1/models`; `url` has no `/v1` at its end.

    Requests need `anthropic-version` and, with an `api_key`, that key in `x-api-key` or as a bearer token. Thinking
    that is sent back must carry the signature it was given, byte for byte. Counts that a plan omits are reported as zero: the wire has no
    answer without them.
    """

    name = "anthropic"

    def __init__(
        self,
        script: Script | None = None,
        *,
        models: Sequence[str] = ("claude-test", "claude-test-mini"),
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(script, port=port)
        self.models = list(models)
        self.api_key = api_key
        self._numbers = count(1)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request under `/v1`."""
        if not await self._admitted(exchange):
            return
        request = exchange.received
        match request.method, request.path:
            case "POST", "/v1/messages":
                await self._message(exchange)
            case "POST", "/v1/messages/count_tokens":
                await self._count(exchange)
            case "GET", "/v1/models":
                await self._list(exchange)
            case "GET", path if path.removeprefix("/v1/models/") in self.models:
                await exchange.send_json(200, model_object(path.removeprefix("/v1/models/")))
            case _:
                await self._refuse(exchange, 404, "Not found")

    async def _refuse(self, exchange: Exchange, status: int, message: str) -> None:
        await exchange.send_json(status, error_body(status, message), {"request-id": "req_emulated"})

    async def _admitted(self, exchange: Exchange) -> bool:
        headers = exchange.received.headers
        # The SDK sends its key as a bearer token since 2.x; the documented header is x-api-key. Both are taken.
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if self.api_key and not key:
            await self._refuse(exchange, 401, "x-api-key header is required")
        elif self.api_key and key != self.api_key:
            await self._refuse(exchange, 401, "invalid x-api-key")
        elif VERSION_HEADER not in headers:
            await self._refuse(exchange, 400, "anthropic-version: header is required")
        else:
            return True
        return False

    async def _body(self, exchange: Exchange, *required: str) -> dict[str, Any] | None:
        """Parse and check the body; None where it was refused."""
        try:
            body = exchange.received.json
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            await self._refuse(exchange, 400, "The request body is not valid JSON")
            return None
        wrong = self._wrong(body, required)
        if wrong:
            await self._refuse(exchange, 400, wrong)
            return None
        if body["model"] not in self.models:
            await self._refuse(exchange, 404, f"model: {body['model']}")
            return None
        return body

    def _wrong(self, body: dict[str, Any], required: Sequence[str]) -> str | None:
        """Say what is wrong with a body, in Anthropic's words."""
        missing = next((name for name in required if name not in body), None)
        if missing:
            return f"{missing}: Field required"
        for number, message in enumerate(body["messages"]):
            if message.get("role") not in ROLES:
                return f"messages.{number}.role: Input should be 'user', 'assistant' or 'system'"
        for place, block in replayed_thinking(body):
            if block.get("signature") != signature_of(block.get("thinking", "")):
                return f"{place}: Invalid `signature` in `thinking` block"
        return None

    async def _message(self, exchange: Exchange) -> None:
        body = await self._body(exchange, "model", "max_tokens", "messages")
        if body is None:
            return
        ask = messages_ask(body)
        message_id = f"msg_{next(self._numbers):024d}"
        answer = self.script.planned_at("/v1/messages") or self.script.answer(ask)
        await play(
            exchange,
            answer,
            stream=ask.stream,
            render=lambda planned: render_message(ask, planned, message_id),
            error=error_answer,
        )

    async def _count(self, exchange: Exchange) -> None:
        body = await self._body(exchange, "model", "messages")
        if body is None:
            return

        async def counted() -> None:
            await exchange.send_json(200, {"input_tokens": prompt_tokens(body)})

        planned = self.script.planned_at("/v1/messages/count_tokens")
        await play_planned(exchange, planned, error_answer, counted)

    async def _list(self, exchange: Exchange) -> None:
        async def models() -> None:
            data = [model_object(name) for name in self.models]
            ends = {"first_id": self.models[0], "last_id": self.models[-1]} if data else {}
            await exchange.send_json(200, {"data": data, "has_more": False, **ends})

        await play_planned(exchange, self.script.planned_at("/v1/models"), error_answer, models)


def model_object(name: str) -> dict[str, Any]:
    """Make an entry of the model list."""
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-02-19T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }
