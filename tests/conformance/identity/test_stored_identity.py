"""Tenants, clients and keys on every database: what is written comes back, names are unique, keys end when they should."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import select

from junto.core.errors import Conflict
from junto.core.limits import Limits
from junto.core.sensitivity import Sensitivity
from junto.identity.directory import DEFAULT_SCOPES
from junto.identity.keys import digest, issue_key
from junto.ports.identity import (
    BudgetChange,
    ClientChanges,
    ClientQuery,
    ClientRecord,
    LimitChanges,
    NewKey,
    TenantChanges,
    TenantRecord,
)
from junto.storage.repositories.identity import KEYS_VERSION, StoredIdentity
from junto.storage.repositories.versions import read_versions
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.identity import API_KEYS
from junto.storage.tables.money import BUDGETS

if TYPE_CHECKING:
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database)


@pytest.fixture
async def store(sessions: Sessions) -> StoredIdentity:
    """With the tenants `default` and `ten_acme`."""
    store = StoredIdentity(sessions)
    await store.ensure_tenant(TenantRecord(id="default", name="default"))
    await store.add_tenant(TenantRecord(id="ten_acme", name="acme"), ())
    return store


def key(number: int) -> NewKey:
    return issue_key(f"key_{number}", number.to_bytes(32, "big")).stored


def client(id: str = "cli_1", name: str = "shop", tenant: str = "default") -> ClientRecord:
    return ClientRecord(id=id, tenant_id=tenant, name=name, scopes=DEFAULT_SCOPES)


async def version(sessions: Sessions) -> int:
    return (await read_versions(sessions)).get(KEYS_VERSION, 0)


async def test_a_client_comes_back_as_it_was_written(store: StoredIdentity) -> None:
    written = ClientRecord(
        id="cli_1",
        tenant_id="ten_acme",
        name="shop",
        enabled=False,
        limits=Limits(requests_per_minute=60, tokens_per_minute=2**40, max_concurrency=1),
        allow_cloud_for_internal=True,
        min_sensitivity=Sensitivity.CONFIDENTIAL,
        allowed_models=("fast", "desk/llama3:8b", "über"),
        weight=7,
        scopes=("inference", "service"),
        notes="a note\nof two lines",
    )
    added = await store.add_client(written, key(1), ())
    assert added == await store.find_client("cli_1") == (await store.clients(ClientQuery()))[0]
    assert added.tenant_name == "acme"
    assert added.created_ms == added.updated_ms > 1_700_000_000_000
    stored = {"tenant_name", "created_ms", "updated_ms", "keys"}
    assert {field: getattr(added, field) for field in added.__struct_fields__ if field not in stored} == {
        field: getattr(written, field) for field in written.__struct_fields__ if field not in stored
    }


async def test_of_a_key_the_digest_and_the_prefix_are_kept_and_nothing_more(
    store: StoredIdentity, sessions: Sessions
) -> None:
    issued = issue_key("key_1", b"\x01" * 32)
    await store.add_client(client(), issued.stored, ())
    async with sessions.read(OPERATOR) as session:
        (row,) = (await session.execute(select(API_KEYS))).mappings()
    assert row["digest"] == digest(issued.text.reveal())
    assert issued.text.reveal() not in str(dict(row))
    assert (row["prefix"], row["expires_ms"], row["revoked_ms"]) == (issued.text.reveal()[:11], None, None)


async def test_changes_touch_what_they_name_and_nothing_else(store: StoredIdentity) -> None:
    added = await store.add_client(msgspec.structs.replace(client(), limits=Limits(max_concurrency=3)), key(1), ())
    changes = ClientChanges(
        name="store",
        enabled=False,
        limits=LimitChanges(requests_per_minute=5, max_concurrency=None),
        allow_cloud_for_internal=True,
        min_sensitivity=Sensitivity.INTERNAL,
        allowed_models=("a",),
        weight=2,
        scopes=("jobs",),
        notes="n",
    )
    changed = await store.change_client("cli_1", changes)
    assert changed is not None
    assert changed == msgspec.structs.replace(
        added,
        name="store",
        enabled=False,
        limits=Limits(requests_per_minute=5),
        allow_cloud_for_internal=True,
        min_sensitivity=Sensitivity.INTERNAL,
        allowed_models=("a",),
        weight=2,
        scopes=("jobs",),
        notes="n",
        updated_ms=changed.updated_ms,
    )
    again = await store.change_client("cli_1", ClientChanges(allowed_models=None))
    assert again is not None
    assert again.allowed_models is None
    assert again.name == "store"


async def test_a_name_is_taken_within_a_tenant_only(store: StoredIdentity, sessions: Sessions) -> None:
    await store.add_client(client(), key(1), ())
    before = await version(sessions)
    with pytest.raises(Conflict):
        await store.add_client(client(id="cli_2"), key(2), ())
    assert await store.find_client("cli_2") is None
    assert await version(sessions) == before
    await store.add_client(client(id="cli_3", tenant="ten_acme"), key(3), ())
    await store.add_client(client(id="cli_4", name="other"), key(4), ())
    with pytest.raises(Conflict):
        await store.change_client("cli_4", ClientChanges(name="shop"))
    with pytest.raises(Conflict):
        await store.add_tenant(TenantRecord(id="ten_2", name="acme"), ())
    with pytest.raises(Conflict):
        await store.change_tenant("ten_acme", TenantChanges(name="default"))


async def test_of_many_who_want_a_name_at_once_one_gets_it(store: StoredIdentity) -> None:
    attempts = (store.add_client(client(id=f"cli_{n}"), key(n), ()) for n in range(1, 9))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(result) for result in results].count(ClientRecord) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_pages_follow_each_other_and_filters_narrow_them(store: StoredIdentity) -> None:
    for number in range(1, 6):
        await store.add_client(
            client(id=f"cli_{number}", name=f"c{number}", tenant="default" if number % 2 else "ten_acme"),
            key(number),
            (),
        )
    await store.change_client("cli_3", ClientChanges(enabled=False))

    async def ids(query: ClientQuery) -> list[str]:
        return [one.id for one in await store.clients(query)]

    assert await ids(ClientQuery(limit=2)) == ["cli_1", "cli_2"]
    assert await ids(ClientQuery(limit=2, after="cli_2")) == ["cli_3", "cli_4"]
    assert await ids(ClientQuery(after="cli_5")) == []
    assert await ids(ClientQuery(tenant_id="ten_acme")) == ["cli_2", "cli_4"]
    assert await ids(ClientQuery(name="c3")) == ["cli_3"]
    assert await ids(ClientQuery(enabled=False)) == ["cli_3"]
    assert await ids(ClientQuery(tenant_id="default", enabled=True)) == ["cli_1", "cli_5"]
    assert [one.id for one in await store.tenants(after=None, limit=1)] == ["default"]
    assert [one.id for one in await store.tenants(after="default", limit=5)] == ["ten_acme"]


async def test_a_tenant_is_found_by_id_first_and_then_by_name(store: StoredIdentity) -> None:
    await store.add_tenant(TenantRecord(id="ten_2", name="ten_acme"), ())
    found = await store.find_tenant("ten_acme")
    assert found is not None
    assert found.name == "acme"
    by_name = await store.find_tenant("acme")
    assert by_name == found
    assert await store.find_tenant("nobody") is None


async def test_the_default_tenant_is_made_once_however_many_processes_start(store: StoredIdentity) -> None:
    await store.change_tenant("default", TenantChanges(notes="kept", limits=LimitChanges(max_concurrency=2)))
    await asyncio.gather(*(store.ensure_tenant(TenantRecord(id="default", name="default")) for _ in range(4)))
    await asyncio.gather(*(store.ensure_tenant(TenantRecord(id="new", name="new")) for _ in range(4)))
    kept = await store.find_tenant("default")
    assert kept is not None
    assert (kept.notes, kept.limits) == ("kept", Limits(max_concurrency=2))


async def test_what_is_not_there_is_none(store: StoredIdentity) -> None:
    assert await store.find_client("cli_x") is None
    assert await store.change_client("cli_x", ClientChanges(weight=2)) is None
    assert await store.change_tenant("ten_x", TenantChanges(notes="n")) is None
    assert await store.rotate_key("cli_x", key(1), overlap_ms=0) is None


async def usable(store: StoredIdentity) -> dict[str, int | None]:
    return {each.id: each.expires_ms for each in (await store.everything()).keys}


async def test_a_rotation_with_overlap_gives_the_old_keys_an_end_and_never_a_later_one(store: StoredIdentity) -> None:
    await store.add_client(client(), key(1), ())
    await store.add_client(client(id="cli_2", name="bystander"), key(9), ())
    await store.rotate_key("cli_1", key(2), overlap_ms=HOUR_MS)
    first_end = (await usable(store))["key_1"]
    assert first_end is not None
    rotated = await store.rotate_key("cli_1", key(3), overlap_ms=24 * HOUR_MS)
    assert rotated is not None
    ends = await usable(store)
    assert ends["key_1"] == first_end
    assert ends["key_2"] is not None
    assert ends["key_2"] > first_end
    assert ends["key_3"] is ends["key_9"] is None
    assert [each.id for each in rotated.keys] == ["key_1", "key_2", "key_3"]


async def test_an_overlap_that_is_over_ends_a_key(store: StoredIdentity) -> None:
    await store.add_client(client(), key(1), ())
    rotated = await store.rotate_key("cli_1", key(2), overlap_ms=1)
    assert rotated is not None
    await asyncio.sleep(0.01)
    assert set(await usable(store)) == {"key_2"}


async def test_a_rotation_without_overlap_revokes_all_earlier_keys(store: StoredIdentity, sessions: Sessions) -> None:
    await store.add_client(client(), key(1), ())
    await store.rotate_key("cli_1", key(2), overlap_ms=HOUR_MS)
    rotated = await store.rotate_key("cli_1", key(3), overlap_ms=0)
    assert rotated is not None
    assert [each.id for each in rotated.keys] == ["key_3"]
    assert set(await usable(store)) == {"key_3"}
    async with sessions.read(OPERATOR) as session:
        rows = (await session.execute(select(API_KEYS).where(API_KEYS.c.revoked_ms.is_not(None)))).all()
    assert {row.id for row in rows} == {"key_1", "key_2"}


async def test_every_change_raises_the_counter_of_the_keys(store: StoredIdentity, sessions: Sessions) -> None:
    seen = [await version(sessions)]

    async def raised() -> bool:
        seen.append(await version(sessions))
        return seen[-1] > seen[-2]

    await store.add_client(client(), key(1), ())
    assert await raised()
    await store.change_client("cli_1", ClientChanges(weight=2))
    assert await raised()
    await store.rotate_key("cli_1", key(2), overlap_ms=0)
    assert await raised()
    await store.change_tenant("default", TenantChanges(enabled=False))
    assert await raised()
    await store.add_tenant(TenantRecord(id="ten_2", name="two"), ())
    assert await raised()
    await store.clients(ClientQuery())
    assert not await raised()


async def test_counters_are_raised_by_everyone_who_raises_them_at_once(
    store: StoredIdentity, sessions: Sessions
) -> None:
    await store.add_client(client(), key(1), ())
    before = await version(sessions)
    await asyncio.gather(*(store.change_client("cli_1", ClientChanges(weight=n)) for n in range(1, 11)))
    assert await version(sessions) == before + 10


async def test_budgets_are_set_changed_and_removed_and_what_was_spent_stays(
    store: StoredIdentity, sessions: Sessions
) -> None:
    daily = BudgetChange(id="bud_1", period="daily", limit_nano=10**18)
    total = BudgetChange(id="bud_2", period="total", limit_nano=5)
    added = await store.add_client(client(), key(1), (daily, total))
    assert {(budget.period, budget.limit_nano, budget.tenant_id) for budget in added.budgets} == {
        ("daily", 10**18, "default"),
        ("total", 5, "default"),
    }
    async with sessions.write(OPERATOR) as session:
        await session.execute(BUDGETS.update().values(spent_nano=3, reserved_nano=1))
    raised = BudgetChange(id="bud_3", period="total", limit_nano=7)
    removed = BudgetChange(id="bud_4", period="daily", limit_nano=None)
    changed = await store.change_client("cli_1", ClientChanges(budgets=(raised, removed)))
    assert changed is not None
    assert [(budget.id, budget.limit_nano) for budget in changed.budgets] == [("bud_2", 7)]
    async with sessions.read(OPERATOR) as session:
        (row,) = (await session.execute(select(BUDGETS))).mappings()
    assert (row["spent_nano"], row["reserved_nano"]) == (3, 1)


async def test_budgets_of_a_tenant_and_of_a_client_with_one_id_are_not_mixed_up(store: StoredIdentity) -> None:
    budget = BudgetChange(id="bud_1", period="daily", limit_nano=1)
    await store.change_tenant("ten_acme", TenantChanges(budgets=(budget,)))
    added = await store.add_client(client(id="ten_acme"), key(1), ())
    assert added.budgets == ()
    tenant = await store.find_tenant("acme")
    assert tenant is not None
    assert [one.scope for one in tenant.budgets] == ["tenant"]
    assert [one.id for one in (await store.everything()).budgets] == ["bud_1"]


async def test_everything_is_there_for_requests_to_be_checked_against(store: StoredIdentity) -> None:
    await store.add_client(client(), key(1), ())
    await store.change_client("cli_1", ClientChanges(enabled=False))
    rows = await store.everything()
    assert [(each.id, each.client_id, each.digest) for each in rows.keys] == [("key_1", "cli_1", key(1).digest)]
    assert [(each.id, each.enabled) for each in rows.clients] == [("cli_1", False)]
    assert {each.id for each in rows.tenants} == {"default", "ten_acme"}
