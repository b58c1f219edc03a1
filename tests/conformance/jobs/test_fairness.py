"""Who is next on every database: clients in turn whatever they ask for, and of a client's own jobs the most urgent, then the oldest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from junto.ports.jobs import Retry, Room

from .desk import ANSWERED, LEASE, Desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.jobs import Claim

pytestmark = pytest.mark.anyio
ROOM = Room(1000, 1000)


async def flood(desk: Desk, number: int, **fields: Any) -> None:
    for _ in range(number):
        await desk.submit(**fields)


async def claims(desk: Desk, number: int, *, at_once: int = 1, **options: Any) -> list[Claim]:
    """As many jobs as a worker takes, and ends, in that order."""
    taken: list[Claim] = []
    while len(taken) < number:
        found: Sequence[Claim] = await desk.work.claim("w", ROOM, lease_ms=LEASE, limit=at_once, **options)
        if not found:
            break
        taken += found
        for claim in found:
            await desk.work.finish(claim, ANSWERED)
    return taken


@pytest.mark.parametrize("at_once", [1, 8])
async def test_a_tenant_that_floods_at_the_highest_priority_does_not_starve_another(desk: Desk, at_once: int) -> None:
    await flood(desk, 500, client="cli_a", priority=10)
    await claims(desk, 8, at_once=at_once)
    await flood(desk, 5, client="cli_o", tenant="other", priority=1)
    first = await claims(desk, 16, at_once=at_once)
    assert [claim.job.client_id for claim in first].count("cli_o") == 5


async def test_a_client_that_floods_at_the_highest_priority_does_not_starve_its_tenants_others(desk: Desk) -> None:
    await flood(desk, 100, client="cli_a", priority=10)
    await flood(desk, 5, client="cli_b", priority=1)
    assert [claim.job.client_id for claim in await claims(desk, 12)].count("cli_b") == 5


async def test_urgent_jobs_on_top_of_a_backlog_get_their_client_no_more_turns(desk: Desk) -> None:
    await flood(desk, 60, client="cli_a", priority=1)
    await flood(desk, 60, client="cli_b", priority=5)
    await flood(desk, 20, client="cli_a", priority=10)
    first = await claims(desk, 40, at_once=4)
    assert 18 <= [claim.job.client_id for claim in first].count("cli_b") <= 22
    assert {claim.job.priority for claim in first if claim.job.client_id == "cli_a"} == {10}
    await flood(desk, 20, client="cli_a", priority=10)  # nor do those that come when these are through
    second = await claims(desk, 40, at_once=4)
    assert [claim.job.client_id for claim in second].count("cli_b") >= 18


@pytest.mark.parametrize("at_once", [1, 3, 32])
async def test_of_a_clients_own_jobs_the_most_urgent_go_first_and_the_oldest_of_them(desk: Desk, at_once: int) -> None:
    jobs = [await desk.submit(priority=priority) for priority in (1, 5, 10, 1, 5, 10, 7, 1)]
    due = sorted(jobs, key=lambda job: (-job.priority, job.id))
    assert [claim.job.id for claim in await claims(desk, 8, at_once=at_once)] == [job.id for job in due]


async def test_a_job_that_was_passed_stays_before_those_that_came_after_it(desk: Desk) -> None:
    old = [await desk.submit(priority=3) for _ in range(6)]
    urgent = [await desk.submit(priority=8) for _ in range(2)]
    assert [claim.job.id for claim in await claims(desk, 8)] == [job.id for job in (*urgent, *old)]


async def test_a_retried_job_is_the_first_of_its_line_again(desk: Desk) -> None:
    first, second = await desk.submit(), await desk.submit()
    claim = await desk.claim()
    assert claim is not None
    await desk.work.retry(claim, Retry(delay_ms=0, error_code="x"))
    assert [claim.job.id for claim in await claims(desk, 2)] == [first.id, second.id]


async def test_an_urgent_job_goes_before_one_whose_model_is_in_memory_of_its_own_client_only(desk: Desk) -> None:
    warm = await desk.submit(client="cli_a", model="warm")
    urgent = await desk.submit(client="cli_a", model="cold", priority=9)
    others = await desk.submit(client="cli_b", model="warm", priority=1)
    taken = await claims(desk, 3, prefer=("warm",))
    assert [claim.job.id for claim in taken] == [urgent.id, others.id, warm.id]


async def test_a_job_without_room_keeps_its_place_in_line_and_leaves_the_turn_to_the_next(desk: Desk) -> None:
    local, cloud = await desk.submit(local=True, priority=9), await desk.submit(local=False, priority=1)
    claim = await desk.claim(room=Room(0, 5))
    assert claim is not None
    assert claim.job.id == cloud.id
    assert [claim.job.id for claim in await claims(desk, 1)] == [local.id]


async def test_the_place_of_an_urgent_job_is_before_its_clients_others(desk: Desk) -> None:
    plain = [await desk.submit() for _ in range(4)]
    urgent = await desk.submit(priority=9)
    assert await desk.jobs.place(urgent) == 1
    assert [await desk.jobs.place(job) for job in plain] == [2, 3, 4, 5]
