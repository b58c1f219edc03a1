"""What telemetry hangs on: called synchronously on the hot path, so it must only count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord


class Observer(Protocol):
    """Sees what happened. Must not raise, block or keep references to bodies."""

    def exchange_ended(self, record: ExchangeRecord) -> None:
        """An exchange was settled."""

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        """An attempt ended; `failure` is "" for success, `retried` whether it was not the first at its deployment."""

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        """A breaker went to closed, open or half_open."""
