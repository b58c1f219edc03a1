"""What a worker takes on: as much local work as its slots are worth, and models in memory first, but not for ever."""

from __future__ import annotations

import pytest

from junto.core.sensitivity import Locality
from junto.providers.fake import Fake
from junto.worker.batching import Batching
from junto.worker.hardware import in_memory, local_room
from tests.unit.gateway.one_backend import MODEL, OneBackend


def test_models_in_memory_go_first_for_so_many_jobs_and_then_fairness_has_its_turn() -> None:
    batching = Batching(jobs=3, seconds=30.0)
    assert batching.prefers(0.0)
    batching.took(2, 0.0)
    assert batching.left == 1
    assert batching.prefers(1.0)
    batching.took(1, 1.0)
    assert not batching.prefers(2.0)
    assert batching.prefers(2.0)


def test_a_batch_is_over_after_so_many_seconds_too() -> None:
    batching = Batching(jobs=100, seconds=30.0)
    batching.took(1, 10.0)
    assert batching.prefers(39.0)
    assert not batching.prefers(40.0)


def test_a_batch_that_took_nothing_does_not_age() -> None:
    batching = Batching(jobs=3, seconds=30.0)
    batching.took(0, 0.0)
    assert batching.prefers(1000.0)


@pytest.mark.parametrize(("slots", "room"), [(1, 2), (4, 8), (None, 500), (1000, 500)])
def test_local_jobs_are_claimed_for_twice_the_slots(slots: int | None, room: int) -> None:
    house = OneBackend(Fake("desk", models=(MODEL,)), slots=slots)
    house.live.slots = slots
    assert house.deployment.locality is Locality.LOCAL
    assert local_room(house.pipeline._current.runtime, 500) == room


def test_while_all_hardware_is_away_only_a_few_jobs_find_out() -> None:
    house = OneBackend(Fake("desk", models=(MODEL,)), slots=4)
    house.live.up = False
    assert local_room(house.pipeline._current.runtime, 500) == 2


def test_every_name_of_a_model_in_memory_is_preferred() -> None:
    house = OneBackend(Fake("desk", models=(MODEL,)))
    runtime = house.pipeline._current.runtime
    assert in_memory(runtime) == ()
    house.live.resident = frozenset({MODEL})
    assert MODEL in in_memory(runtime)
    assert "fast" in in_memory(runtime)
