"""Jobs for their callers: submit, read, list, cancel, wait, follow.

Owns who may see a job (whoever submitted it, and the administrator) and when a submission counts as accepted: when its row is
committed, and not before. A caller that goes away changes nothing about its job.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.errors import BudgetExceeded, Conflict, InvalidField, NotFound, Overloaded
from junto.identity.principal import ApiScope
from junto.jobs.request import decode_request
from junto.jobs.telling import ended_unrun
from junto.ports.jobs import Idempotency, JobQuery, Kind, NewJob, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.gateway.permit import Permit
    from junto.gateway.runtime import Current
    from junto.identity.principal import Principal
    from junto.jobs.news import Listener, News
    from junto.jobs.runs import Runs
    from junto.jobs.submission import Planner, Prospect, Submission
    from junto.ports.clock import Clock
    from junto.ports.jobs import Job, JobAttempt, JobStore, MakeId, Submitted
    from junto.ports.observer import JobObserver
    from junto.ports.outbound import OutboundGuard
    from junto.ports.queue import JobQueue

type Admit = Callable[[Principal, int], Awaitable[Permit | None]]

_LOOK_SECONDS: Final = 2.0  # between two looks at a job that is waited for, should its news have been lost
_SYNC_SECONDS: Final = 600.0
_CANCEL_SECONDS: Final = 5.0
_LONGEST_SHOWN = 64


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that was accepted: the job as it stands, and the headers that tell of the caller's limits."""

    job: Job
    limits: tuple[tuple[bytes, bytes], ...] = ()


