"""The provider for Anthropic's own API."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.dialects import anthropic
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply
from junto.providers.connection import Address, Connection

VERSION_LINE = b"anthropic-version: 2023-06-01\r\n"


class Anthropic:
    """One Anthropic account, or a server that speaks like it."""

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._connection = Connection(replace(address, extra_head=VERSION_LINE), (anthropic.MESSAGES,))

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        return await self._connection.open(clearance, call)

    async def probe(self) -> Probe:
        answer = await self._connection.ask("GET", "/models?limit=1000")
        try:
            models = msgspec.json.decode(answer, type=_Models).data
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UpstreamFailure(FailureKind.PROTOCOL, "the model list is not one") from error
        return Probe(models=tuple(FoundModel(name=model.id) for model in models if model.id))

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


class _Models(msgspec.Struct):
    data: list[_Model]
