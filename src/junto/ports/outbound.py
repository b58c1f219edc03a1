"""Addresses that users name: whether Junto may go there, and going there. Webhooks today, images and backends of users later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery: the status of the answer, or why there was none.

    `failure` is in Junto's own words and fit to be shown to the owner of the URL: it holds no address and no text of the
    receiver's. It is "" for a 2xx.
    """

    status: int | None = None
    failure: str = ""
    retry_after: float | None = None  # seconds, as the receiver asked for

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has taken it."""
        return not self.failure


class OutboundGuard(Protocol):
    """Says at submit whether a URL may ever be called. A URL that passes is checked again when it is called."""

    async def check(self, url: str) -> None:
        """Raises core.errors.InvalidField, which names the reason, for a URL that is malformed or leads where Junto must not go.

        A host that cannot be resolved now is refused too. The error's `param` is None: whoever has the field names it.
        """


class Deliverer(Protocol):
    """Sends to a URL that a user named, to no other address than the one that was checked, and follows no redirect."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Delivered:
        """Send once, bounded in time and size. Never raises but for cancellation."""

    async def close(self) -> None:
        """Let go of what is open; safe to call twice."""