class Jobs:
    """One for a process. `admit` asks the limits for a submission of so many tokens (about).

    `end_overdue` ends what waits beyond its deadline: whoever waits for such a job need not wait for the next sweep.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        planner: Planner,
        runs: Runs,
        queue: JobQueue,
        news: News,
        guard: OutboundGuard,
        current: Current,
        observer: JobObserver,
        clock: Clock,
        make_id: MakeId,
        admit: Admit,
        end_overdue: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._planner = planner
        self._runs = runs
        self._queue = queue
        self._news = news
        self._guard = guard
        self._current = current
        self._observer = observer
        self._clock = clock
        self._make_id = make_id
        self._admit = admit
        self._end_overdue = end_overdue

    async def submit(self, principal: Principal, asked: Submission) -> Accepted:
        """Accept a job; it comes back as it stands once the caller has waited as long as it wanted to.

        Raises InvalidRequest for what can never run, NotServable, RateLimited, BudgetExceeded, Overloaded (nothing was accepted, or
        nobody knows: the same idempotency key tells), Conflict for a key whose first request is still waited for.
        """
        job_id = self._make_id("job")
        now = self._clock.monotonic()
        prospect = self._planner.prospect(asked, principal, self._current.runtime, now, job_id)
        return await self.submit_planned(principal, asked, prospect, job_id)

    async def submit_planned(
        self, principal: Principal, asked: Submission, prospect: Prospect, job_id: str | None = None
    ) -> Accepted:
        """The same for what was planned elsewhere: a job of another kind."""
        job_id = job_id or self._make_id("job")
        permit = await self._admit(principal, prospect.tokens)
        used = prospect.tokens  # of a job that goes on without its caller: nobody comes back to the limits later
        try:
            await self._check_webhook(asked)  # a name look-up, so nobody has more of them than the limits let in
            submitted = await self._accepted(principal, asked, prospect, job_id)
            job = submitted.job
            if not submitted.is_new:
                used = 0
            elif job.status.is_end:
                used = job.tokens_in + (job.tokens_out if job.kind is Kind.CHAT else 0)
            return Accepted(job=job, limits=() if permit is None else permit.headers)
        except (InvalidField, BudgetExceeded, Conflict):
            used = 0
            raise
        finally:
            if permit is not None:
                permit.settle(used)

    async def _accepted(self, principal: Principal, asked: Submission, prospect: Prospect, job_id: str) -> Submitted:
        at_once = prospect.is_ready and not prospect.is_local and not asked.is_async and self._runs.free > 0
        seconds = _patience(asked, at_once=at_once)
        new = self._new(principal, asked, prospect, job_id, waits_s=seconds)
        since = self._clock.monotonic()
        with self._news.listening(new.id) as listener:
            # From here on the caller may go away: what is committed is accepted, and must be begun by someone.
            submitted = await asyncio.shield(asyncio.ensure_future(self._begun(new, since, at_once=at_once)))
            if not submitted.is_new:
                return self._replayed(submitted, asked)
            if seconds <= 0:
                return submitted
            job = await self._until_over(submitted.job, seconds, listener)
            return msgspec.structs.replace(submitted, job=job)

    async def _begun(self, new: NewJob, since: float, *, at_once: bool) -> Submitted:
        """Write the job down, and run it here or ring for it."""
        if at_once:
            submitted = await self._store.submit(new, worker=self._runs.worker, lease_ms=self._runs.lease_ms)
        else:
            submitted = await self._store.submit(new)
        if not submitted.is_new:
            return submitted
        self._observer.job_submitted(task_type=new.task_type, queued=submitted.claim is None)
        if submitted.claim is not None:
            self._runs.begin(submitted.claim, since=since)
        else:
            await self._queue.publish(new.tenant_id, new.id)
        return submitted

    async def get(self, principal: Principal, job_id: str) -> Job:
        """One of the caller's jobs; the administrator's look at any. Raises NotFound, the same for another's and for none.

        Those of a service are in whatever tenant it acted for.
        """
        if principal.is_admin or _is_service(principal):
            job = await self._store.find_anywhere(job_id)
        else:
            job = await self._store.find(principal.tenant, job_id)
        if job is None or not (principal.is_admin or job.client_id == principal.client_id):
            raise NotFound(f"There is no job {job_id[:_LONGEST_SHOWN]!r}.")
        return job

    async def attempts(self, job: Job) -> Sequence[JobAttempt]:
        """The attempts at a job that the caller may see."""
        return await self._store.attempts(job.tenant_id, job.id)

    async def place(self, job: Job) -> int | None:
        """Its place among those that wait; None when it does not."""
        return await self._store.place(job) if job.status is Status.PENDING else None

    async def page(self, principal: Principal, query: JobQuery) -> Sequence[Job]:
        """The caller's jobs, newest first; the administrator's are all."""
        if principal.is_admin:
            return await self._store.page(query)
        tenant_id = None if _is_service(principal) else principal.tenant
        own = msgspec.structs.replace(query, tenant_id=tenant_id, client_id=principal.client_id)
        return await self._store.page(own)

    async def cancel(self, principal: Principal, job_id: str, *, force: bool) -> Job:
        """Cancel a pending job, or (`force`) the upstream call of a running one. Raises NotFound, Conflict."""
        before = await self.get(principal, job_id)
        after = await self._store.cancel(before.tenant_id, job_id, force=force, webhook_id=self._make_id("evt"))
        if after is None:
            raise NotFound(f"There is no job {job_id[:_LONGEST_SHOWN]!r}.")
        if before.status.is_end:
            raise Conflict(f"The job is {before.status.value} already.")
        if after.status is Status.RUNNING:
            if not force:
                raise Conflict("The job is running; ?force=true, on the command line --force, cancels it.")
            await self._news.cancel(job_id)
            after = await self.wait(after, _CANCEL_SECONDS)
        elif after.status is Status.CANCELLED:
            self._observer.job_ended(ended_unrun(after))
            await self._news.changed(job_id, after.status.value)
        if after.status in {Status.COMPLETE, Status.FAILED}:
            raise Conflict(f"The job is {after.status.value} already.")
        return after

    async def wait(self, job: Job, seconds: float) -> Job:
        """The job at its end, or as it stands after so long."""
        with self._news.listening(job.id) as listener:
            job = await self._store.find(job.tenant_id, job.id) or job  # it may have ended before anybody listened
            return job if job.status.is_end else await self._until_over(job, seconds, listener)

    async def _until_over(self, job: Job, seconds: float, listener: Listener) -> Job:
        """Wait for the news of its end, and look now and then all the same."""
        until = self._clock.monotonic() + seconds
        while True:
            left = max(0.0, until - self._clock.monotonic())
            await _news_of_end(listener, min(_LOOK_SECONDS, left, self._until_overdue(job)), self._clock)
            if listener.ended is not None:
                return listener.ended
            with contextlib.suppress(Overloaded):  # it is accepted: while the database is away there is nothing to tell
                job = await self._looked_at(job)
            if job.status.is_end or self._clock.monotonic() >= until:
                return job

    async def _looked_at(self, job: Job) -> Job:
        """The job as it stands now; one that waits beyond its deadline is ended first."""
        job = await self._store.find(job.tenant_id, job.id) or job
        if self._is_overdue(job):
            await self._end_overdue()
            job = await self._store.find(job.tenant_id, job.id) or job
        return job

    def _until_overdue(self, job: Job) -> float:
        """Seconds until it is; where it is already, the database's clock is behind this one: then it is asked now and then."""
        if job.status is not Status.PENDING or job.deadline_ms is None or self._is_overdue(job):
            return _LOOK_SECONDS
        return (job.deadline_ms + 1 - self._clock.wall_ms()) / 1000

    def _is_overdue(self, job: Job) -> bool:
        return job.status is Status.PENDING and job.deadline_ms is not None and self._clock.wall_ms() > job.deadline_ms

    async def _check_webhook(self, asked: Submission) -> None:
        if asked.webhook is None:
            return
        try:
            await self._guard.check(asked.webhook)
        except InvalidField as refused:
            raise InvalidField(refused.message, param="webhook") from refused

    def _new(
        self, principal: Principal, asked: Submission, prospect: Prospect, job_id: str, *, waits_s: float
    ) -> NewJob:
        key = asked.idempotency_key
        return NewJob(
            tenant_id=principal.tenant,
            id=job_id,
            client_id=principal.client_id,
            key_id=principal.key_id,
            task_type=asked.task_type,
            default_route=prospect.default_route,
            priority=asked.priority,
            asked_sensitivity=asked.sensitivity or "",
            sensitivity=prospect.sensitivity.label,
            model=prospect.model,
            local=prospect.is_local,
            on_crash=asked.on_crash,
            max_attempts=asked.max_attempts,
            deadline_ms=None if asked.deadline_s is None else int(asked.deadline_s * 1000),
            request=msgspec.structs.replace(
                prospect.request, waits_s=waits_s, held_nano=prospect.reserve_nano if principal.budgets else 0
            ).encode(),
            prompt_version=prospect.prompt_version,
            metadata=msgspec.json.encode(asked.metadata).decode(),
            webhook=asked.webhook or "",
            charge=prospect.charge,
            reserve_nano=prospect.reserve_nano,
            budgets=tuple(budget.id for budget in principal.budgets),
            idempotency=None if key is None else Idempotency(key, asked.digest),
            kind=prospect.kind,
            steps=prospect.steps,
        )

    def _replayed(self, submitted: Submitted, asked: Submission) -> Submitted:
        """The job that the key stands for; raises InvalidField for another body, Conflict while the first request is waited for."""
        job = submitted.job
        if submitted.digest != asked.digest:
            raise InvalidField("This idempotency key was used with another body.", param="Idempotency-Key")
        if self._is_waited_for(job):
            raise Conflict(f"The request with this idempotency key is still running: see /jobs/{job.id}.")
        return submitted

    def _is_waited_for(self, job: Job) -> bool:
        """Whether the request that submitted it may still be under way."""
        if job.status.is_end or not job.request:
            return False
        return self._clock.wall_ms() < job.created_ms + decode_request(job.request).waits_s * 1000


def _is_service(principal: Principal) -> bool:
    """Whether its jobs may be other tenants' as well. A client's id is its own in all tenants; whoever has none has no such jobs."""
    return bool(principal.client_id) and ApiScope.SERVICE in principal.scopes


async def _news_of_end(listener: Listener, seconds: float, clock: Clock) -> None:
    """Come back when the listener hears of an end, or after so long."""
    until = clock.monotonic() + seconds
    while (left := until - clock.monotonic()) > 0:
        told = await listener.next(left)
        if told is not None and told.status and Status(told.status).is_end:
            return


def _patience(asked: Submission, *, at_once: bool) -> float:
    """How long the caller waits for the end."""
    if asked.is_async:
        return 0.0
    if asked.wait_s is not None:
        return asked.wait_s
    return _SYNC_SECONDS if at_once else 0.0
