"""In which order calls start, so that a machine that holds one model at a time swaps once per model."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from junto.council.deliberation import Call, CallRole, Place
from junto.council.stages import order


def _calls(number: int) -> list[Call]:
    return [
        Call(key=f"k{index}", speaker=f"m{index}", role=CallRole.OPINION, model="m", messages=())
        for index in range(number)
    ]


def test_calls_that_go_elsewhere_start_first_and_local_ones_by_model_the_resident_one_first() -> None:
    """Two swaps become one, and none for what is in memory."""
    places = {
        "k0": Place(backend="desk", model="big"),
        "k1": Place(backend="desk", model="small", is_resident=True),
        "k2": Place(backend="desk", model="big"),
        "k3": Place(backend="sky", model="huge", is_local=False),
        "k4": Place(backend="desk", model="small", is_resident=True),
    }
    assert [call.key for call in order(_calls(6), places)] == ["k3", "k5", "k1", "k4", "k0", "k2"]


@given(
    places=st.lists(
        st.builds(
            Place,
            backend=st.sampled_from(["desk", "rack"]),
            model=st.sampled_from(["a", "b", "c"]),
            is_local=st.booleans(),
        ),
        max_size=12,
    ),
    resident=st.sampled_from(["a", "b", "c", ""]),
)
def test_each_local_model_runs_in_one_go(places: list[Place], resident: str) -> None:
    """Nobody is lost, and on no backend is a model come back to."""
    calls = _calls(len(places))
    known = {
        call.key: Place(backend=one.backend, model=one.model, is_local=one.is_local, is_resident=one.model == resident)
        for call, one in zip(calls, places, strict=True)
    }
    started = order(calls, known)
    assert sorted(call.key for call in started) == sorted(call.key for call in calls)
    for backend in ("desk", "rack"):
        here = [known[call.key] for call in started if known[call.key].is_local and known[call.key].backend == backend]
        models = [place.model for place in here]
        swaps = sum(one != other for one, other in itertools.pairwise(models))
        assert swaps == max(0, len(set(models)) - 1)
        assert not any(place.model == resident for place in here) or models[0] == resident
