"""Assembles jobs: their callers' side, the executor with its leases, the sweeper, webhooks, and the worker where one is wanted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from junto.bootstrap.webhooks import Outbound, outbound, server_secret
from junto.core.ids import record_id
from junto.core.sensitivity import parse_sensitivity
from junto.jobs.executor import Executor
from junto.jobs.failures import Static
from junto.jobs.following import Follower
from junto.jobs.leases import LEASE_SECONDS, Leases
from junto.jobs.news import News
from junto.jobs.runs import Runs
from junto.jobs.service import Jobs
from junto.jobs.submission import Planner
from junto.jobs.sweeper import SWEEP_SECONDS, Sweeper
from junto.jobs.triage import Triage
from junto.jobs.views import PublicView
from junto.ports.jobs import Kind
from junto.storage.repositories.jobs import StoredJobs
from junto.storage.repositories.jobs_fairness import VirtualTime
from junto.storage.repositories.jobs_sweep import StoredSweep
from junto.storage.repositories.jobs_work import StoredWork
from junto.storage.repositories.ledger import LedgerWriter
from junto.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AsyncExitStack

    from junto.bootstrap.node import Given, Node
    from junto.gateway.limits import Limiter
    from junto.gateway.permit import Permit
    from junto.identity.principal import Principal
    from junto.jobs.failures import FailureHandling
    from junto.ports.clock import Clock
    from junto.ports.jobs import JobStore, MakeId, SweepStore, WorkStore
    from junto.ports.queue import JobQueue
    from junto.ports.works import Work
    from junto.prompts.shelf import PromptShelf
    from junto.routing.route_table import RouteTable
    from junto.settings.model import Settings

GRACE_SECONDS: Final = 25.0  # what runs when a process is told to stop may take so long; then it is given back


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStores:
    """The three sides of stored jobs. Tests put their own in between."""

    jobs: JobStore
    work: WorkStore
    sweep: SweepStore


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a test brings along: how long things take, in seconds, and what is put around the stores."""

    lease: float = LEASE_SECONDS
    sweep: float = SWEEP_SECONDS
    grace: float = GRACE_SECONDS
    around: Callable[[JobStores], JobStores] = lambda stores: stores


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRoom:
    """What does speech jobs here, and how many at once, by now."""

    work: Work
    room: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParts:
    """What the doors use of it, and what tests look at."""

    jobs: Jobs
    follower: Follower
    outbound: Outbound
    runs: Runs
    sweeper: Sweeper
    worker: Worker | None


async def open_jobs(
    settings: Settings,
    given: Given,
    node: Node,
    stack: AsyncExitStack,
    *,
    routes: Callable[[], RouteTable],
    prompts: PromptShelf,
    works: bool,
    speech: SpeechRoom | None = None,
    options: JobOptions | None = None,
) -> JobParts:
    """Everything of jobs, at work until the stack is closed: opened last, so that it is the first to stop.

    `works`: this process also takes jobs from the queue. Synchronous ones it runs in any case. `speech` does those that are said aloud.
    """
    options = options or JobOptions()
    opening = _Opening(settings, given, node, options)
    leases = Leases(opening.stores.work, given.clock, worker=node.id, seconds=options.lease)
    executor = opening.executor(leases, {} if speech is None else {Kind.SPEECH: speech.work})
    runs = Runs(executor, leases, most=settings.jobs.concurrency)
    sweeper = opening.sweeper()
    work, queue = opening.stores.work, node.coordination.queue
    parts = JobParts(
        jobs=opening.jobs(runs, sweeper, Planner(routes, prompts, node.agents.personas)),
        follower=Follower(opening.stores.jobs, opening.news, given.clock),
        outbound=opening.outbound,
        runs=runs,
        sweeper=sweeper,
        worker=_worker(node, given, work, runs, queue, speech) if works else None,
    )
    opening.news.start()
    opening.news.serve(on_watch=executor.watched, on_cancel=leases.cancel)
    stack.callback(opening.news.stop)
    await _start(parts, stack, options.grace)
    return parts


