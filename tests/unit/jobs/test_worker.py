"""What a worker takes on: as much local work as its slots are worth, and models in memory first, but not for ever."""

from __future__ import annotations

import pytest

from junto.catalog.model import GroupSpec, MemberSpec
from junto.core.sensitivity import Locality, Sensitivity
from junto.providers.fake import Fake
from junto.worker.batching import Batching
from junto.worker.hardware import Hardware, LocalRoom, in_memory
from tests.unit.gateway.many_backends import Backend, ManyBackends
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
    assert Hardware().room(house.pipeline._current.runtime, (), 500) == LocalRoom(room)


def test_while_all_hardware_is_away_only_a_few_jobs_find_out() -> None:
    house = OneBackend(Fake("desk", models=(MODEL,)), slots=4)
    house.live.up = False
    assert Hardware().room(house.pipeline._current.runtime, (), 500) == LocalRoom(2)


def house_of(
    *backends: Backend, groups: dict[str, GroupSpec] | None = None, councils: tuple[str, ...] = ()
) -> ManyBackends:
    return ManyBackends(backends, groups=groups or {}, fallbacks={}, default=Sensitivity.INTERNAL, councils=councils)


def backend(name: str, *models: str, slots: int | None = 1, locality: Locality = Locality.LOCAL) -> Backend:
    return Backend(name=name, locality=locality, models={one: one for one in models}, steps=(), slots=slots)


def room(house: ManyBackends, *running: str) -> LocalRoom:
    return Hardware().room(house.pipeline._current.runtime, running, 500)


def test_a_full_backend_leaves_the_room_of_the_others_as_it_is() -> None:
    house = house_of(backend("busy", "big", "bigger"), backend("idle", "small", slots=4))
    assert room(house) == LocalRoom(2)
    assert room(house, "big") == LocalRoom(1)
    assert room(house, "small") == LocalRoom(2)
    left = room(house, "big", "bigger")
    assert left.at_once == 8
    assert {"big", "bigger", "busy/big", "big:latest"} <= set(left.full)
    assert "small" not in left.full
    assert room(house, "big", "big:latest").full == left.full


def test_more_at_a_backend_than_it_has_room_for_takes_nothing_from_the_others() -> None:
    house = house_of(backend("busy", "big"), backend("idle", "small", slots=4))
    assert room(house, *["big"] * 20).at_once == 8


def test_when_everything_is_full_there_is_no_room() -> None:
    house = house_of(backend("one", "big"), backend("two", "small"))
    assert room(house, "big", "big", "small", "small") == LocalRoom(0)


def test_a_model_of_two_backends_has_the_room_of_both_and_is_counted_where_there_is_most() -> None:
    house = house_of(backend("one", "shared"), backend("two", "shared", "small"))
    assert room(house, "shared", "shared").at_once == 1
    left = room(house, "small", "small", "shared")  # those that have one choice only are counted first
    assert left.at_once == 1
    assert "small" in left.full
    assert "shared" not in left.full


def test_a_group_is_full_when_all_of_its_local_backends_are() -> None:
    members = tuple(MemberSpec(model) for model in ("big", "small"))
    house = house_of(backend("one", "big"), backend("two", "small"), groups={"either": GroupSpec(members=members)})
    assert "either" not in room(house, "big", "big").full
    left = room(house, "big", "big", "small")
    assert (left.at_once, "either" in left.full) == (1, False)


def test_a_backend_that_is_away_keeps_nobody_from_the_others() -> None:
    house = house_of(backend("away", "big", slots=50), backend("there", "small", slots=4))
    house._board.backend("away").up = False
    assert room(house).at_once == 2
    assert room(house, "big", "big") == LocalRoom(8, room(house, "big", "big").full)
    assert "big" in room(house, "big", "big").full


def test_councils_have_room_while_hardware_is_full() -> None:
    house = house_of(backend("one", "big"), councils=("debate",))
    assert room(house).at_once == 2
    assert room(house, "council/debate").at_once == 2
    left = room(house, "big", "big", "council/debate")
    assert left.at_once == 499
    assert "big" in left.full
    assert "council/debate" not in left.full


def test_jobs_of_names_that_nothing_stands_for_are_bounded_too() -> None:
    house = house_of(backend("one", "big"))
    assert room(house, "gone").at_once == 1
    assert room(house, "gone", "gone", "gone").at_once == 0


def test_models_in_the_cloud_are_in_nobodys_way() -> None:
    house = house_of(backend("one", "big"), backend("far", "huge", slots=None, locality=Locality.CLOUD))
    full = room(house, "big", "big", "huge").full
    assert full == ()
    assert room(house_of(backend("far", "huge", slots=None, locality=Locality.CLOUD))) == LocalRoom(500)


def test_the_room_is_that_of_the_runtime_in_force() -> None:
    hardware = Hardware()
    before, after = house_of(backend("one", "big")), house_of(backend("one", "big", slots=8))
    assert hardware.room(before.pipeline._current.runtime, (), 500).at_once == 2
    assert hardware.room(after.pipeline._current.runtime, (), 500).at_once == 16


def test_every_name_of_a_model_in_memory_is_preferred() -> None:
    house = OneBackend(Fake("desk", models=(MODEL,)))
    runtime = house.pipeline._current.runtime
    assert in_memory(runtime) == ()
    house.live.resident = frozenset({MODEL})
    assert MODEL in in_memory(runtime)
    assert "fast" in in_memory(runtime)
