"""Where exchanges go, and where they are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord


class Recorder(Protocol):
    """Takes exchange records, durably, before their answers are acknowledged."""

    @property
    def has_room(self) -> bool:
        """False when the buffer is at its limit: new work must then be refused, never silently unrecorded."""

    @property
    def has_room_for_bodies(self) -> bool:
        """False when the buffer fills faster than it drains: exchanges are then written down without their bodies."""

    def append(self, record: ExchangeRecord) -> None:
        """Write the record down (one write, no wait for the database). Synchronous: when it returns, kill -9 loses nothing.

        Raises core.errors.Overloaded when it cannot be written: the exchange must then not be acknowledged. Bodies of a record
        that is not to be kept in full are dropped here; of a record to be kept as `none` only what the ledger needs is written.
        """

    def add(self, record: ExchangeRecord) -> None:
        """As `append`, but written down by the next `commit`, together with others: until then it must not be acknowledged."""

    def commit(self) -> None:
        """Write down what was added; raises Overloaded if any of it since the last commit could not be written."""


class ExchangeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which exchanges to list: newest first; `before` is an id for the next page; `limit` is at most 200."""

    limit: int = 50
    before: str | None = None
    model: str | None = None
    backend: str | None = None
    client: str | None = None
    sensitivity: str | None = None
    outcome: str | None = None
    since_ms: int | None = None


class ExchangeStore(Protocol):
    """Reads stored exchanges, as plain JSON-ready dictionaries."""

    async def page(self, query: ExchangeQuery) -> list[dict[str, Any]]:
        """Metadata of the exchanges that match, newest first."""

    async def find(self, exchange_id: str) -> dict[str, Any] | None:
        """One exchange with its decompressed bodies, folded into text and thinking."""

    async def stats(self) -> dict[str, Any]:
        """Counts, sizes and the compression ratio."""