class _Opening:
    """What the parts of jobs are made of; nothing of it is at work yet."""

    def __init__(self, settings: Settings, given: Given, node: Node, options: JobOptions) -> None:
        self._settings = settings
        self._given = given
        self._node = node
        self._options = options
        self._make_id = _id_maker(given.clock)
        self.stores = options.around(_stored(node, self._keeps_bodies))
        self.news = News(node.coordination.signals)
        self.outbound = outbound(
            sessions=node.storage.sessions,
            jobs=PublicView(self.stores.jobs),
            clock=given.clock,
            server_secret=server_secret(settings.data_dir, settings.secrets_key),
            allow=lambda: node.operation.settings.outbound.allow,
            observer=node.observing.observer,
        )

    def executor(self, leases: Leases, works: Mapping[Kind, Work]) -> Executor:
        return Executor(
            self._node.pipeline,
            self.stores.work,
            leases,
            news=self.news,
            failures=_failures(self._settings, self._given, self._node, self.stores.work, self._make_id),
            observer=self._node.observing.observer,
            clock=self._given.clock,
            make_id=self._make_id,
            keeps_bodies=self._keeps_bodies,
            on_webhook=self.outbound.webhooks.wake,
            policy_of=self._node.identity.keyring.acting,
            works=works,
        )

    def sweeper(self) -> Sweeper:
        return Sweeper(
            self.stores.sweep,
            self._node.coordination.queue,
            news=self.news,
            observer=self._node.observing.observer,
            make_id=self._make_id,
            retention_days=lambda: self._settings.storage.retention_days,
            every=self._options.sweep,
        )

    def jobs(self, runs: Runs, sweeper: Sweeper, planner: Planner) -> Jobs:
        return Jobs(
            self.stores.jobs,
            planner=planner,
            runs=runs,
            queue=self._node.coordination.queue,
            news=self.news,
            guard=self.outbound.guard,
            current=self._node.operation.current,
            observer=self._node.observing.observer,
            clock=self._given.clock,
            make_id=self._make_id,
            admit=admitting(self._node.coordination.limiter),
            end_overdue=sweeper.end_overdue,
        )

    def _keeps_bodies(self, tier: str) -> bool:
        return self._node.operation.current.runtime.keep[parse_sensitivity(tier)] == "full"


def _worker(  # noqa: PLR0917  what it is made of
    node: Node, given: Given, work: WorkStore, runs: Runs, queue: JobQueue, speech: SpeechRoom | None
) -> Worker:
    current, clock = node.operation.current, given.clock
    if speech is None:
        return Worker(work, runs, queue, current=current, clock=clock)
    return Worker(work, runs, queue, current=current, clock=clock, speech=speech.room)


async def _start(parts: JobParts, stack: AsyncExitStack, grace: float) -> None:
    parts.outbound.webhooks.start()
    stack.push_async_callback(parts.outbound.webhooks.stop)
    parts.sweeper.start()
    stack.push_async_callback(parts.sweeper.stop)
    if parts.worker is None:
        parts.runs.start()
        stack.push_async_callback(parts.runs.stop, grace=grace)
    else:
        stack.push_async_callback(parts.worker.stop, grace=grace)
        await parts.worker.start()


def works_here(settings: Settings) -> bool:
    """Whether `junto serve` runs queued jobs itself: told so, or alone with its database."""
    if settings.jobs.worker == "auto":
        return settings.database_url is None
    return settings.jobs.worker == "on"


def _stored(node: Node, keeps_bodies: Callable[[str], bool]) -> JobStores:
    sessions, ledger, fairness = node.storage.sessions, LedgerWriter(), VirtualTime()
    return JobStores(
        jobs=StoredJobs(sessions, ledger=ledger, fairness=fairness, keeps_bodies=keeps_bodies),
        work=StoredWork(sessions, ledger=ledger, fairness=fairness),
        sweep=StoredSweep(sessions, ledger=ledger, fairness=fairness, keeps_bodies=keeps_bodies),
    )


def _failures(settings: Settings, given: Given, node: Node, store: WorkStore, make_id: MakeId) -> FailureHandling:
    if settings.jobs.failure_handling == "static":
        return Static(given.jitter)
    return Triage(
        node.pipeline, store, clock=given.clock, make_id=make_id, jitter=given.jitter, model=settings.jobs.triage_model
    )


def _id_maker(clock: Clock) -> MakeId:
    def make(kind: str) -> str:
        return record_id(kind, clock.wall_ms(), secrets.randbits(52))

    return make


def admitting(limiter: Limiter) -> Callable[[Principal, int], Awaitable[Permit | None]]:
    """Asks the limits for a principal's request of so many tokens, where it has any: for what is no exchange."""

    async def admit(principal: Principal, tokens: int) -> Permit | None:
        by = principal.limited_by
        return None if by is None else limiter.take(by, tokens) or await limiter.acquire(by, tokens)

    return admit
