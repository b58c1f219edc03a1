"""Budgets and usage as the administration sees them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from junto.ports.money import MoneyStore, UsageQuery
from junto.storage.repositories.billing import StoredMoney
from junto.storage.repositories.identity import KEYS_VERSION
from junto.storage.repositories.versions import read_versions
from junto.storage.sessions import OPERATOR
from junto.storage.tables.identity import API_KEYS, CLIENTS, TENANTS

from .till import Till, record

pytestmark = pytest.mark.anyio

_TENANT = {"name": "", "enabled": 1, "notes": "", "created_ms": 1, "updated_ms": 1}
_CLIENT = {
    "tenant_id": "ten_1",
    "enabled": 1,
    "allow_cloud_for_internal": 0,
    "min_sensitivity": "public",
    "weight": 1,
    "scopes": "[]",
    "notes": "",
    "created_ms": 1,
    "updated_ms": 1,
}


@pytest.fixture
async def store(till: Till) -> MoneyStore:
    """With the tenant `ten_1`, its client `cli_1`, and that one's key `key_1`."""
    async with till.sessions.write(OPERATOR) as session:
        await session.execute(insert(TENANTS).values({**_TENANT, "id": "ten_1", "name": "one"}))
        await session.execute(insert(CLIENTS).values({**_CLIENT, "id": "cli_1", "name": "app"}))
        await session.execute(
            insert(API_KEYS).values(
                tenant_id="ten_1", id="key_1", client_id="cli_1", prefix="jt_", digest=b"1", created_ms=1
            )
        )
    return StoredMoney(till.sessions)


async def test_budgets_of_keys_clients_and_tenants_are_listed_in_the_order_they_are_drawn_from(
    store: MoneyStore,
) -> None:
    for scope, owner in (("tenant", "ten_1"), ("key", "key_1"), ("client", "cli_1")):
        state = await store.set_budget(id=f"b_{scope}", scope=scope, scope_id=owner, period="daily", limit_nano=5)
        assert state is not None
        assert (state.tenant_id, state.limit_nano, state.spent_nano) == ("ten_1", 5, 0)
    assert [state.scope for state in await store.budgets()] == ["key", "client", "tenant"]
    assert [state.id for state in await store.budgets(scope="client")] == ["b_client"]
    assert await store.budgets(scope="client", scope_id="cli_2") == []


async def test_setting_a_limit_again_keeps_the_budget_and_what_is_spent(till: Till, store: MoneyStore) -> None:
    await store.set_budget(id="b_1", scope="client", scope_id="cli_1", period="monthly", limit_nano=1000)
    await till.post(record("req_1", tenant="ten_1", client_id="cli_1", cost_nano=70))
    state = await store.set_budget(id="b_2", scope="client", scope_id="cli_1", period="monthly", limit_nano=60)
    assert state is not None
    assert (state.id, state.limit_nano, state.spent_nano) == ("b_1", 60, 70)


@pytest.mark.parametrize("scope", ["key", "client", "tenant"])
async def test_a_budget_of_nobody_is_not_made(store: MoneyStore, scope: str) -> None:
    assert await store.set_budget(id="b", scope=scope, scope_id="nobody", period="daily", limit_nano=1) is None
    assert await store.budgets() == []


async def test_a_removed_budget_is_gone_and_cannot_be_removed_again(store: MoneyStore) -> None:
    await store.set_budget(id="b_1", scope="client", scope_id="cli_1", period="daily", limit_nano=1)
    assert not await store.remove_budget(scope="client", scope_id="cli_1", period="monthly")
    assert await store.remove_budget(scope="client", scope_id="cli_1", period="daily")
    assert not await store.remove_budget(scope="client", scope_id="cli_1", period="daily")


async def test_each_change_makes_every_node_read_its_keys_again(till: Till, store: MoneyStore) -> None:
    await store.set_budget(id="b_1", scope="client", scope_id="cli_1", period="daily", limit_nano=1)
    first = (await read_versions(till.sessions))[KEYS_VERSION]
    await store.remove_budget(scope="client", scope_id="cli_1", period="daily")
    assert (await read_versions(till.sessions))[KEYS_VERSION] == first + 1


async def test_a_client_is_found_with_its_tenant(store: MoneyStore) -> None:
    assert await store.tenant_of_client("cli_1") == "ten_1"
    assert await store.tenant_of_client("cli_2") is None


async def test_usage_of_one_client_and_of_all(till: Till, store: MoneyStore) -> None:
    now = await till.now()
    await till.post(
        record("req_1", tenant="ten_1", client_id="cli_1", started_ms=now, cost_nano=5),
        record("req_2", tenant="ten_2", client_id="cli_2", started_ms=now, cost_nano=7),
    )
    (one,) = await store.usage(UsageQuery(days=1, client_id="cli_1"))
    (all_of_them,) = await store.usage(UsageQuery(days=366))
    (tenant,) = await store.usage(UsageQuery(days=1, tenant_id="ten_2"))
    assert [row["cost_nano"] for row in (one, all_of_them, tenant)] == [5, 12, 7]
