"""Runs one claim to its end: the work of its kind (an upstream call, a text said aloud) under a lease, and what is written down, once.

Synchronous and queued jobs go through here alike. Invariant: whatever ends an attempt (answer, error, cancellation, deadline, a lost
lease, a worker that stops), at most one write follows, and the database's fence decides whether it counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.core.errors import DeadlinePassed, JuntoError, Overloaded
from junto.jobs.calling import ChatWork, nothing_known
from junto.jobs.failures import RetryLater
from junto.jobs.funds import JobFunds, may_hold
from junto.jobs.leases import Stopped
from junto.jobs.model import ended
from junto.jobs.telling import dispatch_of, ended_of, swap_of
from junto.ports.jobs import AttemptOutcome, Ending, Kind, OnCrash, Retry, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from junto.core.exchange import ExchangeRecord
    from junto.gateway.pipeline import Pipeline
    from junto.jobs.calling import PolicyOf
    from junto.jobs.failures import FailureHandling
    from junto.jobs.leases import Held, Leases
    from junto.jobs.news import News, Told
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim, MakeId, WorkStore
    from junto.ports.observer import JobObserver
    from junto.ports.works import Attempt, Done, Work

_WRITE_AGAIN_SECONDS: Final = 0.5
_MOST_REASONS: Final = 32  # of an attempt
_LONGEST_REASON: Final = 300
_WRITE_SECONDS: Final = 60.0  # an end that could not be written for so long is left to the sweeper
_INTERNAL: Final = JuntoError("Something went wrong inside Junto.")
_NOT_HERE: Final = "This worker does nothing of that kind."


class Executor:
    """One for a process. `keeps_bodies` says of a tier whether what was asked stays stored after the job's end.

    `on_webhook` is called when the end of a job has put one into the outbox. `policy_of` says what a client may do by now. `works` do
    what is no chat.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: WorkStore,
        leases: Leases,
        *,
        news: News,
        failures: FailureHandling,
        observer: JobObserver,
        clock: Clock,
        make_id: MakeId,
        keeps_bodies: Callable[[str], bool],
        on_webhook: Callable[[], None] = lambda: None,
        policy_of: PolicyOf = nothing_known,
        works: Mapping[Kind, Work] | None = None,
        write_again: float = _WRITE_AGAIN_SECONDS,
    ) -> None:
        def funds_of(claim: Claim) -> JobFunds:
            return JobFunds(claim, store, clock, again=write_again)

        chat = ChatWork(pipeline, news=news, clock=clock, funds_of=funds_of, policy_of=policy_of)
        self._works: Mapping[Kind, Work] = {Kind.CHAT: chat, **(works or {})}
        self._store = store
        self._leases = leases
        self._news = news
        self._failures = failures
        self._observer = observer
        self._clock = clock
        self._make_id = make_id
        self._keeps_bodies = keeps_bodies
        self._on_webhook = on_webhook
        self._write_again = write_again
        self._telling: set[asyncio.Task[None]] = set()
        self._under_way: dict[str, Attempt] = {}
        self._log = structlog.get_logger()

    def watched(self, seen: Told) -> None:
        """Somebody watches this job, if it runs here."""
        if (attempt := self._under_way.get(seen.job_id)) is not None:
            telling = asyncio.create_task(attempt.watch(fence=seen.fence, offset=seen.offset))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def run(self, claim: Claim, *, since: float) -> None:
        """Run a claim that was asked for at `since` (monotonic), and write its end down. Never raises but for cancellation."""
        job = claim.job
        started_ms = self._clock.wall_ms()
        work = self._works.get(job.kind, _NOTHING)
        making = self._under_way[job.id] = work.attempt(claim, id=self._make_id("req"), stepped=self._stepped(job.id))
        attempt = asyncio.create_task(making.run(), name=f"job {job.id}")
        held = self._leases.hold(claim, attempt, lambda: making.tokens, since=since)
        try:
            await self._news.changed(job.id, Status.RUNNING.value)
            await self._until_over(attempt, held)
            outcome, code = await self._conclude(held, attempt, making)
        finally:
            if not attempt.done():
                attempt.cancel()
            self._leases.let_go(held)
            self._under_way.pop(job.id, None)
        self._observer.dispatch_ended(
            dispatch_of(claim, outcome, code, making.record, started_ms, self._clock.wall_ms())
        )

    def _stepped(self, job_id: str) -> Callable[[], Awaitable[None]]:
        return lambda: self._news.stepped(job_id)

    async def _until_over(self, attempt: asyncio.Task[Done], held: Held) -> None:
        remaining = held.claim.remaining_ms
        try:
            await asyncio.wait({attempt}, timeout=None if remaining is None else max(remaining, 0) / 1000)
            if not attempt.done():
                held.stop(Stopped.DEADLINE)
                await asyncio.wait({attempt})
        except asyncio.CancelledError:  # the worker's patience is over
            held.stop(Stopped.RELEASED)
            await asyncio.wait({attempt})

    async def _conclude(self, held: Held, attempt: asyncio.Task[Done], making: Attempt) -> tuple[AttemptOutcome, str]:
        """Write down what came of the attempt; how it ended, and the error's code."""
        claim, record = held.claim, making.record
        if not attempt.cancelled() and attempt.exception() is None:
            return await self._end(claim, self._complete(claim, attempt.result()))
        match held.stopped if attempt.cancelled() else None:
            case Stopped.LOST:
                self._observer.lease_lost()
                self._log.warning("lease_lost", job_id=claim.job.id, attempt=claim.attempt)
                return AttemptOutcome.FENCED, ""
            case Stopped.CANCELLED:
                return await self._end(claim, self._ending(claim, Status.CANCELLED, None, record, charged=True))
            case Stopped.RELEASED | None if attempt.cancelled():
                return await self._release(claim, record)
            case Stopped.DEADLINE:
                late = DeadlinePassed("The deadline passed before the job was done.")
                return await self._end(claim, self._ending(claim, Status.FAILED, late, record, charged=True))
        failure = attempt.exception()
        if not isinstance(failure, JuntoError):
            self._log.error("job_attempt_failed", job_id=claim.job.id, exc_info=failure)
        return await self._failed(claim, failure if isinstance(failure, JuntoError) else _INTERNAL, record)

    async def _failed(
        self, claim: Claim, error: JuntoError, record: ExchangeRecord | None
    ) -> tuple[AttemptOutcome, str]:
        step = await self._failures.after(claim, error)
        if isinstance(step, RetryLater):
            retry = Retry(
                delay_ms=step.delay_ms,
                error_code=error.code,
                model=step.model,
                counts=step.counts,
                reasons=reasons_of(error, record),
            )
            if await self._written(claim, lambda: self._store.retry(claim, retry)):
                await self._news.changed(claim.job.id, Status.PENDING.value)
                return AttemptOutcome.FAILED, error.code
            return AttemptOutcome.FENCED, error.code
        given_up = self._ending(claim, Status.FAILED, error, record)
        told = msgspec.structs.replace(given_up, error_code=step.error_code, error_message=step.error_message)
        return await self._end(claim, told)

    async def _release(self, claim: Claim, record: ExchangeRecord | None) -> tuple[AttemptOutcome, str]:
        """Give the job back; one that may be called once only has had its call."""
        if claim.job.on_crash is OnCrash.FAIL:
            stopped = Overloaded("The worker stopped, and the job is not to be run twice.")
            return await self._end(claim, self._ending(claim, Status.FAILED, stopped, record))
        if await self._written(claim, lambda: self._store.release(claim)):
            await self._news.changed(claim.job.id, Status.PENDING.value)
            return AttemptOutcome.RELEASED, ""
        return AttemptOutcome.FENCED, ""

    async def _end(self, claim: Claim, ending: Ending) -> tuple[AttemptOutcome, str]:
        finished_ms = await self._written(claim, lambda: self._store.finish(claim, ending))
        if finished_ms is None:
            return AttemptOutcome.FENCED, ending.error_code
        self._news.ended_here(ended(claim.job, ending, finished_ms))
        await self._news.changed(claim.job.id, ending.status.value)
        self._observer.job_ended(ended_of(claim, ending, self._clock.wall_ms()))
        if claim.job.webhook:
            self._on_webhook()
        return _OUTCOMES[ending.status], ending.error_code

    async def _written(self, claim: Claim, write: Callable[[], Awaitable[int | None]]) -> int | None:
        """Write until the database has taken it, or turned it away as stale; None then, and when it stays away for long."""
        until = self._clock.monotonic() + _WRITE_SECONDS
        is_sure = True
        while True:
            try:
                if written := await write():
                    return written
            except Overloaded:  # it may have happened: then the next try is turned away, and nothing is written twice
                is_sure = False
                if self._clock.monotonic() >= until:
                    self._log.error("job_end_not_written", job_id=claim.job.id)
                    return None
                await asyncio.sleep(self._write_again)
                continue
            if is_sure:
                self._observer.write_fenced()
                self._log.warning("write_fenced", job_id=claim.job.id, attempt=claim.attempt)
            return None

    def _complete(self, claim: Claim, done: Done) -> Ending:
        ending = self._ending(claim, Status.COMPLETE, None, done.record, charged=True)
        return msgspec.structs.replace(ending, answer=done.answer)

    def _ending(
        self,
        claim: Claim,
        status: Status,
        error: JuntoError | None,
        record: ExchangeRecord | None,
        *,
        charged: bool = False,
    ) -> Ending:
        """The end of a job. Charged is what answered, and what its caller cut short after it had begun to.

        Its deadline is the caller's own: were it free, text that was followed up to there would be.
        """
        ending = Ending(
            status=status,
            error_code="" if error is None else error.code,
            error_message="" if error is None else error.message,
            webhook_id=self._make_id("evt"),
            forget_request=not self._keeps_bodies(claim.job.sensitivity),
            reserved=may_hold(claim.job),
            reasons=reasons_of(error, record),
        )
        if record is None:
            return ending
        return msgspec.structs.replace(
            ending,
            model=record.model,
            backend=record.backend,
            finish_reason=record.finish_reason,
            usage=record.usage,
            latency_ms=record.duration_ms,
            swap_ms=swap_of(record),
            cost_nano=record.cost_nano if charged else 0,
            price_date=record.price_date,
        )


