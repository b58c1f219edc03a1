"""Metrics in Prometheus' text format: counts what observers see, and reads the live facts when somebody scrapes.

Owns its registry and all its counts; nothing is global. Labels hold names of the catalog and Junto's own words only, never
text of a caller, and their number is bounded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from junto.telemetry.accumulators import Requests, Served
from junto.telemetry.families import state_families, traffic_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from junto.core.exchange import Attempted, ExchangeRecord
    from junto.gateway.heartbeat import Watched
    from junto.routing.facts import DeploymentFacts

OTHER = "other"


class Metrics:
    """Implements ports.observer.Observer; `render` gives the text.

    Read at each scrape: `backends` under watch by name, `deployments` of the catalog in force and its version, and the
    journal's waiting rows, waiting bytes and whether it is blocked. `build` is version and git SHA. Deployments beyond
    `most_series` are counted together, under the name `other`.
    """

    def __init__(
        self,
        *,
        build: tuple[str, str],
        backends: Callable[[], Mapping[str, Watched]],
        deployments: Callable[[], Sequence[DeploymentFacts]],
        catalog_version: Callable[[], int],
        journal: Callable[[], tuple[int, int, bool]],
        most_series: int = 5_000,
    ) -> None:
        self._most_series = most_series
        self._requests: dict[tuple[str, str, str, str, int], Requests] = {}
        self._served: dict[tuple[str, str], Served] = {}
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(lambda: traffic_families(self._requests.values(), self._served.values())))
        self._registry.register(
            _Collector(
                lambda: state_families(
                    build=build,
                    backends=backends(),
                    deployments=deployments(),
                    catalog_version=catalog_version(),
                    journal=journal(),
                )
            )
        )
        ProcessCollector(registry=self._registry)

    def add(self, families: Callable[[], Iterable[Metric]]) -> None:
        """From now on these are read at each scrape, too."""
        self._registry.register(_Collector(families))

    def render(self) -> bytes:
        """Everything, as `text/plain; version=0.0.4`."""
        return generate_latest(self._registry)

    def exchange_ended(self, record: ExchangeRecord) -> None:
        # A dictionary look-up and additions: prometheus-client's own counters, each behind a lock, would cost ten times this.
        key = (record.wire, record.backend, record.model, record.outcome, record.status // 100)
        requests = self._requests.get(key) or self._count_also(key)
        requests.count += 1
        served = requests.served
        served.duration.observe(record.duration_ms)
        if len(record.attempts) > 1:
            self._note_fallbacks(record.attempts)
        if not record.backend:
            return
        if record.stream:
            served.ttft.observe(record.ttft_ms)
        served.input_tokens += record.input_tokens
        served.output_tokens += record.output_tokens
        served.cache_read_tokens += record.cache_read_tokens
        served.cache_write_tokens += record.cache_write_tokens
        served.cost_nano += record.cost_nano
        if record.usage_estimated:
            served.estimated += 1

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        served = self._served.get((backend, model)) or self._serve_also(backend, model)
        served.attempts += 1
        if retried:
            served.retries += 1
        if failure:
            served.failures[failure] = served.failures.get(failure, 0) + 1

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        changes = (self._served.get((backend, model)) or self._serve_also(backend, model)).breaker_changes
        changes[state] = changes.get(state, 0) + 1

    def _note_fallbacks(self, attempts: tuple[Attempted, ...]) -> None:
        for one, following in pairwise(attempts):
            if (one.backend, one.model) != (following.backend, following.model):
                served = self._served.get((one.backend, one.model)) or self._serve_also(one.backend, one.model)
                served.fallbacks += 1

    def _count_also(self, key: tuple[str, str, str, str, int]) -> Requests:
        wire, backend, model, outcome, hundreds = key
        if len(self._requests) >= self._most_series:
            key = (wire, OTHER, OTHER, outcome, hundreds)
            backend = model = OTHER
            if key in self._requests:
                return self._requests[key]
        served = self._served.get((backend, model)) or self._serve_also(backend, model)
        requests = Requests(wire, str(outcome), f"{hundreds}xx", served)
        self._requests[key] = requests
        return requests

    def _serve_also(self, backend: str, model: str) -> Served:
        if len(self._served) >= self._most_series:
            backend = model = OTHER
        return self._served.setdefault((backend, model), Served(backend, model))


class _Collector:
    """What a registry asks for: an object with `collect`."""

    __slots__ = ("_families",)

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()
