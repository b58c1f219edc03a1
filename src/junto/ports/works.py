"""What a job of one kind has done, as the executor asks for it. Leases, fences, retries and the end are the executor's, whatever the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.exchange import ExchangeRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.ports.jobs import Claim


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the answer as it is stored, JSON, and the exchange that it came by."""

    answer: bytes
    record: ExchangeRecord


class Attempt(Protocol):
    """One attempt at a job."""

    @property
    def tokens(self) -> int:
        """About how much was done so far, for the job's row."""

    @property
    def record(self) -> ExchangeRecord | None:
        """What was settled, once it was; of an attempt that was broken off, too."""

    async def run(self) -> Done:
        """Do it to the end; raises a JuntoError. Cancelled, it stops whatever works for it."""

    async def watch(self, *, fence: int, offset: int) -> None:
        """Somebody watches, and has the text of the attempt with that fence up to that offset."""


class Work(Protocol):
    """One kind of work."""

    def attempt(self, claim: Claim, *, id: str, stepped: Callable[[], Awaitable[None]]) -> Attempt:
        """An attempt under that id, not begun. `stepped` is to be called when one of the job's parts is done and written down."""
