"""Councils as metrics: right numbers by template, and labels that do not grow without bound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from junto.ports.observer import CouncilEnded
from junto.telemetry.councils import CouncilMetrics
from junto.telemetry.metrics import Metrics
from junto.telemetry.observers import Observers
from tests.unit.telemetry.test_metrics import metrics, samples, value

DEBATE = CouncilEnded(
    template="debate",
    kind="synthesis",
    degraded=False,
    members=2,
    missing=0,
    milliseconds=12_000,
    tokens=2_046,
    cost_nano=6_236_000,
)


def ended(**changes: Any) -> CouncilEnded:
    return msgspec.structs.replace(DEBATE, **changes)


def told(councils: CouncilMetrics) -> Metrics:
    made = metrics()
    made.add(councils.families)
    return made


def test_sittings_are_counted_by_template_and_how_they_ended() -> None:
    councils = CouncilMetrics()
    for council in (DEBATE, DEBATE, ended(degraded=True), ended(kind="single", degraded=True, missing=1)):
        councils.council_ended(council)
    shown = told(councils)
    assert value(shown, "councils_total", template="debate", kind="synthesis", degraded="false") == 2
    assert value(shown, "councils_total", template="debate", kind="synthesis", degraded="true") == 1
    assert value(shown, "councils_total", template="debate", kind="single", degraded="true") == 1


def test_time_members_tokens_and_money_are_added_by_template() -> None:
    councils = CouncilMetrics()
    councils.council_ended(DEBATE)
    councils.council_ended(ended(missing=1, degraded=True, milliseconds=-5))
    councils.council_ended(ended(template="peer-review", members=3))
    shown = told(councils)
    assert value(shown, "council_duration_seconds_sum", template="debate") == 12.0
    assert value(shown, "council_duration_seconds_count", template="debate") == 2
    assert value(shown, "council_members_total", template="debate") == 4
    assert value(shown, "council_members_missing_total", template="debate") == 1
    assert value(shown, "council_tokens_total", template="debate") == 4_092
    assert value(shown, "council_cost_usd_total", template="debate") == pytest.approx(0.012472)
    assert value(shown, "council_members_missing_total", template="peer-review") == 0


def test_templates_beyond_the_first_ones_are_counted_together() -> None:
    councils = CouncilMetrics(most_templates=2)
    for number in range(50):
        councils.council_ended(ended(template=f"council-{number}"))
    series = {key: count for key, count in samples(told(councils)).items() if key[0] == "junto_councils_total"}
    assert {dict(labels)["template"] for _, labels in series} == {"council-0", "council-1", "other"}
    assert sum(series.values()) == 50


def test_they_are_told_through_the_observers() -> None:
    councils = CouncilMetrics()
    Observers(councils=[councils]).council_ended(DEBATE)
    assert value(told(councils), "council_members_total", template="debate") == 2
