"""The ledger: one entry for each exchange and job, charged once, and usage that is read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from junto.core.exchange import Outcome
from junto.core.periods import day_of
from junto.ports.money import Charge, UsageQuery
from junto.storage.repositories import ledger
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.money import LEDGER

from .till import DAY, Till, ids, record

if TYPE_CHECKING:
    from sqlalchemy import Delete, Update

    from junto.storage.sessions import Scope

pytestmark = pytest.mark.anyio


async def test_each_exchange_has_an_entry_free_and_failed_ones_too(till: Till) -> None:
    await till.post(
        record("req_1"),
        record("req_2", cost_nano=500, cache_read_tokens=7, cache_write_tokens=3, usage_estimated=True, price_date="d"),
        record("req_3", outcome=Outcome.ERROR, model="", backend="", input_tokens=0, output_tokens=0),
        record("req_4", outcome=Outcome.CANCELLED),
    )
    free, priced, failed, left = await till.entries()
    assert (free["cost_nano"], free["kind"], free["day"], free["tenant_id"]) == (0, "exchange", "2026-11-21", "default")
    assert (priced["cost_nano"], priced["cache_read_tokens"], priced["cache_write_tokens"]) == (500, 7, 3)
    assert (priced["usage_estimated"], priced["price_date"], priced["input_tokens"]) == (1, "d", 100)
    assert [entry["failed"] for entry in (free, priced, failed, left)] == [0, 0, 1, 0]


async def test_an_exchange_that_was_made_for_a_job_has_none(till: Till) -> None:
    await till.post(record("req_1", job_id="job_1", cost_nano=5), record("req_2"))
    assert ids(await till.entries()) == ["req_2"]


async def test_a_cost_is_spent_from_the_budgets_of_the_key_the_client_and_the_tenant(till: Till) -> None:
    key, client, tenant = [await till.budget(1000, scope=scope) for scope in ("key", "client", "tenant")]
    other = await till.budget(1000, of="cli_b")
    await till.post(record("req_1", cost_nano=300), record("req_2", cost_nano=400, client_id="cli_b", key_id="key_b"))
    assert [await till.stands(one) for one in (key, client, tenant, other)] == [(300, 0), (300, 0), (700, 0), (400, 0)]


async def test_every_period_of_an_owner_is_charged(till: Till) -> None:
    budgets = [await till.budget(1000, period=period) for period in ("daily", "monthly", "total")]
    await till.post(record("req_1", cost_nano=300))
    assert [await till.stands(one) for one in budgets] == [(300, 0)] * 3


@pytest.mark.parametrize("change", [update(LEDGER).values(cost_nano=0), delete(LEDGER)])
@pytest.mark.parametrize("scope", [OPERATOR, Tenant("default")])
async def test_an_entry_is_final_for_whoever_asks(till: Till, scope: Scope, change: Update | Delete) -> None:
    await till.post(record("req_1", cost_nano=300))
    with pytest.raises(DBAPIError, match=r"ledger entries are final|permission denied for table ledger"):
        async with till.sessions.write(scope) as session:
            await session.execute(change)
    assert [entry["cost_nano"] for entry in await till.entries()] == [300]
    await till.post(record("req_1", cost_nano=900), record("req_2", cost_nano=5))  # what is replayed changes nothing
    assert [entry["cost_nano"] for entry in await till.entries()] == [300, 5]


async def test_a_replayed_journal_charges_nobody_twice(till: Till) -> None:
    budget = await till.budget(10_000)
    await till.draw(budget, 2000, id="n:1.1")
    first = [record(f"req_{number}", cost_nano=100, paid=(("n:1.1", 100),)) for number in range(5)]
    await till.post(*first)
    await till.post(*first)
    assert await till.stands(budget) == (500, 1500)
    later = [record(f"req_{number}", cost_nano=100, paid=(("n:1.1", 100),)) for number in range(3, 8)]
    await till.post(*later)
    assert await till.stands(budget) == (800, 1200)
    assert await till.spent_in_all() == 800


async def test_a_record_that_is_twice_in_one_batch_is_charged_once(till: Till) -> None:
    budget = await till.budget(10_000)
    await till.post(record("req_1", cost_nano=100), record("req_1", cost_nano=100), record("req_2", cost_nano=1))
    assert await till.stands(budget) == (101, 0)


async def test_what_the_operator_asks_for_itself_is_written_down_and_spent_from_nobodys_budget(till: Till) -> None:
    tenant, client = await till.budget(1000, scope="tenant"), await till.budget(1000, scope="client")
    own = {"client": "operator", "client_id": "operator", "key_id": "", "cost_nano": 300}
    await till.post(*(record(f"req_{purpose}", **own, purpose=purpose) for purpose in ("shadow", "judge")))
    assert [await till.stands(one) for one in (tenant, client)] == [(0, 0), (0, 0)]
    entries = await till.entries()
    assert sorted((entry["kind"], entry["client_id"], entry["cost_nano"]) for entry in entries) == [
        ("judge", "operator", 300),
        ("shadow", "operator", 300),
    ]


async def test_the_same_id_of_another_tenant_is_another_entry(till: Till) -> None:
    await till.post(record("req_1", cost_nano=1), record("req_1", cost_nano=2, tenant="other"))
    assert await till.spent_in_all() == 3


async def test_what_was_held_becomes_spent_in_one_step(till: Till) -> None:
    budget = await till.budget(1000)
    await till.draw(budget, 600, id="n:1.1")
    await till.post(record("req_1", cost_nano=250, paid=(("n:1.1", 250),)))
    assert await till.stands(budget) == (250, 350)
    assert await till.reservations() == {"n:1.1": 350}


async def test_a_cost_above_what_was_held_is_charged_in_full_and_releases_no_more_than_was_held(till: Till) -> None:
    budget = await till.budget(1000)
    await till.draw(budget, 100, id="n:1.1")
    await till.post(record("req_1", cost_nano=1500, paid=(("n:1.1", 100),)))
    assert await till.stands(budget) == (1500, 0)


async def test_an_entry_whose_reservation_is_gone_is_charged_all_the_same(till: Till) -> None:
    budget = await till.budget(1000)
    await till.post(record("req_1", cost_nano=200, paid=(("gone", 200),)))
    assert await till.stands(budget) == (200, 0)


async def test_a_batch_is_written_whole_or_not_at_all(till: Till) -> None:
    budget = await till.budget(1000)

    async def post_and_fail() -> None:
        async with till.sessions.write(OPERATOR) as session:
            await till.ledger.post(session, [record("req_1", cost_nano=200)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await post_and_fail()
    assert await till.entries() == []
    assert await till.stands(budget) == (0, 0)


async def test_text_that_no_database_takes_loses_no_entry(till: Till) -> None:
    await till.post(record("req_1", task_type="a\0b", cost_nano=1))
    assert await till.spent_in_all() == 1


async def test_a_large_batch_is_written(till: Till) -> None:
    await till.post(*(record(f"req_{number:04d}", cost_nano=1, key_id=f"key_{number}") for number in range(1000)))
    assert await till.spent_in_all() == 1000


def charge(cost: int, **fields: object) -> Charge:
    plain = {"id": "job_1", "tenant_id": "default", "client_id": "cli_a", "key_id": "key_a", "at_ms": 1, **fields}
    return Charge(**plain, cost_nano=cost)  # type: ignore[arg-type]


async def test_usage_has_a_row_for_each_day_with_use(till: Till) -> None:
    now = await till.now()
    await till.post(
        record("req_1", started_ms=now, cost_nano=5, cache_read_tokens=7, cache_write_tokens=3),
        record("req_2", started_ms=now, outcome=Outcome.ERROR, input_tokens=0, output_tokens=0),
        record("req_3", started_ms=now - 2 * DAY, cost_nano=11),
        record("req_4", started_ms=now - 3 * DAY, cost_nano=1_000),
        record("req_5", started_ms=now, client_id="cli_b", cost_nano=1_000),
    )
    async with till.sessions.write(OPERATOR) as session:
        await till.ledger.charge_job(session, charge(100, at_ms=now, output_tokens=9), reservation_holder="job_1")
    async with till.sessions.read(OPERATOR) as session:
        before, today = await ledger.usage(session, UsageQuery(client_id="cli_a", days=3))
    assert before == {
        "date": day_of(now - 2 * DAY),
        "jobs": 0,
        "requests": 1,
        "failures": 0,
        "tokens_in": 100,
        "tokens_out": 20,
        "tokens_cached": 0,
        "cost_nano": 11,
    }
    assert today == {
        "date": day_of(now),
        "jobs": 1,
        "requests": 2,
        "failures": 1,
        "tokens_in": 110,
        "tokens_out": 29,
        "tokens_cached": 7,
        "cost_nano": 105,
    }


async def test_usage_of_a_tenant_is_nothing_of_another(till: Till) -> None:
    now = await till.now()
    await till.post(record("req_1", started_ms=now, tenant="other", cost_nano=5))
    async with till.sessions.read(Tenant("default")) as session:
        assert await ledger.usage(session, UsageQuery(days=1)) == []
    async with till.sessions.read(Tenant("other")) as session:
        assert [row["cost_nano"] for row in await ledger.usage(session, UsageQuery(days=1))] == [5]
