"""Several observers as one. A defect of an observer must not become a defect of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.exchange import ExchangeRecord
    from junto.ports.observer import (
        CouncilEnded,
        CouncilObserver,
        DispatchEnded,
        JobEnded,
        JobObserver,
        Observer,
        RefusalObserver,
        SwapEnded,
        SwapObserver,
    )


class Observers:
    """Tells each observer in turn. One that raises is logged the first time, and told again the next time.

    `swaps`, `refusals`, `jobs` and `councils` are those that see these; all that is told of is told through this one object.
    """

    __slots__ = ("_councils", "_failed", "_jobs", "_observers", "_refusals", "_swaps")

    def __init__(
        self,
        *observers: Observer,
        swaps: Sequence[SwapObserver] = (),
        refusals: Sequence[RefusalObserver] = (),
        jobs: Sequence[JobObserver] = (),
        councils: Sequence[CouncilObserver] = (),
    ) -> None:
        self._observers = observers
        self._swaps = tuple(swaps)
        self._refusals = tuple(refusals)
        self._jobs = tuple(jobs)
        self._councils = tuple(councils)
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

    def swap_ended(self, swap: SwapEnded) -> None:
        self._tell(self._swaps, lambda observer: observer.swap_ended(swap))

    def request_refused(self, *, status: int, code: str) -> None:
        self._tell(self._refusals, lambda observer: observer.request_refused(status=status, code=code))

    def job_submitted(self, *, task_type: str, queued: bool) -> None:
        self._tell(self._jobs, lambda observer: observer.job_submitted(task_type=task_type, queued=queued))

    def dispatch_ended(self, dispatch: DispatchEnded) -> None:
        self._tell(self._jobs, lambda observer: observer.dispatch_ended(dispatch))

    def council_ended(self, council: CouncilEnded) -> None:
        self._tell(self._councils, lambda observer: observer.council_ended(council))

    def job_ended(self, job: JobEnded) -> None:
        self._tell(self._jobs, lambda observer: observer.job_ended(job))

    def lease_lost(self) -> None:
        self._tell(self._jobs, lambda observer: observer.lease_lost())

    def write_fenced(self) -> None:
        self._tell(self._jobs, lambda observer: observer.write_fenced())

    def swept(self, *, what: str, count: int) -> None:
        self._tell(self._jobs, lambda observer: observer.swept(what=what, count=count))

    def webhook_tried(self, *, outcome: str) -> None:
        self._tell(self._jobs, lambda observer: observer.webhook_tried(outcome=outcome))

    def _tell[O](self, observers: Sequence[O], of: Callable[[O], None]) -> None:
        """For what is rare enough to be told through a function."""
        for observer in observers:
            try:
                of(observer)
            except Exception:  # noqa: BLE001
                self._note(observer)

    def _note(self, observer: object) -> None:
        if id(observer) not in self._failed:
            self._failed.add(id(observer))
            structlog.get_logger().exception("observer_failed", observer=type(observer).__name__)
