"""Assembles what watches a running Junto: metrics, the log of exchanges, traces, and the figures that people ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.tracing import open_tracing
from junto.storage.repositories.summaries import StoredSummaries
from junto.telemetry.councils import CouncilMetrics
from junto.telemetry.families import redis_families
from junto.telemetry.logging import ExchangeLog
from junto.telemetry.metrics import Metrics
from junto.telemetry.observers import Observers
from junto.telemetry.sampled import Sampled
from junto.telemetry.work import WorkMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AsyncExitStack

    from prometheus_client.metrics_core import Metric

    from junto.bootstrap.reload import Operation
    from junto.bootstrap.storage import Storage
    from junto.ports.clock import Clock
    from junto.ports.summaries import SummaryStore
    from junto.settings.model import Settings
    from junto.web.services import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """`observer` is told of everything; `scrape` gives the text for scrapers, and is None where metrics are off."""

    observer: Observers
    scrape: Callable[[], Awaitable[bytes]] | None
    summaries: SummaryStore
    add_families: Callable[[Callable[[], Iterable[Metric]]], None]  # of what is opened later


async def open_observing(
    settings: Settings,
    *,
    build: Build,
    operation: Operation,
    storage: Storage,
    redis_up: Callable[[], bool] | None,
    clock: Clock,
    stack: AsyncExitStack,
) -> Observing:
    """Everything that the settings ask for."""
    summaries = StoredSummaries(storage.sessions)
    log = _exchange_log(settings, stack)
    tracing = await open_tracing(build, stack, provider_of=_provider_of(operation))
    watching = [each for each in (log, tracing) if each is not None]
    traced = [tracing] if tracing is not None else []
    if not settings.metrics.enabled:
        return Observing(
            observer=Observers(*watching, swaps=traced, jobs=traced),
            scrape=None,
            summaries=summaries,
            add_families=lambda _: None,
        )
    pending = Sampled(summaries.pending_by_priority, clock=clock)
    metrics = _metrics(build, operation, storage)
    work = WorkMetrics(pending=lambda: pending.value)
    councils = CouncilMetrics()
    metrics.add(work.families)
    metrics.add(councils.families)
    if redis_up is not None:
        metrics.add(partial(redis_families, redis_up))

    async def scrape() -> bytes:
        await pending.refresh()
        return metrics.render()

    observer = Observers(
        metrics, *watching, swaps=(work, *traced), refusals=(work,), jobs=(work, *traced), councils=(councils,)
    )
    return Observing(observer=observer, scrape=scrape, summaries=summaries, add_families=metrics.add)


def _metrics(build: Build, operation: Operation, storage: Storage) -> Metrics:
    journal = storage.journal
    return Metrics(
        build=(build.version, build.git_sha),
        backends=lambda: operation.heartbeats.backends,
        deployments=lambda: operation.current.runtime.snapshot.deployments,
        catalog_version=lambda: operation.current.runtime.snapshot.version,
        journal=lambda: (journal.waiting_rows, journal.waiting_bytes, journal.blocked),
    )


def _provider_of(operation: Operation) -> Callable[[str], str]:
    """The kind of a backend by its name, as the catalog in force has it."""

    def provider_of(backend: str) -> str:
        deployments = operation.current.runtime.snapshot.deployments
        return next((each.provider for each in deployments if each.backend == backend), "")

    return provider_of


def _exchange_log(settings: Settings, stack: AsyncExitStack) -> ExchangeLog | None:
    """The log of exchanges, whose lines are of the level info; None where those are not wanted."""
    if settings.logging.level not in {"debug", "info"}:
        return None
    log = ExchangeLog(format=settings.logging.format)
    stack.callback(log.close)
    return log
