"""The purse: money at hand, drawn ahead, given back, and never more than a budget has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from junto.core.errors import BudgetExceeded, Overloaded
from junto.gateway.purse import Purse
from junto.identity.principal import Budget
from junto.ports.money import CreditStore

from .bank import Bank, HandClock, bank_of, budget

pytestmark = pytest.mark.anyio

DIME = 100_000_000
KEY, CLIENT, TENANT = budget("k", 50 * DIME, "key"), budget("c", 500 * DIME), budget("t", 5000 * DIME, "tenant")
ALL = (KEY, CLIENT, TENANT)


def purse_on(bank: Bank, clock: HandClock | None = None, **options: Any) -> Purse:
    store: CreditStore = bank
    return Purse(store, clock or HandClock(), holder=options.pop("holder", "node:1"), **options)


def reserved(bank: Bank) -> dict[str, int]:
    return {id: vault.reserved for id, vault in bank.vaults.items()}


async def test_the_first_request_draws_and_the_next_ones_pay_from_what_is_at_hand() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    assert purse.reserve((CLIENT,), DIME) is None
    first = await purse.acquire((CLIENT,), DIME)
    others = [purse.reserve((CLIENT,), DIME) for _ in range(8)]
    assert first.nano == DIME
    assert all(others)
    assert bank.draws == 1


async def test_each_budget_of_a_request_is_drawn_from() -> None:
    bank = bank_of(*ALL)
    hold = await purse_on(bank).acquire(ALL, DIME)
    paid = hold.settle(DIME)
    assert {bank.rows[id].budget_id for id, _ in paid} == {"k", "c", "t"}
    assert {nano for _, nano in paid} == {DIME}


async def test_when_one_budget_has_no_room_nothing_is_drawn_from_the_others() -> None:
    poor = budget("t", DIME // 2, "tenant")
    bank = bank_of(KEY, CLIENT, poor)
    purse = purse_on(bank)
    with pytest.raises(BudgetExceeded) as refused:
        await purse.acquire((KEY, CLIENT, poor), DIME)
    assert refused.value.status == 402
    assert refused.value.retry_after == 60.0
    assert reserved(bank) == {"k": 0, "c": 0, "t": 0}
    assert purse.reserve((KEY,), 1) is None


async def test_what_a_request_did_not_use_pays_for_the_next() -> None:
    only = budget("c", 10)
    bank = bank_of(only)
    purse = purse_on(bank)
    (await purse.acquire((only,), 10)).settle(1)
    assert purse.reserve((only,), 10) is None
    assert purse.reserve((only,), 9) is not None
    assert bank.draws == 1


async def test_settled_money_stays_reserved_until_its_entry_is_written() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    hold = await purse.acquire((CLIENT,), DIME)
    paid = hold.settle(DIME // 2)
    await purse.give_back(idle=-1)
    assert reserved(bank) == {"c": DIME // 2}
    bank.post(DIME // 2, paid, CLIENT)
    assert reserved(bank) == {"c": 0}
    assert bank.vaults["c"].spent == DIME // 2


async def test_settling_twice_changes_nothing_and_says_the_same() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    hold = await purse.acquire((CLIENT,), DIME)
    first = hold.settle(30)
    assert hold.settle(70) == first
    await purse.give_back(idle=-1)
    assert reserved(bank) == {"c": 30}


async def test_a_cost_above_the_hold_is_paid_from_what_is_at_hand_and_only_the_rest_is_unbacked() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    hold = await purse.acquire((CLIENT,), DIME)
    at_hand = reserved(bank)["c"] - DIME
    assert sum(nano for _, nano in hold.settle(DIME + at_hand + 5)) == DIME + at_hand
    assert purse.reserve((CLIENT,), 1) is None


async def test_the_end_of_a_budget_is_paid_out_to_the_last_dime() -> None:
    """50 dimes are in the budget: one after the other, 50 requests of a dime come in, and the 51st does not."""
    bank = bank_of(KEY)
    purse = purse_on(bank)
    for _ in range(50):
        hold = purse.reserve((KEY,), DIME) or await purse.acquire((KEY,), DIME)
        bank.post(DIME, hold.settle(DIME), KEY)
    assert bank.vaults["k"].spent == KEY.limit_nano
    assert purse.reserve((KEY,), DIME) is None
    with pytest.raises(BudgetExceeded):
        await purse.acquire((KEY,), DIME)


async def test_a_thousand_at_once_get_what_there_is_and_no_more() -> None:
    bank = bank_of(KEY)
    purse = purse_on(bank)
    answers = await asyncio.gather(*(purse.acquire((KEY,), DIME) for _ in range(1000)), return_exceptions=True)
    holds = [one for one in answers if not isinstance(one, BaseException)]
    assert len(holds) == 50
    assert all(isinstance(one, BudgetExceeded) for one in answers if isinstance(one, BaseException))
    assert reserved(bank) == {"k": KEY.limit_nano}


async def test_whoever_asks_again_at_once_is_refused_without_asking_the_database() -> None:
    clock = HandClock()
    bank = bank_of(budget("c", 10))
    purse = purse_on(bank, clock)
    for _ in range(100):
        with pytest.raises(BudgetExceeded):
            await purse.acquire((budget("c", 10),), 11)
    assert bank.draws == 1
    clock.now += 1
    with pytest.raises(BudgetExceeded):
        await purse.acquire((budget("c", 10),), 11)
    assert bank.draws == 2


async def test_a_refusal_of_much_does_not_refuse_little() -> None:
    bank = bank_of(budget("c", 10))
    purse = purse_on(bank)
    with pytest.raises(BudgetExceeded):
        await purse.acquire((budget("c", 10),), 11)
    assert (await purse.acquire((budget("c", 10),), 10)).nano == 10


async def test_busy_keys_draw_ever_larger_chunks() -> None:
    rich = budget("c", 10**15)
    bank = bank_of(rich)
    purse = purse_on(bank)
    for _ in range(10_000):
        hold = purse.reserve((rich,), 1000) or await purse.acquire((rich,), 1000)
        hold.settle(1000)
    assert bank.draws < 20


async def test_what_idles_is_given_back_and_what_is_used_is_kept() -> None:
    clock = HandClock()
    quiet, busy = budget("q", 500 * DIME), budget("b", 500 * DIME)
    bank = bank_of(quiet, busy)
    purse = purse_on(bank, clock, idle=3.0)
    for one in (quiet, busy):
        (await purse.acquire((one,), DIME)).settle(0)
    clock.now += 5
    hold = purse.reserve((busy,), DIME)
    await purse.give_back()
    assert bank.vaults["q"].reserved == 0
    assert bank.vaults["b"].reserved > DIME
    assert hold is not None
    assert purse.reserve((quiet,), DIME) is None


async def test_a_free_request_asks_no_budget_even_when_there_is_nothing_left() -> None:
    bank = bank_of(budget("c", 0))
    purse = purse_on(bank)
    hold = purse.reserve((budget("c", 0),), 0)
    assert hold is not None
    assert hold.settle(0) == ()
    assert bank.draws == 0


async def test_a_stream_holds_more_as_it_grows_and_is_told_when_there_is_no_more() -> None:
    small = budget("c", 3 * DIME)
    bank = bank_of(small)
    purse = purse_on(bank)
    hold = await purse.acquire((small,), DIME)
    assert await hold.extend(DIME)
    assert await hold.extend(DIME)
    assert not await hold.extend(1)
    assert hold.nano == 3 * DIME
    assert sum(nano for _, nano in hold.settle(3 * DIME)) == 3 * DIME


async def test_a_stream_grows_at_once_from_what_is_at_hand() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    hold = await purse.acquire((CLIENT,), DIME)
    assert hold.extend_now(DIME)
    assert not hold.extend_now(400 * DIME)
    assert hold.nano == 2 * DIME


async def test_a_hold_that_is_settled_while_it_waits_for_more_keeps_nothing_of_it() -> None:
    small = budget("c", 5 * DIME)
    bank = bank_of(small)
    purse = purse_on(bank)
    hold = await purse.acquire((small,), DIME)
    bank.gate = asyncio.Event()
    more = asyncio.create_task(hold.extend(4 * DIME))
    await asyncio.sleep(0)
    hold.settle(0)
    bank.gate.set()
    assert not await more
    await purse.give_back(idle=-1)
    assert reserved(bank) == {"c": 0}
    assert not await hold.extend(1)
    assert not hold.extend_now(1)


async def test_a_caller_that_leaves_while_money_is_drawn_for_it_leaves_the_money_behind() -> None:
    bank = bank_of(CLIENT)
    bank.gate = asyncio.Event()
    purse = purse_on(bank)
    asking = asyncio.create_task(purse.acquire((CLIENT,), DIME))
    while not bank.draws:  # noqa: ASYNC110  what is waited for is a count
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    bank.gate.set()
    await purse.stop()
    assert reserved(bank) == {"c": 0}


async def test_with_the_database_away_what_is_at_hand_is_used_and_then_it_is_503() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    await purse.acquire((CLIENT,), DIME)
    bank.away = True
    paid = 0
    while purse.reserve((CLIENT,), DIME) is not None:
        paid += 1
    assert paid == 8
    with pytest.raises(Overloaded) as refused:
        await purse.acquire((CLIENT,), DIME)
    assert refused.value.status == 503
    assert refused.value.retry_after == 5.0
    bank.away = False
    assert (await purse.acquire((CLIENT,), DIME)).nano == DIME


async def test_a_draw_whose_answer_was_lost_is_never_counted_twice() -> None:
    """The money that was drawn and that nobody knows of is left alone until its lease is over."""
    bank = bank_of(KEY)
    purse = purse_on(bank)
    bank.loses_answers = True
    with pytest.raises(Overloaded):
        await purse.acquire((KEY,), DIME)
    lost = reserved(bank)["k"]
    bank.loses_answers = False
    hold = await purse.acquire((KEY,), DIME)
    ((id, _),) = hold.settle(DIME)
    assert bank.rows[id].amount == reserved(bank)["k"] - lost
    await purse.give_back(idle=-1)
    assert reserved(bank)["k"] == lost + DIME


async def test_money_given_back_without_an_answer_is_not_used_again() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    bank.loses_answers = True
    with pytest.raises(Overloaded):
        await purse.give_back(idle=-1)
    assert purse.reserve((CLIENT,), 1) is None


async def test_credit_is_not_used_when_its_lease_may_be_over() -> None:
    clock = HandClock()
    bank = bank_of(CLIENT)
    purse = purse_on(bank, clock, lease=300.0)
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    assert purse.reserve((CLIENT,), DIME) is not None
    clock.now += 280
    assert purse.reserve((CLIENT,), DIME) is None


async def test_renewed_credit_is_good_for_another_lease() -> None:
    clock = HandClock()
    bank = bank_of(CLIENT)
    purse = purse_on(bank, clock, lease=300.0)
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    clock.now += 200
    await purse.renew()
    clock.now += 200
    assert purse.reserve((CLIENT,), DIME) is not None


async def test_credit_that_was_swept_is_given_up_and_drawn_anew() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    bank.drop(list(bank.rows))
    await purse.renew()
    assert purse.reserve((CLIENT,), DIME) is None
    hold = await purse.acquire((CLIENT,), DIME)
    ((id, _),) = hold.settle(DIME)
    assert id in bank.rows


async def test_a_lowered_limit_holds_from_the_next_request_on() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    lowered = budget("c", DIME)
    bank.vaults["c"].limit = DIME
    assert purse.reserve((lowered,), DIME) is None
    hold = await purse.acquire((lowered,), DIME)
    assert reserved(bank) == {"c": DIME}
    with pytest.raises(BudgetExceeded):
        await purse.acquire((lowered,), 1)
    hold.settle(0)


async def test_a_raised_limit_ends_a_refusal_that_is_remembered() -> None:
    bank = bank_of(budget("c", 10))
    purse = purse_on(bank)
    with pytest.raises(BudgetExceeded):
        await purse.acquire((budget("c", 10),), 11)
    bank.vaults["c"].limit = 20
    assert (await purse.acquire((budget("c", 20),), 11)).nano == 11


async def test_a_budget_that_is_read_again_unchanged_is_the_same_budget() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    await purse.acquire((CLIENT,), DIME)
    assert purse.reserve((Budget(**{name: getattr(CLIENT, name) for name in CLIENT.__struct_fields__}),), DIME)
    assert bank.draws == 1


async def test_a_budget_that_was_removed_stops_nobody() -> None:
    bank = bank_of()
    purse = purse_on(bank)
    hold = await purse.acquire((CLIENT,), 10**18)
    hold.settle(10**18)
    assert purse.reserve((CLIENT,), 10**18) is not None
    await purse.renew()
    await purse.stop()


async def test_what_an_earlier_life_left_is_given_back_only_when_its_journal_is_in_the_database() -> None:
    bank = bank_of(CLIENT)
    await purse_on(bank, holder="node:1").acquire((CLIENT,), DIME)
    left = reserved(bank)["c"]
    replayed = False
    purse = purse_on(bank, holder="node:2", replayed=lambda: replayed)
    hold = await purse.acquire((CLIENT,), DIME)
    mine = reserved(bank)["c"] - left
    await purse.tend()
    assert reserved(bank)["c"] == left + mine
    replayed = True
    await purse.tend()
    assert reserved(bank)["c"] == mine
    assert hold.settle(0) == ()


async def test_one_round_that_fails_does_not_end_the_rounds() -> None:
    """Without them leases would run out, and others would take what this node has promised."""
    rounds: list[int] = []

    def replayed() -> bool:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("nobody thought of this")
        return False

    purse = purse_on(bank_of(CLIENT), replayed=replayed, tick=0.001)
    purse.start()
    async with asyncio.timeout(10):
        while len(rounds) < 3:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.001)
    await purse.stop()


async def test_after_an_outage_the_others_get_time_to_renew_before_anything_is_swept() -> None:
    clock = HandClock()
    bank = bank_of(CLIENT)
    purse = purse_on(bank, clock)
    await purse.tend(sweep=True)
    assert bank.sweeps == 0
    clock.now += 31
    await purse.tend(sweep=True)
    assert bank.sweeps == 1


async def test_stopping_gives_back_what_is_at_hand_and_can_be_done_twice() -> None:
    bank = bank_of(CLIENT)
    purse = purse_on(bank)
    purse.start()
    purse.start()
    (await purse.acquire((CLIENT,), DIME)).settle(0)
    await purse.stop()
    await purse.stop()
    assert reserved(bank) == {"c": 0}


async def test_accounts_that_nobody_uses_are_forgotten_but_not_while_they_hold_money() -> None:
    clock = HandClock()
    bank = bank_of(KEY, CLIENT)
    purse = purse_on(bank, clock)
    (await purse.acquire((KEY,), DIME)).settle(0)
    held = await purse.acquire((CLIENT,), DIME)
    await purse.give_back(idle=-1)
    clock.now += 700
    await purse.renew()
    assert list(purse._accounts) == ["c"]
    assert held.nano == DIME


@pytest.mark.parametrize("nano", [5, (1 << 62) - 5, 1 << 62, (1 << 62) + 1, 1 << 70])
async def test_a_budget_that_was_removed_holds_back_nothing_however_much_is_asked(nano: int) -> None:
    client = budget("c", 100)
    bank, clock = Bank(), HandClock()
    purse = Purse(bank, clock, holder="node:1")
    holds = [await purse.acquire((client,), nano) for _ in range(3)]
    assert [hold.nano for hold in holds] == [nano] * 3
    assert bank.draws <= 3
    for hold in holds:
        hold.settle(7)
    await purse.stop()


async def test_a_budget_that_is_lowered_and_removed_gives_nothing_back() -> None:
    bank = Bank()
    purse = Purse(bank, HandClock(), holder="node:1")
    hold = await purse.acquire((budget("c", 100),), 1 << 70)
    lowered = await purse.acquire((budget("c", 50),), 10)
    assert (hold.nano, lowered.nano) == (1 << 70, 10)
