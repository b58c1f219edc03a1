"""A provider for models that refuse `max_tokens`: callers, jobs and routes may spell the bound in the usual way all the same.

Stands in front of the backend's own provider for deployments of such models only, so that all others pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.dialects import openai
from junto.dialects.openai.amend import respell_limit

if TYPE_CHECKING:
    from junto.ports.provider import Call, Clearance, Probe, Provider, Reply


class Respelling:
    """Sends chats on with the bound in the spelling that these models take; everything else as it is."""

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self._provider = provider

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        if call.wire is not openai.CHAT:
            return await self._provider.open(clearance, call)
        respelled = msgspec.structs.replace(call, body=respell_limit(call.body))
        try:
            return await self._provider.open(clearance, respelled)
        finally:
            call.was_sent = respelled.was_sent

    async def probe(self) -> Probe:
        return await self._provider.probe()

    async def load(self, model: str) -> None:
        await self._provider.load(model)

    async def unload(self, model: str) -> None:
        await self._provider.unload(model)

    async def start(self) -> None:
        await self._provider.start()

    async def close(self) -> None:
        await self._provider.close()
