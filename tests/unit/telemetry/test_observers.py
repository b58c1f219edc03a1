"""Several observers as one."""

from __future__ import annotations

from structlog.testing import capture_logs

from junto.core.exchange import ExchangeRecord
from junto.telemetry.observers import Observers
from tests.unit.telemetry.records import record


class Remembering:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def exchange_ended(self, record: ExchangeRecord) -> None:
        self.seen.append(record)

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        self.seen.append((backend, model, failure, retried))

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        self.seen.append((backend, model, state))


class Failing:
    def exchange_ended(self, record: ExchangeRecord) -> None:
        raise RuntimeError("broken")

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        raise RuntimeError("broken")

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        raise RuntimeError("broken")


def tell_everything(observers: Observers) -> None:
    observers.exchange_ended(record())
    observers.attempt_ended(backend="desk", model="m", failure="timeout", retried=True)
    observers.breaker_changed(backend="desk", model="m", state="open")


def test_each_observer_is_told_everything() -> None:
    first, second = Remembering(), Remembering()
    tell_everything(Observers(first, second))
    assert first.seen == second.seen == [record(), ("desk", "m", "timeout", True), ("desk", "m", "open")]


def test_an_observer_that_fails_keeps_neither_the_others_nor_the_request_from_going_on() -> None:
    last = Remembering()
    with capture_logs():
        tell_everything(Observers(Failing(), last))
    assert len(last.seen) == 3


def test_a_failing_observer_is_logged_once_and_another_one_as_well() -> None:
    observers = Observers(Failing(), Failing())
    with capture_logs() as logs:
        tell_everything(observers)
        tell_everything(observers)
    assert [(line["event"], line["observer"]) for line in logs] == [("observer_failed", "Failing")] * 2


def test_no_observer_at_all_is_fine() -> None:
    tell_everything(Observers())