def reasons_of(error: JuntoError | None, record: ExchangeRecord | None) -> tuple[str, ...]:
    """Why backends did not answer: in the error's words, or of those that were tried before one did."""
    if error is not None and error.reasons:
        return _bounded(error.reasons)
    if record is None or len(record.attempts) == 1:
        return ()
    return _bounded([f"{one.backend}/{one.model}: {one.failure}" for one in record.attempts if one.failure])


def _bounded(reasons: Sequence[str]) -> tuple[str, ...]:
    return tuple(reason[:_LONGEST_REASON] for reason in reasons[:_MOST_REASONS])


_OUTCOMES: Final = {
    Status.COMPLETE: AttemptOutcome.OK,
    Status.FAILED: AttemptOutcome.FAILED,
    Status.CANCELLED: AttemptOutcome.CANCELLED,
}


class _Nothing:
    """The work of kinds that this process has no hand for: another worker may have."""

    @staticmethod
    def attempt(claim: Claim, *, id: str, stepped: Callable[[], Awaitable[None]]) -> _Unable:  # noqa: ARG004
        return _Unable()


class _Unable:
    tokens = 0
    record: ExchangeRecord | None = None

    async def run(self) -> Done:
        raise Overloaded(_NOT_HERE)

    async def watch(self, *, fence: int, offset: int) -> None:
        """There is nothing to be seen."""


_NOTHING: Final = _Nothing()
