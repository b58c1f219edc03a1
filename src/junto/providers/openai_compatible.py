"""The provider for every server that speaks OpenAI: vendors are rows of registry.py, quirks are data in profiles.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.dialects import openai
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply
from junto.providers.connection import Address, Connection
from junto.providers.profiles import adapt

if TYPE_CHECKING:
    from collections.abc import Coroutine

WIRES = (openai.CHAT, openai.COMPLETIONS, openai.EMBEDDINGS)


class OpenAICompatible:
    """One OpenAI-compatible backend."""

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._connection = Connection(address, WIRES, adapt=adapt)

    def open(self, clearance: Clearance, call: Call) -> Coroutine[Any, Any, Reply]:
        return self._connection.open(clearance, call)

    async def probe(self) -> Probe:
        answer = await self._connection.ask("GET", "/models")
        return Probe(models=tuple(parse_models(answer)))

    async def load(self, model: str) -> None:
        raise Unsupported(f"The backend {self.name} loads {model} by itself.")

    async def unload(self, model: str) -> None:
        raise Unsupported(f"The backend {self.name} keeps {model} as it sees fit.")

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        await self._connection.close()


class _Model(msgspec.Struct):
    id: str
    context_length: Any = None  # OpenRouter
    max_model_len: Any = None  # vLLM
    context_window: Any = None  # Groq
    meta: Any = None  # llama.cpp: {"n_ctx_train": ...}


class _Models(msgspec.Struct):
    data: list[_Model] | None = None


def parse_models(answer: bytes) -> list[FoundModel]:
    """Read a model list; raises UpstreamFailure(PROTOCOL) when it is none."""
    try:
        models = msgspec.json.decode(answer, type=_Models).data
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UpstreamFailure(FailureKind.PROTOCOL, "the model list is not one") from error
    return [
        FoundModel(name=model.id.removeprefix("models/"), context_length=_context(model))
        for model in models or ()
        if model.id
    ]


def _context(model: _Model) -> int | None:
    meta = model.meta if isinstance(model.meta, dict) else {}
    for value in (model.max_model_len, model.context_length, model.context_window, meta.get("n_ctx")):
        if isinstance(value, int) and value > 0:
            return value
    return None
