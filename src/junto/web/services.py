"""What the HTTP edge is given by the composition root. Values and callables only; the edge builds nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from junto.agents.directory import AgentDirectory
    from junto.agents.handler import Handler
    from junto.agents.visitors import Visitors
    from junto.catalog.route_book import RouteBook
    from junto.catalog.tasks import Routes
    from junto.core.secret import Secret
    from junto.council.library import CouncilLibrary
    from junto.gateway.heartbeat import Heartbeats
    from junto.gateway.loading import Loader
    from junto.gateway.permit import Permit
    from junto.gateway.personas import Personas
    from junto.gateway.pipeline import Pipeline
    from junto.gateway.runtime import Current
    from junto.identity.authentication import Authenticator
    from junto.identity.budgeting import Budgeting
    from junto.identity.directory import Directory
    from junto.identity.principal import Principal
    from junto.jobs.following import Follower
    from junto.jobs.service import Accepted, Jobs
    from junto.jobs.submission import Submission
    from junto.ports.clock import Clock
    from junto.ports.money import MoneyStore
    from junto.ports.observer import RefusalObserver
    from junto.ports.routes import RecordedTraffic
    from junto.ports.stores import ExchangeStore, Recorder
    from junto.ports.summaries import SummaryStore
    from junto.ports.webhooks import WebhookStore
    from junto.prompts.library import PromptLibrary
    from junto.speech.access import Library
    from junto.speech.order import Order
    from junto.speech.speaker import SpeechService
    from junto.web.asgi import App
    from junto.web.evidence import Evidence
    from junto.web.outbox import Outbox


class SpeechDesk(Protocol):
    """Submits speech jobs."""

    async def submit(self, principal: Principal, asked: Submission, order: Order) -> Accepted:
        """Accept a job that says this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which Junto this is."""

    version: str
    git_sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything that an endpoint may use. `authenticator` and `body_limit` are asked each time: a reload changes them."""

    build: Build
    current: Current
    pipeline: Pipeline
    heartbeats: Heartbeats
    loader: Loader
    authenticator: Callable[[], Authenticator]
    body_limit: Callable[[], int]
    keeps_strangers_out: Callable[[], bool]  # whether pages of other hosts must be turned away
    make_id: Callable[[], str]
    clock: Clock
    directory: Directory
    routes: Routes
    route_book: RouteBook
    traffic: RecordedTraffic
    prompts: PromptLibrary
    agents: AgentDirectory
    personas: Personas
    agent_handler: Handler
    councils: CouncilLibrary
    budgeting: Budgeting
    money: MoneyStore
    recorder: Recorder
    outbox: Outbox
    exchanges: ExchangeStore
    database_answers: Callable[[], Awaitable[bool]]
    redis_up: Callable[[], bool] | None  # None: there is none to be up
    reload: Callable[[], Awaitable[list[str]]]
    metrics: Callable[[], Awaitable[bytes]] | None  # None: off
    summaries: SummaryStore
    refusals: RefusalObserver
    jobs: Jobs
    admit: Callable[[Principal, int], Awaitable[Permit | None]]  # by the limits, what is neither an exchange nor a job
    follower: Follower
    speech: SpeechService
    speech_desk: SpeechDesk
    outputs: Library
    webhooks: WebhookStore
    webhook_key: Callable[[str, str], Secret]  # of a tenant's client
    channels: Mapping[str, App]  # by path; whoever asks there proves by a signature who it is
    visitors: Visitors
    chat: App  # the sockets of the web chat
    evidence: Evidence
