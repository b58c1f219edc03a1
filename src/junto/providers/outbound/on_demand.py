"""The deliverer of webhooks, loaded for the first of them: most processes never deliver one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.ports.outbound import Delivered, Deliverer
    from junto.providers.outbound.guard import Guard


class DelivererOnDemand:
    """Implements ports.outbound.Deliverer with a PinnedDeliverer, which is loaded in a thread, so that importing stops nobody."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._loading = asyncio.Lock()
        self._deliverer: Deliverer | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Delivered:
        return await (self._deliverer or await self._loaded()).post(url, headers, body)

    async def close(self) -> None:
        if self._deliverer is not None:
            await self._deliverer.close()

    async def _loaded(self) -> Deliverer:
        async with self._loading:
            if self._deliverer is None:
                self._deliverer = await asyncio.to_thread(_load, self._guard)
        return self._deliverer


def _load(guard: Guard) -> Deliverer:
    # Its HTTP library takes two megabytes, and a twentieth of the whole start.
    from junto.providers.outbound.deliverer import PinnedDeliverer  # noqa: PLC0415

    return PinnedDeliverer(guard)
