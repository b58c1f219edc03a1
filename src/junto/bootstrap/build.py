"""Builds everything there is from settings, and takes it down again in reverse order.

`build` is the one entry: the command line calls it with real settings, tests with their own clock or providers.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.agent_jobs import AgentOptions, open_handler
from junto.bootstrap.channels import open_channels
from junto.bootstrap.clock import SystemClock
from junto.bootstrap.evals import EvalOptions, EvalParts, open_evals
from junto.bootstrap.evidence import evidence_of
from junto.bootstrap.ids import id_maker
from junto.bootstrap.jobs import JobOptions, JobParts, admitting, open_jobs, works_here
from junto.bootstrap.node import Given, open_node
from junto.bootstrap.speech import SpeechDesk, SpeechOptions, SpeechParts, open_speech
from junto.bootstrap.webchat import open_webchat
from junto.gateway.slots import SlotPool
from junto.web.app import build_app
from junto.web.outbox import Outbox
from junto.web.services import WebServices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from junto.agents.handler import Handler
    from junto.bootstrap.agents import Agents
    from junto.bootstrap.channels import OpenChannels
    from junto.bootstrap.fleet import MakeSlots
    from junto.bootstrap.node import Node
    from junto.bootstrap.reload import Operation
    from junto.bootstrap.webchat import OpenWebChat
    from junto.gateway.heartbeat import Heartbeats
    from junto.gateway.pipeline import Pipeline
    from junto.ports.clock import Clock
    from junto.ports.provider import Provider
    from junto.settings.model import BackendSettings, Settings
    from junto.web.asgi import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the outside needs of a running Junto.

    `new_admin_key` is set when the key was made just now; whoever has shown it calls `keep_admin_key`.
    """

    app: App
    operation: Operation
    pipeline: Pipeline
    heartbeats: Heartbeats
    jobs: JobParts
    agents: Agents
    agent_handler: Handler
    evals: EvalParts
    speech: SpeechParts
    new_admin_key: str | None
    keep_admin_key: Callable[[], None]


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    read_settings: Callable[[], Settings] | None = None,
    clock: Clock | None = None,
    make_provider: Callable[[BackendSettings], Provider] | None = None,
    make_slots: MakeSlots = SlotPool,
    beat: bool = True,
    jitter: Callable[[], float] = random.random,
    job_options: JobOptions | None = None,
    agent_options: AgentOptions | None = None,
    eval_options: EvalOptions | None = None,
    speech_options: SpeechOptions | None = None,
) -> AsyncIterator[Services]:
    """A running Junto. `read_settings` is how a reload reads the configuration again; without `beat` nobody is probed."""
    given = Given(
        read_settings=read_settings or (lambda: settings),
        clock=clock or SystemClock(),
        make_provider=make_provider,
        make_slots=make_slots,
        jitter=jitter,
    )
    async with AsyncExitStack() as stack:
        node = await open_node(settings, given, stack)
        stack.push_async_callback(node.replicas.stop)
        await node.replicas.start()
        await node.operation.start(beat=beat)
        stack.push_async_callback(node.operation.stop)
        speech = open_speech(settings, given, node, stack, speech_options)
        jobs = await open_jobs(
            settings,
            given,
            node,
            stack,
            routes=lambda: node.routing.routes.table,
            prompts=node.prompts.shelf,
            works=works_here(settings),
            speech=speech.room,
            options=job_options,
        )
        evals = await open_evals(settings, given, node, stack, options=eval_options)
        channels = open_channels(settings, given, stack)
        handler = open_handler(settings, node, jobs, stack, channels.deliver, agent_options)
        chat = open_webchat(settings, given, node, handler, stack)
        yield Services(
            app=build_app(_web_services(settings, given, node, jobs, handler, channels, chat, evals, speech)),
            operation=node.operation,
            pipeline=node.pipeline,
            heartbeats=node.operation.heartbeats,
            jobs=jobs,
            agents=node.agents,
            agent_handler=handler,
            evals=evals,
            speech=speech,
            new_admin_key=node.admin_key.new,
            keep_admin_key=partial(node.admin_key.keep, settings.data_dir),
        )


def _web_services(  # noqa: PLR0917  what it is made of
    settings: Settings,
    given: Given,
    node: Node,
    jobs: JobParts,
    handler: Handler,
    channels: OpenChannels,
    chat: OpenWebChat,
    evals: EvalParts,
    speech: SpeechParts,
) -> WebServices:
    operation, storage, observing = node.operation, node.storage, node.observing
    return WebServices(
        build=node.build,
        current=operation.current,
        pipeline=node.pipeline,
        heartbeats=operation.heartbeats,
        loader=node.loader,
        authenticator=lambda: operation.authenticator,
        body_limit=lambda: operation.body_limit,
        keeps_strangers_out=lambda: operation.keeps_strangers_out,
        make_id=id_maker(given.clock),
        clock=given.clock,
        directory=node.identity.directory,
        routes=node.routing.routes,
        route_book=node.routing.book,
        traffic=node.routing.traffic,
        prompts=node.prompts.library,
        agents=node.agents.directory,
        personas=node.agents.personas,
        agent_handler=handler,
        councils=node.council_library,
        budgeting=node.money.budgeting,
        money=node.money.store,
        recorder=storage.journal,
        outbox=Outbox(storage.journal.commit),
        exchanges=storage.exchanges,
        database_answers=storage.answers,
        redis_up=node.coordination.redis_up,
        reload=operation.reload,
        metrics=observing.scrape,
        summaries=observing.summaries,
        refusals=observing.observer,
        jobs=jobs.jobs,
        admit=admitting(node.coordination.limiter),
        follower=jobs.follower,
        speech=speech.service,
        speech_desk=SpeechDesk(jobs.jobs, speech.service),
        outputs=speech.library,
        webhooks=jobs.outbound.store,
        webhook_key=jobs.outbound.key_of,
        channels=channels.endpoints(node, given, handler.accept, id_maker(given.clock)),
        visitors=chat.visitors,
        chat=chat.sockets,
        evidence=evidence_of(settings, node, given.clock, evals),
    )
