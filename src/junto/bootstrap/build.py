"""Builds everything there is from settings, and takes it down again in reverse order.

`build` is the one entry: the command line calls it with real settings, tests with their own clock or providers.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.admin_key import admin_key
from junto.bootstrap.assembly import Assembly
from junto.bootstrap.clock import SystemClock
from junto.bootstrap.fleet import Fleet, MakeSlots
from junto.bootstrap.identity import open_identity
from junto.bootstrap.ids import id_maker
from junto.bootstrap.money import open_money
from junto.bootstrap.observing import open_observing
from junto.bootstrap.reload import Operation
from junto.bootstrap.replicas import Replicas
from junto.bootstrap.storage import open_storage
from junto.bootstrap.version import this_build
from junto.bootstrap.webhooks import server_secret
from junto.catalog.board import LiveBoard
from junto.coordination.signals_memory import MemorySignals
from junto.gateway.admission import Admission
from junto.gateway.attempts import Attempts
from junto.gateway.heartbeat import Heartbeats
from junto.gateway.loading import Loader
from junto.gateway.pipeline import Pipeline
from junto.gateway.settlement import Settlement
from junto.gateway.slots import SlotPool
from junto.jobs.signing import client_key
from junto.storage.repositories.versions import read_versions
from junto.web.app import build_app
from junto.web.outbox import Outbox
from junto.web.services import WebServices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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
) -> AsyncIterator[Services]:
    """A running Junto. `read_settings` is how a reload reads the configuration again; without `beat` nobody is probed."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        build_of = this_build()
        key = admin_key(settings.data_dir, settings.admin_key.reveal() if settings.admin_key else None)
        storage = await open_storage(settings, clock, stack)
        replicas = Replicas(partial(read_versions, storage.sessions), MemorySignals())
        identity = await open_identity(storage.sessions, replicas, clock, admin_digest=key.digest)
        money = open_money(
            storage.sessions, replicas, clock, stack, data_dir=settings.data_dir, replayed=storage.replayed
        )
        board = LiveBoard()
        fleet = Fleet(board, clock, make=make_provider, make_slots=make_slots)
        stack.push_async_callback(fleet.close)
        operation = Operation(
            settings,
            read_settings=read_settings or (lambda: settings),
            fleet=fleet,
            assembly=Assembly(fleet, board),
            board=board,
            clock=clock,
            make_authenticator=identity.authenticator,
        )
        heartbeats = operation.heartbeats
        observing = await open_observing(
            settings, build=build_of, operation=operation, storage=storage, clock=clock, stack=stack
        )
        observer = observing.observer
        settlement = Settlement(recorder=storage.journal, observer=observer, clock=clock)
        pipeline = Pipeline(
            operation.current,
            admission=Admission(recorder=storage.journal, clock=clock, purse=money.purse),
            attempts=Attempts(settlement=settlement, observer=observer, clock=clock, jitter=jitter),
            settlement=settlement,
            clock=clock,
        )
        stack.push_async_callback(replicas.stop)
        await replicas.start()
        await operation.start(beat=beat)
        stack.push_async_callback(operation.stop)
        loader = Loader(operation.current, heartbeats=heartbeats, clock=clock, observer=observer)
        stack.push_async_callback(loader.close)
        app = build_app(
            WebServices(
                build=build_of,
                current=operation.current,
                pipeline=pipeline,
                heartbeats=heartbeats,
                loader=loader,
                authenticator=lambda: operation.authenticator,
                body_limit=lambda: operation.body_limit,
                keeps_strangers_out=lambda: operation.keeps_strangers_out,
                make_id=id_maker(clock),
                clock=clock,
                directory=identity.directory,
                budgeting=money.budgeting,
                money=money.store,
                recorder=storage.journal,
                outbox=Outbox(storage.journal.commit),
                exchanges=storage.exchanges,
                database_answers=storage.answers,
                reload=operation.reload,
                metrics=observing.scrape,
                summaries=observing.summaries,
                refusals=observer,
                webhook_key=partial(client_key, server_secret(settings.data_dir, settings.secrets_key)),
            )
        )
        yield Services(
            app=app,
            operation=operation,
            pipeline=pipeline,
            heartbeats=heartbeats,
            new_admin_key=key.new,
            keep_admin_key=partial(key.keep, settings.data_dir),
        )
