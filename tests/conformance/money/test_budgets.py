"""Budgets: money is held back in one step, from all budgets or none, and windows end by the database's clock."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from junto.core.errors import BudgetExceeded, Overloaded
from junto.core.periods import window_start
from junto.ports.money import Drawn, NoRoom, Wanted
from junto.storage.repositories import money
from junto.storage.repositories.credit import StoredCredit
from junto.storage.sessions import OPERATOR
from junto.storage.tables.money import RESERVATIONS

from .till import DAY, Till, record

pytestmark = pytest.mark.anyio


async def test_a_draw_far_from_the_limit_takes_more_and_one_near_it_takes_what_is_needed(till: Till) -> None:
    budget = await till.budget(1000)
    assert await till.draw(budget, 40, ahead=5000) == Drawn(amount=100, room=900)
    assert await till.draw(budget, 895, ahead=5000) == Drawn(amount=895, room=5)
    assert await till.draw(budget, 5) == Drawn(amount=5, room=0)
    assert await till.stands(budget) == (0, 1000)


async def test_a_draw_beyond_the_limit_is_refused_and_changes_nothing(till: Till) -> None:
    budget = await till.budget(1000)
    await till.draw(budget, 600)
    with pytest.raises(NoRoom) as refused:
        await till.draw(budget, 401)
    assert (refused.value.budget_id, refused.value.room) == (budget.id, 400)
    assert await till.stands(budget) == (0, 600)


async def test_all_budgets_are_drawn_from_or_none(till: Till) -> None:
    key, client, tenant = [
        await till.budget(limit, scope=scope) for scope, limit in (("key", 100), ("client", 100), ("tenant", 10))
    ]
    wanted = [
        Wanted(budget_id=one.id, reservation_id=f"n:1.{one.id}", least=20, most=20) for one in (tenant, key, client)
    ]
    with pytest.raises(NoRoom) as refused:
        await till.credit.draw("n:1", wanted, lease_ms=1000)
    assert refused.value.budget_id == tenant.id
    assert [await till.stands(one) for one in (key, client, tenant)] == [(0, 0)] * 3
    assert await till.reservations() == {}


async def test_the_refusal_says_which_budget_of_whom_how_much_and_until_when(till: Till) -> None:
    budget = await till.budget(2_500_000_000)
    await till.draw(budget, 2_000_000_000)
    with pytest.raises(BudgetExceeded) as refused:
        await till.draw(budget, 1_000_000_000)
    now = await till.now()
    assert refused.value.message.startswith("The daily budget of client cli_a (2.500000 USD) has no room left")
    assert refused.value.message.endswith("T00:00:00Z.")
    assert refused.value.retry_after is not None
    left = (window_start("daily", now) + DAY - now) / 1000
    assert left - 60 < refused.value.retry_after <= left + 60


async def test_a_budget_without_an_end_does_not_say_when_to_come_back(till: Till) -> None:
    budget = await till.budget(10, period="total")
    await till.draw(budget, 10)
    with pytest.raises(BudgetExceeded) as refused:
        await till.draw(budget, 1)
    assert refused.value.retry_after is None
    assert "does not reset" in refused.value.message


async def test_a_request_that_no_window_could_pay_is_told_so(till: Till) -> None:
    budget = await till.budget(10)
    with pytest.raises(BudgetExceeded, match="is less than this request may cost") as refused:
        await till.draw(budget, 11)
    assert refused.value.retry_after is None


@pytest.mark.parametrize("period", ["daily", "monthly"])
async def test_a_window_that_is_over_begins_again_with_nothing_spent(till: Till, period: str) -> None:
    budget = await till.budget(1000, period=period)
    start = window_start(period, await till.now())
    await till.put_back(budget, window_ms=window_start(period, start - 1), spent=1000)
    assert await till.stands(budget) == (0, 0)
    await till.draw(budget, 1000)
    assert (await till.state(budget)).window_ms == start
    with pytest.raises(BudgetExceeded):
        await till.draw(budget, 1)


async def test_a_total_is_never_whole_again(till: Till) -> None:
    budget = await till.budget(1000, period="total")
    await till.post(record("req_1", cost_nano=1000))
    assert (await till.state(budget)).resets_ms is None
    with pytest.raises(BudgetExceeded):
        await till.draw(budget, 1)


async def test_money_that_is_held_over_the_end_of_a_window_counts_in_the_next_one(till: Till) -> None:
    budget = await till.budget(1000)
    await till.draw(budget, 600, id="n:1.1")
    yesterday = window_start("daily", await till.now()) - DAY
    await till.put_back(budget, window_ms=yesterday, spent=400)
    assert await till.stands(budget) == (0, 600)
    with pytest.raises(BudgetExceeded):
        await till.draw(budget, 401, id="n:2.1")
    await till.post(record("req_1", cost_nano=600, paid=(("n:1.1", 600),)))
    assert await till.stands(budget) == (600, 0)


async def test_a_limit_below_what_is_spent_refuses_and_nothing_goes_below_zero(till: Till) -> None:
    budget = await till.budget(1000)
    await till.post(record("req_1", cost_nano=900))
    await till.budget(500)
    with pytest.raises(NoRoom) as refused:
        await till.draw(budget, 1)
    assert refused.value.room == -400


async def test_what_is_given_back_can_be_drawn_again(till: Till) -> None:
    budget = await till.budget(1000)
    await till.draw(budget, 1000, id="n:1.1")
    await till.credit.give_back({"n:1.1": 300, "unknown": 5})
    assert await till.stands(budget) == (0, 700)
    await till.draw(budget, 300, id="n:2.1")
    await till.credit.give_back({"n:1.1": 5000})
    assert await till.stands(budget) == (0, 300)


async def test_a_removed_budget_gives_nothing_and_refuses_nobody(till: Till) -> None:
    budget = await till.budget(1000)
    gone = Wanted(budget_id="gone", reservation_id="n:1.1", least=10**15, most=10**15)
    there = Wanted(budget_id=budget.id, reservation_id="n:1.2", least=10, most=10)
    assert await till.credit.draw("n:1", [gone, there], lease_ms=1000) == [None, Drawn(amount=10, room=990)]


async def test_expired_reservations_are_swept_and_renewed_ones_are_not(till: Till) -> None:
    budget = await till.budget(1000)
    for number in (1, 2):
        await till.draw(budget, 100, id=f"n:1.{number}", lease_ms=1)
    assert await till.credit.renew(["n:1.2", "n:1.3"], lease_ms=60_000) == {"n:1.2"}
    await asyncio.sleep(0.01)
    assert await till.credit.sweep() == 1
    assert await till.reservations() == {"n:1.2": 100}
    assert await till.stands(budget) == (0, 100)
    assert await till.credit.sweep() == 0


async def test_what_a_late_entry_had_reserved_and_lost_is_spent_all_the_same(till: Till) -> None:
    """A node that was away for longer than its lease: its budget may be passed by what it had used, and by nothing else."""
    budget = await till.budget(1000)
    await till.draw(budget, 400, id="n:1.1")
    await till.alter(RESERVATIONS, expires_ms=0)
    await till.credit.sweep()
    await till.draw(budget, 1000, id="n:2.1")
    await till.post(record("req_1", cost_nano=400, paid=(("n:1.1", 400),)))
    assert await till.stands(budget) == (400, 1000)


async def test_the_leftovers_of_earlier_lives_of_a_node_are_released_and_nobody_elses(till: Till) -> None:
    budget = await till.budget(1000)
    for holder in ("a:1", "a:2", "a:3", "ab:1", "job_1"):
        await till.draw(budget, 100, holder=holder, id=f"{holder}.1")
    assert await till.credit.release_earlier("a", but="a:3") == 2
    assert set(await till.reservations()) == {"a:3.1", "ab:1.1", "job_1.1"}
    assert await till.stands(budget) == (0, 300)


async def test_many_that_draw_at_once_never_pass_the_limit(till: Till) -> None:
    budget = await till.budget(1000)
    others = [StoredCredit(till.sessions, patience=30.0) for _ in range(4)]

    async def draw(number: int) -> str:
        wanted = Wanted(budget_id=budget.id, reservation_id=f"n:{number}.1", least=30, most=30)
        try:
            await others[number % 4].draw(f"n:{number}", [wanted], lease_ms=60_000)
        except BudgetExceeded:
            return "refused"
        return "drawn"

    answers = Counter(await asyncio.gather(*(draw(number) for number in range(60))))
    assert answers == {"drawn": 33, "refused": 27}
    assert await till.stands(budget) == (0, 990)


async def test_drawing_posting_and_giving_back_at_once_wait_in_no_circle(till: Till) -> None:
    budgets = [await till.budget(10**9, scope=scope) for scope in ("key", "client", "tenant")]

    async def life(number: int) -> None:
        holder = f"n:{number}"
        for turn in range(5):
            wanted = [
                Wanted(budget_id=one.id, reservation_id=f"{holder}.{one.id}", least=100, most=100)
                for one in budgets[:: 1 if number % 2 else -1]
            ]
            await till.credit.draw(holder, wanted, lease_ms=60_000)
            paid = tuple((one.reservation_id, 60) for one in wanted)
            await till.post(record(f"req_{number}_{turn}", cost_nano=60, paid=paid))
            await till.credit.give_back({one.reservation_id: 40 for one in wanted})
            await till.credit.renew([one.reservation_id for one in wanted], lease_ms=60_000)

    await asyncio.gather(*(life(number) for number in range(6)))
    assert [await till.stands(one) for one in budgets] == [(1800, 0)] * 3


async def test_a_database_that_does_not_answer_is_503_and_never_a_yes(till: Till) -> None:
    budget = await till.budget(1000)
    async with till.sessions.write(OPERATOR) as session:
        await money.lock_by_id(session, [budget.id])
        impatient = StoredCredit(till.sessions, patience=0.05)
        wanted = Wanted(budget_id=budget.id, reservation_id="n:1.1", least=1, most=1)
        with pytest.raises(Overloaded) as refused:
            await impatient.draw("n:1", [wanted], lease_ms=1000)
    assert refused.value.retry_after == 5.0
    assert await till.reservations() == {}
