"""Decides whether a URL may be called, and at which addresses. Implements ports.outbound.OutboundGuard.

Invariant: whoever connects uses the addresses that `admit` gave and never looks the name up again; a name that resolves
to something else a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from junto.core.errors import InvalidField
from junto.providers.outbound.ranges import Allowed, refusal
from junto.providers.outbound.urls import Destination, UnfitUrl, parse

if TYPE_CHECKING:
    from junto.providers.outbound.urls import Address

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_RESOLVE_SECONDS = 5.0
_MOST_ADDRESSES = 16


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host as the system knows them; raises OSError (UnicodeError for a name it cannot ask for)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Knows the rules. `allowed` is asked each time: a reload changes it."""

    def __init__(self, *, allowed: Callable[[], Allowed], resolve: Resolve = system_resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve

    async def check(self, url: str) -> None:
        await self.admit(url)

    async def admit(self, url: str) -> tuple[Destination, Sequence[Address]]:
        """Where the URL leads and every address it may be called at, in the resolver's order; raises InvalidField.

        One address that is refused refuses the whole: a name with a public and a private one is an attempt at something.
        """
        try:
            destination = parse(url)
        except UnfitUrl as unfit:
            raise InvalidField(f"The URL {unfit}.") from None
        allowed = self._allowed()
        addresses = await self._addresses(destination)
        if not allowed.has_host(destination.host):
            for address in addresses:
                kind = refusal(address)
                if kind is not None and not allowed.has_address(address):
                    raise InvalidField(f"The URL leads to {kind}, and the operator has not listed it (outbound.allow).")
        return destination, addresses

    async def _addresses(self, destination: Destination) -> Sequence[Address]:
        if destination.literal is not None:
            return (destination.literal,)
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await self._resolve(destination.host, destination.port)
            addresses = tuple(dict.fromkeys(ip_address(text) for text in found))
        except (OSError, UnicodeError, ValueError, TimeoutError):
            raise InvalidField("The URL's host cannot be resolved.") from None
        if not 0 < len(addresses) <= _MOST_ADDRESSES:
            raise InvalidField("The URL's host cannot be resolved.")
        return addresses
