"""From counts and live facts to Prometheus' metric families. Pure but for prometheus-client's value classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from junto.core.money import NANO_PER_USD
from junto.routing.facts import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from junto.gateway.heartbeat import Watched
    from junto.routing.facts import DeploymentFacts
    from junto.telemetry.accumulators import Histogram, Requests, Served

type Row = tuple[tuple[str, ...], float]

_BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_BACKEND = ("backend",)
_DEPLOYMENT = ("backend", "model")


def traffic_families(requests: Iterable[Requests], served: Iterable[Served]) -> Iterator[Metric]:
    """What has been counted since the start."""
    every = tuple(served)
    # Exchanges that nobody answered have no deployment, so no tokens, cost or attempts.
    named = tuple(((one.backend, one.model), one) for one in every if one.backend)
    yield _counter(
        "requests",
        "Exchanges that ended. backend and model are empty where nobody answered.",
        ("wire", *_DEPLOYMENT, "outcome", "status_class"),
        (((r.wire, r.served.backend, r.served.model, r.outcome, r.status_class), r.count) for r in requests),
    )
    yield _histogram(
        "request_duration", "From the request's arrival to the end of its answer.", every, lambda s: s.duration
    )
    yield _histogram(
        "time_to_first_token", "From the request's arrival to the first bytes of a stream.", every, lambda s: s.ttft
    )
    yield _counter("tokens", "Tokens by class; the classes are disjoint.", (*_DEPLOYMENT, "class"), _token_rows(every))
    yield _counter(
        "cost_usd", "Dollars charged.", _DEPLOYMENT, ((key, one.cost_nano / NANO_PER_USD) for key, one in named)
    )
    yield _counter(
        "usage_estimated",
        "Answers whose tokens Junto counted itself, because the backend did not say.",
        _DEPLOYMENT,
        ((key, one.estimated) for key, one in named),
    )
    yield _counter("attempts", "Tries at a deployment.", _DEPLOYMENT, ((key, one.attempts) for key, one in named))
    yield _counter(
        "attempt_failures",
        "Tries that failed; the kind `cancelled` means that the caller went away.",
        (*_DEPLOYMENT, "kind"),
        (((*key, kind), count) for key, one in named for kind, count in one.failures.items()),
    )
    yield _counter(
        "retries",
        "Tries that were not the first at their deployment.",
        _DEPLOYMENT,
        ((key, one.retries) for key, one in named),
    )
    yield _counter(
        "fallbacks",
        "How often the next candidate was tried after this deployment.",
        _DEPLOYMENT,
        ((key, one.fallbacks) for key, one in named),
    )
    yield _counter(
        "breaker_changes",
        "Changes of a breaker, by the state it went to.",
        (*_DEPLOYMENT, "state"),
        (((*key, state), count) for key, one in named for state, count in one.breaker_changes.items()),
    )


def state_families(
    *,
    build: tuple[str, str],
    backends: Mapping[str, Watched],
    deployments: Sequence[DeploymentFacts],
    catalog_version: int,
    journal: tuple[int, int, bool],
) -> Iterator[Metric]:
    """How things are now."""
    yield _gauge("build_info", "Which Junto this is; always 1.", ("version", "git_sha"), [(build, 1)])
    yield _gauge(
        "catalog_version", "Number of the catalog in force; grows with every change.", (), [((), catalog_version)]
    )
    rows, size, blocked = journal
    yield _gauge("journal_waiting_rows", "Exchanges that wait for the database.", (), [((), rows)])
    yield _gauge("journal_waiting_bytes", "What those take in the journal.", (), [((), size)])
    yield _gauge(
        "journal_blocked", "1 while the journal cannot be written to and requests are refused.", (), [((), blocked)]
    )
    yield from _backend_families(backends)
    yield from _deployment_families({(one.backend, one.model): one for one in deployments})


def _backend_families(backends: Mapping[str, Watched]) -> Iterator[Metric]:
    live = [((name,), watched.live) for name, watched in backends.items()]
    yield _gauge("backend_up", "1 if the last heartbeat went well.", _BACKEND, ((key, one.up) for key, one in live))
    yield _gauge(
        "backend_probe_duration_seconds",
        "How long the last heartbeat took.",
        _BACKEND,
        (((name,), watched.latency_ms / 1000) for name, watched in backends.items() if watched.checked_ms),
    )
    # Named after what it counts; "slots_total" would promise a counter.
    yield _gauge(
        "slots",
        "Requests that may be with the backend at once; absent where there is no limit.",
        _BACKEND,
        ((key, one.slots) for key, one in live if one.slots is not None),
    )
    yield _gauge("slots_in_use", "Slots that are taken.", _BACKEND, ((key, one.in_use) for key, one in live))
    yield _gauge("queue_length", "Requests that wait for a slot.", _BACKEND, ((key, one.queued) for key, one in live))
    yield _gauge("in_flight", "Attempts under way.", _BACKEND, ((key, one.in_flight) for key, one in live))
    yield _gauge(
        "resident_models",
        "Models in the backend's memory; absent where it cannot tell.",
        _BACKEND,
        ((key, len(one.resident)) for key, one in live if one.resident is not None),
    )


def _deployment_families(deployments: Mapping[tuple[str, str], DeploymentFacts]) -> Iterator[Metric]:
    yield _gauge(
        "breaker_state",
        "0 closed, 1 half-open, 2 open.",
        _DEPLOYMENT,
        ((key, _BREAKER_VALUES[one.live.breaker.state]) for key, one in deployments.items()),
    )
    yield _gauge(
        "output_tokens_per_second",
        "Smoothed speed of answers; absent until one was measured.",
        _DEPLOYMENT,
        ((key, one.live.rate) for key, one in deployments.items() if one.live.rate),
    )
    yield _gauge(
        "model_resident",
        "1 if the model is in the backend's memory; absent where the backend cannot tell.",
        _DEPLOYMENT,
        (
            (key, one.upstream_model in one.backend_live.resident)
            for key, one in deployments.items()
            if one.backend_live.resident is not None
        ),
    )


def _token_rows(served: Iterable[Served]) -> Iterator[Row]:
    for one in served:
        if one.backend:
            yield (one.backend, one.model, "input"), one.input_tokens
            yield (one.backend, one.model, "cache_read"), one.cache_read_tokens
            yield (one.backend, one.model, "cache_write"), one.cache_write_tokens
            yield (one.backend, one.model, "output"), one.output_tokens


def _counter(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = CounterMetricFamily(f"junto_{name}", help, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _gauge(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"junto_{name}", help, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _histogram(name: str, help: str, served: Iterable[Served], of: Callable[[Served], Histogram]) -> Metric:
    family = HistogramMetricFamily(f"junto_{name}_seconds", help, labels=_DEPLOYMENT)
    for one in served:
        histogram = of(one)
        if any(histogram.counts):
            family.add_metric((one.backend, one.model), _buckets(histogram), histogram.total / 1000)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """(upper bound in seconds, how many were up to it), as Prometheus wants them: cumulative, the last one without bound."""
    buckets: list[tuple[str, float]] = []
    reached = 0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        reached += count
        buckets.append((str(bound / 1000), reached))
    return [*buckets, ("+Inf", reached + histogram.counts[-1])]
