"""From counts and live facts to Prometheus' metric families. Pure but for prometheus-client's value classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.money import NANO_PER_USD
from junto.routing.facts import BreakerState
from junto.telemetry.rows import Row, make_counter, make_gauge, make_histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from junto.gateway.heartbeat import Watched
    from junto.routing.facts import DeploymentFacts
    from junto.telemetry.accumulators import Requests, Served

_BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_BACKEND = ("backend",)
_DEPLOYMENT = ("backend", "model")


def traffic_families(requests: Iterable[Requests], served: Iterable[Served]) -> Iterator[Metric]:
    """What has been counted since the start."""
    every = tuple(served)
    # Exchanges that nobody answered have no deployment, so no tokens, cost or attempts.
    named = tuple(((one.backend, one.model), one) for one in every if one.backend)
    yield make_counter(
        "requests",
        "Exchanges that ended. backend and model are empty where nobody answered.",
        ("wire", *_DEPLOYMENT, "outcome", "status_class"),
        (((r.wire, r.served.backend, r.served.model, r.outcome, r.status_class), r.count) for r in requests),
    )
    yield make_histogram(
        "request_duration",
        "From the request's arrival to the end of its answer.",
        _DEPLOYMENT,
        ((_key(one), one.duration) for one in every),
    )
    yield make_histogram(
        "time_to_first_token",
        "From the request's arrival to the first bytes of a stream.",
        _DEPLOYMENT,
        ((_key(one), one.ttft) for one in every),
    )
    yield make_counter(
        "tokens", "Tokens by class; the classes are disjoint.", (*_DEPLOYMENT, "class"), _token_rows(every)
    )
    yield make_counter(
        "cost_usd", "Dollars charged.", _DEPLOYMENT, ((key, one.cost_nano / NANO_PER_USD) for key, one in named)
    )
    yield make_counter(
        "usage_estimated",
        "Answers whose tokens Junto counted itself, because the backend did not say.",
        _DEPLOYMENT,
        ((key, one.estimated) for key, one in named),
    )
    yield make_counter("attempts", "Tries at a deployment.", _DEPLOYMENT, ((key, one.attempts) for key, one in named))
    yield make_counter(
        "attempt_failures",
        "Tries that failed; the kind `cancelled` means that the caller went away.",
        (*_DEPLOYMENT, "kind"),
        (((*key, kind), count) for key, one in named for kind, count in one.failures.items()),
    )
    yield make_counter(
        "retries",
        "Tries that were not the first at their deployment.",
        _DEPLOYMENT,
        ((key, one.retries) for key, one in named),
    )
    yield make_counter(
        "fallbacks",
        "How often the next candidate was tried after this deployment.",
        _DEPLOYMENT,
        ((key, one.fallbacks) for key, one in named),
    )
    yield make_counter(
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
    yield make_gauge("build_info", "Which Junto this is; always 1.", ("version", "git_sha"), [(build, 1)])
    yield make_gauge(
        "catalog_version", "Number of the catalog in force; grows with every change.", (), [((), catalog_version)]
    )
    rows, size, blocked = journal
    yield make_gauge("journal_waiting_rows", "Exchanges that wait for the database.", (), [((), rows)])
    yield make_gauge("journal_waiting_bytes", "What those take in the journal.", (), [((), size)])
    yield make_gauge(
        "journal_blocked", "1 while the journal cannot be written to and requests are refused.", (), [((), blocked)]
    )
    yield from _backend_families(backends)
    yield from _deployment_families({(one.backend, one.model): one for one in deployments})


def redis_families(redis_up: Callable[[], bool]) -> Iterator[Metric]:
    """Whether Redis is there; only for a process that was told of one."""
    yield make_gauge(
        "redis_up",
        "1 if Redis answered the last command; 0: limits, signals or queue go without it.",
        (),
        [((), redis_up())],
    )


def _backend_families(backends: Mapping[str, Watched]) -> Iterator[Metric]:
    live = [((name,), watched.live) for name, watched in backends.items()]
    yield make_gauge("backend_up", "1 if the last heartbeat went well.", _BACKEND, ((key, one.up) for key, one in live))
    yield make_gauge(
        "backend_probe_duration_seconds",
        "How long the last heartbeat took.",
        _BACKEND,
        (((name,), watched.latency_ms / 1000) for name, watched in backends.items() if watched.checked_ms),
    )
    # Named after what it counts; "slots_total" would promise a counter.
    yield make_gauge(
        "slots",
        "Requests that may be with the backend at once; absent where there is no limit.",
        _BACKEND,
        ((key, one.slots) for key, one in live if one.slots is not None),
    )
    yield make_gauge("slots_in_use", "Slots that are taken.", _BACKEND, ((key, one.in_use) for key, one in live))
    yield make_gauge(
        "queue_length", "Requests that wait for a slot.", _BACKEND, ((key, one.queued) for key, one in live)
    )
    yield make_gauge("in_flight", "Attempts under way.", _BACKEND, ((key, one.in_flight) for key, one in live))
    yield make_gauge(
        "resident_models",
        "Models in the backend's memory; absent where it cannot tell.",
        _BACKEND,
        ((key, len(one.resident)) for key, one in live if one.resident is not None),
    )


def _deployment_families(deployments: Mapping[tuple[str, str], DeploymentFacts]) -> Iterator[Metric]:
    yield make_gauge(
        "breaker_state",
        "0 closed, 1 half-open, 2 open.",
        _DEPLOYMENT,
        ((key, _BREAKER_VALUES[one.live.breaker.state]) for key, one in deployments.items()),
    )
    yield make_gauge(
        "output_tokens_per_second",
        "Smoothed speed of answers; absent until one was measured.",
        _DEPLOYMENT,
        ((key, one.live.rate) for key, one in deployments.items() if one.live.rate),
    )
    yield make_gauge(
        "model_resident",
        "1 if the model is in the backend's memory; absent where the backend cannot tell.",
        _DEPLOYMENT,
        (
            (key, one.upstream_model in one.backend_live.resident)
            for key, one in deployments.items()
            if one.backend_live.resident is not None
        ),
    )


def _key(one: Served) -> tuple[str, str]:
    return one.backend, one.model


def _token_rows(served: Iterable[Served]) -> Iterator[Row]:
    for one in served:
        if one.backend:
            yield (one.backend, one.model, "input"), one.input_tokens
            yield (one.backend, one.model, "cache_read"), one.cache_read_tokens
            yield (one.backend, one.model, "cache_write"), one.cache_write_tokens
            yield (one.backend, one.model, "output"), one.output_tokens
