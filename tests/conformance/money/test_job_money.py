"""What a job may cost is held when it is taken on, and what it did cost is charged once when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.core.errors import BudgetExceeded, Overloaded
from junto.identity.principal import Budget
from junto.storage.repositories import money
from junto.storage.repositories.job_reservations import Wanted, reserve_for_jobs
from junto.storage.sessions import OPERATOR, Session, Tenant

from .test_ledger import charge
from .till import Till, ids

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio


async def reserve(till: Till, *budgets: Budget, nano: int, holder: str = "job_1") -> None:
    async with till.sessions.write(Tenant("default")) as session:
        await hold(session, [one.id for one in budgets], nano=nano, holder=holder)


async def hold(session: Session, budgets: Sequence[str], *, nano: int, holder: str = "job_1") -> None:
    for refusal in (
        await reserve_for_jobs(session, [Wanted(holder=holder, budgets=tuple(budgets), nano=nano)])
    ).values():
        raise refusal


async def finish(till: Till, cost: int, **fields: object) -> bool:
    async with till.sessions.write(Tenant("default")) as session:
        return await till.ledger.charge_job(session, charge(cost, **fields), reservation_holder="job_1")


async def test_a_job_is_charged_what_it_cost_and_the_rest_is_free_again(till: Till) -> None:
    client, tenant = await till.budget(1000), await till.budget(2000, scope="tenant")
    await reserve(till, client, tenant, nano=300)
    assert [await till.stands(one) for one in (client, tenant)] == [(0, 300), (0, 300)]
    assert await finish(till, 120)
    assert [await till.stands(one) for one in (client, tenant)] == [(120, 0), (120, 0)]
    assert await till.reservations() == {}
    (entry,) = await till.entries()
    assert (entry["id"], entry["kind"], entry["cost_nano"]) == ("job_1", "job", 120)


async def test_a_job_that_is_charged_again_is_not(till: Till) -> None:
    client = await till.budget(1000)
    await reserve(till, client, nano=300)
    assert await finish(till, 120)
    assert not await finish(till, 120)
    assert await till.stands(client) == (120, 0)
    assert ids(await till.entries()) == ["job_1"]


async def test_a_job_that_cost_more_than_was_held_is_charged_the_truth(till: Till) -> None:
    client = await till.budget(1000)
    await reserve(till, client, nano=300)
    await finish(till, 1200)
    assert await till.stands(client) == (1200, 0)


async def test_a_failed_job_that_cost_nothing_frees_what_it_held(till: Till) -> None:
    client = await till.budget(1000)
    await reserve(till, client, nano=300)
    await finish(till, 0, failed=True)
    assert await till.stands(client) == (0, 0)
    (entry,) = await till.entries()
    assert entry["failed"] == 1


async def test_a_job_is_refused_when_one_of_its_budgets_has_no_room(till: Till) -> None:
    client, tenant = await till.budget(1000), await till.budget(100, scope="tenant")
    with pytest.raises(BudgetExceeded, match="The daily budget of tenant default"):
        await reserve(till, client, tenant, nano=300)
    assert [await till.stands(one) for one in (client, tenant)] == [(0, 0), (0, 0)]


async def test_a_refusal_that_is_caught_inside_the_transaction_has_held_nothing(till: Till) -> None:
    client, tenant = await till.budget(1000), await till.budget(100, scope="tenant")
    async with till.sessions.write(OPERATOR) as session:
        with pytest.raises(BudgetExceeded):
            await hold(session, (client.id, tenant.id), nano=300)
    assert [await till.stands(one) for one in (client, tenant)] == [(0, 0), (0, 0)]


async def test_a_cancelled_job_gives_all_back_and_twice_is_safe(till: Till) -> None:
    client = await till.budget(1000)
    await reserve(till, client, nano=300)
    for _ in range(2):
        async with till.sessions.write(Tenant("default")) as session:
            await money.release_holder(session, "job_1")
    assert await till.stands(client) == (0, 0)


async def test_a_job_without_budgets_holds_nothing(till: Till) -> None:
    await reserve(till, nano=300)
    assert await till.reservations() == {}


async def test_a_budget_that_was_removed_meanwhile_is_none(till: Till) -> None:
    async with till.sessions.write(OPERATOR) as session:
        await hold(session, ("gone",), nano=300)
    assert await till.reservations() == {}


async def test_a_budget_that_the_session_cannot_see_is_not_passed_over(till: Till) -> None:
    hidden = Budget(id="elsewhere", scope="client", period="daily", limit_nano=1)
    with pytest.raises(Overloaded):
        await reserve(till, hidden, nano=300)


async def test_jobs_that_are_paid_for_together_are_admitted_while_there_is_room_in_all_their_budgets(
    till: Till,
) -> None:
    client, tenant = await till.budget(1000), await till.budget(500, scope="tenant")
    both = (client.id, tenant.id)
    wanted = [
        Wanted(holder="job_1", budgets=both, nano=300),
        Wanted(holder="job_2", budgets=both, nano=300),  # no room in the tenant's
        Wanted(holder="job_3", budgets=both, nano=200),
        Wanted(holder="job_4", budgets=(client.id,), nano=500),
    ]
    async with till.sessions.write(Tenant("default")) as session:
        refused = await reserve_for_jobs(session, wanted)
    assert list(refused) == ["job_2"]
    assert isinstance(refused["job_2"], BudgetExceeded)
    assert [await till.stands(one) for one in (client, tenant)] == [(0, 1000), (0, 500)]
