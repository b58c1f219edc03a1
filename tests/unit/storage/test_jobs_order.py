"""Turns and lines: nobody's turns change but the client's own, and whoever is first in line takes the first of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from junto.storage.repositories.jobs_order import Waiting, in_line


def waiting(id: str, turn: int, *, priority: int = 5, client: str = "a") -> Waiting:
    return Waiting("default", id, client, priority, turn, "raw")


def test_where_all_are_as_urgent_everybody_takes_his_own_turn() -> None:
    jobs = [waiting("1", 1), waiting("2", 1, client="b"), waiting("3", 2)]
    assert in_line(jobs, jobs, prefers=False) == (jobs, {})


def test_the_first_in_line_takes_the_turn_and_leaves_his() -> None:
    had, urgent = waiting("1", 1), waiting("9", 7, priority=10)
    chosen, moved = in_line([had], [urgent], prefers=False)
    assert chosen == [urgent]
    assert moved == {urgent.key: 1, had.key: 7}


def test_among_equally_urgent_ones_the_preferred_stays() -> None:
    warm, older = waiting("2", 2), waiting("1", 1)
    assert in_line([warm], [older], prefers=True) == ([warm], {})
    assert in_line([warm], [older], prefers=False)[0] == [older]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 10)), min_size=1, max_size=30),
    st.integers(1, 30),
    st.booleans(),
)
def test_turns_stay_the_clients_own_and_the_line_is_kept(
    asked: list[tuple[str, int]],
    limit: int,
    prefers: bool,  # noqa: FBT001  drawn
) -> None:
    jobs = [waiting(f"{n:03}", n, priority=priority, client=client) for n, (client, priority) in enumerate(asked)]
    turns = jobs[:limit]
    line = [
        job
        for client in "abc"
        for job in sorted((one for one in jobs if one.client_id == client), key=lambda one: (-one.priority, one.id))[
            : sum(one.client_id == client for one in turns)
        ]
    ]
    chosen, moved = in_line(turns, line, prefers=prefers)
    assert [job.client_id for job in chosen] == [job.client_id for job in turns]
    assert len({job.key for job in chosen}) == len(turns)
    after = {job.key: moved.get(job.key, job.turn) for job in jobs}
    assert sorted(after.values()) == [job.turn for job in jobs]
    for client in "abc":
        own = [job for job in jobs if job.client_id == client]
        assert sorted(after[job.key] for job in own) == [job.turn for job in own]
        taken = {job.key for job in chosen if job.client_id == client}
        assert {after[key] for key in taken} == {job.turn for job in turns if job.client_id == client}
        left = [job.priority for job in own if job.key not in taken]
        assert not (taken and left) or min(job.priority for job in own if job.key in taken) >= max(left)
