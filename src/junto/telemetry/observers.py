"""Several observers as one. A defect of an observer must not become a defect of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord
    from junto.ports.observer import Observer


class Observers:
    """Tells each observer in turn. One that raises is logged the first time, and told again the next time."""

    __slots__ = ("_failed", "_observers")

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failed: set[int] = set()

    def exchange_ended(self, record: ExchangeRecord) -> None:
        for observer in self._observers:
            try:
                observer.exchange_ended(record)
            except Exception:  # noqa: BLE001  whatever it is, the exchange itself went well
                self._note(observer)

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        for observer in self._observers:
            try:
                observer.attempt_ended(backend=backend, model=model, failure=failure, retried=retried)
            except Exception:  # noqa: BLE001
                self._note(observer)

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        for observer in self._observers:
            try:
                observer.breaker_changed(backend=backend, model=model, state=state)
            except Exception:  # noqa: BLE001
                self._note(observer)

    def _note(self, observer: Observer) -> None:
        if id(observer) not in self._failed:
            self._failed.add(id(observer))
            structlog.get_logger().exception("observer_failed", observer=type(observer).__name__)
