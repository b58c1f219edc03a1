"""Shadows as metrics: right numbers by task and candidate, and labels that do not grow without bound."""

from __future__ import annotations

from junto.telemetry.metrics import Metrics
from junto.telemetry.shadows import ShadowMetrics
from tests.unit.telemetry.test_metrics import metrics, value


def told(shadows: ShadowMetrics) -> Metrics:
    made = metrics()
    made.add(shadows.families)
    return made


def test_shadows_are_counted_by_how_they_end_and_those_that_wait_are_a_gauge() -> None:
    shadows = ShadowMetrics()
    shadows.shadow_sampled(task_type="mail", model="rival")
    shadows.shadow_ended(task_type="mail", model="rival", status="complete", reason="")
    shadows.shadow_ended(task_type="mail", model="rival", status="dropped", reason="floor")
    shadows.shadows_wait({("mail", "rival"): 3})
    of = {"task_type": "mail", "model": "rival"}
    assert value(told(shadows), "shadows_sampled_total", **of) == 1
    assert value(told(shadows), "shadows_total", **of, status="complete", reason="") == 1
    assert value(told(shadows), "shadows_total", **of, status="dropped", reason="floor") == 1
    assert value(told(shadows), "shadows_waiting", **of) == 3
    shadows.shadows_wait({})
    assert value(told(shadows), "shadows_waiting", **of) == 0


def test_tasks_and_candidates_beyond_the_first_are_counted_together() -> None:
    shadows = ShadowMetrics(most_words=2)
    for number in range(5):
        shadows.shadow_sampled(task_type=f"task-{number}", model=f"model-{number}")
    shadows.shadows_wait({(f"task-{number}", f"model-{number}"): 1 for number in range(5)})
    assert value(told(shadows), "shadows_sampled_total", task_type="other", model="other") == 3
    assert value(told(shadows), "shadows_waiting", task_type="other", model="other") == 3
