"""What scrapers get: valid text, right numbers, and labels that no caller can fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from junto.core.exchange import ExchangeRecord
from junto.core.sensitivity import Locality
from junto.gateway.heartbeat import Watched
from junto.providers.fake import Fake
from junto.routing.facts import BackendLive, Breaker, BreakerState, DeploymentFacts, Live
from junto.telemetry.accumulators import DURATION_BOUNDS, Histogram
from junto.telemetry.metrics import Metrics
from tests.unit.telemetry.records import REFUSED, attempt, record

DESK = {"backend": "desk", "model": "llama3.2:3b"}


def metrics(
    backends: Mapping[str, Watched] | None = None,
    deployments: tuple[DeploymentFacts, ...] = (),
    journal: tuple[int, int, bool] = (0, 0, False),
    most_series: int = 100,
) -> Metrics:
    return Metrics(
        build=("0.1.0", "abc1234"),
        backends=lambda: backends or {},
        deployments=lambda: deployments,
        catalog_version=lambda: 7,
        journal=lambda: journal,
        most_series=most_series,
    )


def samples(told: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; fails if one comes twice, or if the text is not valid."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(told.render().decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(told: Metrics, name: str, **labels: Any) -> float | None:
    return samples(told).get((f"junto_{name}", frozenset(labels.items())))


def deployment(backend: str, live: Live, backend_live: BackendLive) -> DeploymentFacts:
    return DeploymentFacts(
        backend=backend,
        model="llama3.2:3b",
        upstream_model="llama3.2:3b",
        provider="fake",
        locality=Locality.LOCAL,
        live=live,
        backend_live=backend_live,
    )


def watched(name: str, live: BackendLive) -> Watched:
    return Watched(name=name, provider=Fake(name), live=live, every=10, latency_ms=20, checked_ms=1)


def test_before_any_traffic_there_is_valid_text_with_the_build_and_the_process() -> None:
    told = metrics()
    assert value(told, "build_info", version="0.1.0", git_sha="abc1234") == 1
    assert value(told, "catalog_version") == 7
    assert ("process_cpu_seconds_total", frozenset()) in samples(told)


def test_two_instances_share_nothing() -> None:
    first, second = metrics(), metrics()
    first.exchange_ended(record())
    assert b"junto_requests_total{" in first.render()
    assert b"junto_requests_total{" not in second.render()


def test_an_exchange_counts_its_request_tokens_and_cost() -> None:
    told = metrics()
    for _ in range(3):
        told.exchange_ended(record())
    assert value(told, "requests_total", **DESK, wire="openai.chat", outcome="ok", status_class="2xx") == 3
    assert value(told, "tokens_total", **DESK, **{"class": "input"}) == 36
    assert value(told, "tokens_total", **DESK, **{"class": "cache_read"}) == 21
    assert value(told, "tokens_total", **DESK, **{"class": "cache_write"}) == 15
    assert value(told, "tokens_total", **DESK, **{"class": "output"}) == 9
    assert value(told, "cost_usd_total", **DESK) == 0.00375
    assert value(told, "usage_estimated_total", **DESK) == 0


def test_estimated_usage_is_counted() -> None:
    told = metrics()
    told.exchange_ended(record(usage_estimated=True))
    assert value(told, "usage_estimated_total", **DESK) == 1


def test_durations_and_times_to_the_first_token_are_histograms_in_seconds() -> None:
    told = metrics()
    told.exchange_ended(record(ttft_ms=120, duration_ms=800))
    told.exchange_ended(record(ttft_ms=200, duration_ms=900_000))
    assert value(told, "request_duration_seconds_bucket", **DESK, le="0.5") == 0
    assert value(told, "request_duration_seconds_bucket", **DESK, le="1.0") == 1
    assert value(told, "request_duration_seconds_bucket", **DESK, le="600.0") == 1
    assert value(told, "request_duration_seconds_bucket", **DESK, le="+Inf") == 2
    assert value(told, "request_duration_seconds_count", **DESK) == 2
    assert value(told, "request_duration_seconds_sum", **DESK) == 900.8
    assert value(told, "time_to_first_token_seconds_bucket", **DESK, le="0.1") == 0
    assert value(told, "time_to_first_token_seconds_bucket", **DESK, le="0.2") == 2


def test_only_streams_have_a_time_to_the_first_token() -> None:
    told = metrics()
    told.exchange_ended(record(stream=False))
    assert value(told, "request_duration_seconds_count", **DESK) == 1
    assert value(told, "time_to_first_token_seconds_count", **DESK) is None


@given(st.lists(st.integers(0, 2_000_000)))
def test_a_histogram_puts_each_value_under_the_first_bound_that_it_does_not_exceed(values: list[int]) -> None:
    histogram = Histogram(DURATION_BOUNDS)
    for each in values:
        histogram.observe(each)
    assert sum(histogram.counts) == len(values)
    assert histogram.total == sum(values)
    for index, bound in enumerate(DURATION_BOUNDS):
        assert sum(histogram.counts[: index + 1]) == sum(1 for each in values if each <= bound)


def test_an_exchange_that_nobody_answered_is_counted_without_a_deployment() -> None:
    told = metrics()
    told.exchange_ended(record(**REFUSED))
    nobody = {"backend": "", "model": ""}
    assert value(told, "requests_total", **nobody, wire="openai.chat", outcome="error", status_class="5xx") == 1
    assert value(told, "request_duration_seconds_count", **nobody) == 1
    assert value(told, "time_to_first_token_seconds_count", **nobody) is None
    assert value(told, "cost_usd_total", **nobody) is None


def test_a_name_that_a_caller_gave_is_never_a_label() -> None:
    told = metrics()
    told.exchange_ended(record(requested_model="CALLERTEXT"))
    told.exchange_ended(record(**REFUSED, requested_model="CALLERTEXT", task_type="CALLERTEXT", client="CALLERTEXT"))
    assert b"CALLERTEXT" not in told.render()
    assert b"WHAT THE" not in told.render()


def test_attempts_retries_and_failures_are_counted_by_kind() -> None:
    told = metrics()
    told.attempt_ended(**DESK, failure="timeout", retried=False)
    told.attempt_ended(**DESK, failure="timeout", retried=True)
    told.attempt_ended(**DESK, failure="", retried=True)
    assert value(told, "attempts_total", **DESK) == 3
    assert value(told, "retries_total", **DESK) == 2
    assert value(told, "attempt_failures_total", **DESK, kind="timeout") == 2


def test_a_fallback_is_counted_at_the_deployment_that_was_left_and_a_retry_is_none() -> None:
    told = metrics()
    tries = (attempt("rack", "timeout"), attempt("rack", "timeout"), attempt("cloud", "rate_limited"), attempt("desk"))
    told.exchange_ended(record(attempts=tries))
    assert value(told, "fallbacks_total", backend="rack", model="llama3.2:3b") == 1
    assert value(told, "fallbacks_total", backend="cloud", model="llama3.2:3b") == 1
    assert value(told, "fallbacks_total", **DESK) == 0


def test_changes_of_a_breaker_are_counted_and_its_state_is_read_from_the_live_facts() -> None:
    live = Live(rate=42.5)
    told = metrics(deployments=(deployment("desk", live, BackendLive()),))
    told.breaker_changed(**DESK, state="open")
    assert value(told, "breaker_changes_total", **DESK, state="open") == 1
    for state, number in ((BreakerState.CLOSED, 0), (BreakerState.HALF_OPEN, 1), (BreakerState.OPEN, 2)):
        live.breaker = Breaker(state=state)
        assert value(told, "breaker_state", **DESK) == number
    assert value(told, "output_tokens_per_second", **DESK) == 42.5


def test_backends_are_read_at_each_scrape() -> None:
    live = BackendLive(slots=4, in_use=3, queued=2, in_flight=5, resident=frozenset({"llama3.2:3b", "other"}))
    told = metrics({"desk": watched("desk", live)}, (deployment("desk", Live(), live),))
    desk = {"backend": "desk"}
    assert value(told, "backend_up", **desk) == 1
    assert value(told, "slots", **desk) == 4
    assert value(told, "slots_in_use", **desk) == 3
    assert value(told, "queue_length", **desk) == 2
    assert value(told, "in_flight", **desk) == 5
    assert value(told, "resident_models", **desk) == 2
    assert value(told, "model_resident", **DESK) == 1
    live.up, live.queued, live.resident = False, 0, frozenset()
    assert value(told, "backend_up", **desk) == 0
    assert value(told, "queue_length", **desk) == 0
    assert value(told, "model_resident", **DESK) == 0


def test_what_is_not_known_is_absent() -> None:
    live = BackendLive(slots=None, resident=None)
    told = metrics({"desk": watched("desk", live)}, (deployment("desk", Live(), live),))
    assert value(told, "slots", backend="desk") is None
    assert value(told, "resident_models", backend="desk") is None
    assert value(told, "model_resident", **DESK) is None
    assert value(told, "output_tokens_per_second", **DESK) is None


def test_a_deployment_that_is_listed_twice_gives_one_sample() -> None:
    twice = deployment("desk", Live(), BackendLive())
    assert value(metrics(deployments=(twice, twice)), "breaker_state", **DESK) == 0


def test_the_journal_is_read_at_each_scrape() -> None:
    told = metrics(journal=(12, 3400, True))
    assert value(told, "journal_waiting_rows") == 12
    assert value(told, "journal_waiting_bytes") == 3400
    assert value(told, "journal_blocked") == 1


def test_the_number_of_series_is_bounded_and_nothing_goes_uncounted() -> None:
    told = metrics(most_series=3)
    for number in range(10):
        told.exchange_ended(record(model=f"model{number}"))
        told.attempt_ended(backend="desk", model=f"model{number}", failure="", retried=False)
    requests = [count for (name, _), count in samples(told).items() if name == "junto_requests_total"]
    assert sum(requests) == 10
    assert len(requests) <= 4
    other = {"backend": "other", "model": "other"}
    assert value(told, "requests_total", **other, wire="openai.chat", outcome="ok", status_class="2xx") == 7
    assert value(told, "attempts_total", **other) == 7


@given(
    st.lists(st.builds(record, model=st.text(st.characters(exclude_categories=["Cs"])), status=st.integers(200, 599)))
)
def test_whatever_a_model_is_called_the_text_is_valid(exchanges: list[ExchangeRecord]) -> None:
    told = metrics()
    for exchange in exchanges:
        told.exchange_ended(exchange)
    requests = [count for (name, _), count in samples(told).items() if name == "junto_requests_total"]
    assert sum(requests) == len(exchanges)
