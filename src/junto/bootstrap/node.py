"""One process of Junto without its doors: what `junto serve` and `junto worker` have in common.

Opens in the order in which things need each other; the stack takes them down in reverse.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.admin_key import AdminKey, admin_key
from junto.bootstrap.agents import Agents, open_agents
from junto.bootstrap.assembly import Assembly
from junto.bootstrap.convening import Councils
from junto.bootstrap.coordination import Coordination, open_coordination
from junto.bootstrap.councils_stored import open_stored_councils
from junto.bootstrap.fleet import Fleet, MakeSlots
from junto.bootstrap.identity import Identity, open_identity
from junto.bootstrap.money import Money, open_money
from junto.bootstrap.observing import Observing, open_observing
from junto.bootstrap.prompts import Prompts, open_prompts
from junto.bootstrap.reload import Operation
from junto.bootstrap.replicas import Replicas
from junto.bootstrap.routes import Routing, open_routing
from junto.bootstrap.storage import Storage, open_storage
from junto.bootstrap.version import this_build
from junto.catalog.board import LiveBoard
from junto.gateway.admission import Admission
from junto.gateway.attempts import Attempts
from junto.gateway.loading import Loader
from junto.gateway.parts import ExchangeParts
from junto.gateway.pipeline import Pipeline
from junto.gateway.settlement import Settlement
from junto.gateway.tasks import Tasks
from junto.storage.repositories.versions import read_versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from junto.council.library import CouncilLibrary
    from junto.gateway.exchange import Exchange
    from junto.gateway.personas import Personas
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.ports.provider import Provider
    from junto.settings.model import BackendSettings, Settings
    from junto.web.services import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The parts of a process, open and at work as far as nothing has to wait for the doors."""

    id: str
    build: Build
    admin_key: AdminKey
    storage: Storage
    coordination: Coordination
    replicas: Replicas
    identity: Identity
    money: Money
    operation: Operation
    observing: Observing
    routing: Routing
    prompts: Prompts
    agents: Agents
    councils: Councils
    council_library: CouncilLibrary
    pipeline: Pipeline
    loader: Loader


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a test brings along instead of the real thing."""

    read_settings: Callable[[], Settings]
    clock: Clock
    make_provider: Callable[[BackendSettings], Provider] | None
    make_slots: MakeSlots
    jitter: Callable[[], float]


async def open_node(settings: Settings, given: Given, stack: AsyncExitStack) -> Node:
    """Everything but the doors; `Node.operation` and `Node.replicas` are to be started when the doors are there."""
    clock = given.clock
    node_id = secrets.token_hex(8)
    build = this_build()
    key = admin_key(settings.data_dir, settings.admin_key.reveal() if settings.admin_key else None)
    storage = await open_storage(settings, clock, stack)
    coordination = await open_coordination(settings.redis_url, node_id=node_id, clock=clock, stack=stack)
    replicas = Replicas(partial(read_versions, storage.sessions), coordination.signals)
    identity = await open_identity(storage.sessions, replicas, clock, admin_digest=key.digest)
    money = open_money(storage.sessions, replicas, clock, stack, data_dir=settings.data_dir, replayed=storage.replayed)
    councils = Councils(settings, clock=clock, observer=lambda: observing.observer)
    operation = _operation(settings, given, identity, stack, councils)
    observing = await open_observing(
        settings,
        build=build,
        operation=operation,
        storage=storage,
        redis_up=coordination.redis_up,
        clock=clock,
        stack=stack,
    )
    routing = open_routing(storage.sessions, replicas, operation.current)
    prompts = await open_prompts(storage.sessions, replicas, identity.directory, settings)
    operation.on_reload(prompts.follow)
    operation.on_reload(councils.follow)
    councils.on_change(operation.reassemble)
    council_library = open_stored_councils(
        storage.sessions, replicas, book=lambda: councils.book, receive=councils.take_stored
    )
    agents = open_agents(storage.sessions, replicas, identity.directory, clock)
    tasks = Tasks(routing.routes, prompts.shelf)
    pipeline = _pipeline(given, storage, coordination, money, operation, observing, tasks, agents.personas)
    loader = Loader(operation.current, heartbeats=operation.heartbeats, clock=clock, observer=observing.observer)
    stack.push_async_callback(loader.close)
    return Node(
        id=node_id,
        build=build,
        admin_key=key,
        storage=storage,
        coordination=coordination,
        replicas=replicas,
        identity=identity,
        money=money,
        operation=operation,
        observing=observing,
        routing=routing,
        prompts=prompts,
        agents=agents,
        councils=councils,
        council_library=council_library,
        pipeline=pipeline,
        loader=loader,
    )


def _operation(
    settings: Settings, given: Given, identity: Identity, stack: AsyncExitStack, councils: Councils
) -> Operation:
    board = LiveBoard()
    fleet = Fleet(board, given.clock, make=given.make_provider, make_slots=given.make_slots)
    stack.push_async_callback(fleet.close)
    return Operation(
        settings,
        read_settings=lambda: councils.read(given.read_settings()),
        fleet=fleet,
        assembly=Assembly(fleet, board, councils),
        board=board,
        clock=given.clock,
        make_authenticator=identity.authenticator,
    )


def _pipeline(  # noqa: PLR0917  what it is made of
    given: Given,
    storage: Storage,
    coordination: Coordination,
    money: Money,
    operation: Operation,
    observing: Observing,
    tasks: Tasks,
    personas: Personas,
) -> Pipeline:
    clock, observer = given.clock, observing.observer
    settlement = Settlement(recorder=storage.journal, observer=observer, clock=clock)

    def act_for(principal: Principal, tenant_id: str) -> Principal:
        return operation.authenticator.acting_for(principal, tenant_id)

    def parts_of(exchange: Exchange) -> ExchangeParts:
        return ExchangeParts(exchange, current=current, admission=admission, clock=clock, open=pipeline.open)

    current = operation.current
    admission = Admission(
        recorder=storage.journal,
        clock=clock,
        limiter=coordination.limiter,
        purse=money.purse,
        act_for=act_for,
        tasks=tasks,
        personas=personas,
    )
    attempts = Attempts(settlement=settlement, observer=observer, clock=clock, jitter=given.jitter, parts=parts_of)
    pipeline = Pipeline(current, admission=admission, attempts=attempts, settlement=settlement, clock=clock)
    return pipeline
