"""From what is stored to principals: policy, limits, budgets, and what a key is refused for."""

from __future__ import annotations

import pytest

from junto.core.limits import LimitedBy, Limits
from junto.core.sensitivity import Sensitivity
from junto.identity.keyring import Keyring
from junto.identity.keys import digest
from junto.identity.principal import ApiScope, Budget
from junto.ports.identity import BudgetChange, BudgetRecord, ClientChanges, LimitChanges, TenantChanges
from tests.unit.identity.house import House

pytestmark = pytest.mark.anyio


async def test_a_new_client_may_do_the_usual_things_and_send_nothing_internal_to_the_cloud(house: House) -> None:
    who = house.who(await house.key(ClientChanges(name="shop")))
    assert (who.tenant, who.client, who.is_admin) == ("default", "shop", False)
    assert who.scopes == {ApiScope.INFERENCE, ApiScope.JOBS, ApiScope.READ_USAGE}
    assert not who.allow_cloud_for_internal
    assert who.min_sensitivity is Sensitivity.PUBLIC
    assert who.allowed_models is None
    assert who.limited_by is None
    assert who.budgets == ()
    assert who.client_id
    assert who.key_id


async def test_a_clients_policy_is_its_keys_principal(house: House) -> None:
    changes = ClientChanges(
        name="shop",
        allow_cloud_for_internal=True,
        min_sensitivity=Sensitivity.CONFIDENTIAL,
        weight=7,
        scopes=("jobs",),
    )
    who = house.who(await house.key(changes))
    assert who.allow_cloud_for_internal
    assert who.min_sensitivity is Sensitivity.CONFIDENTIAL
    assert who.weight == 7
    assert who.scopes == {ApiScope.JOBS}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("fast",), {"fast", "fast:latest"}),
        (("llama3:latest",), {"llama3", "llama3:latest"}),
        (("llama3:8b",), {"llama3:8b"}),
        (("desk/llama3",), {"desk/llama3", "desk/llama3:latest"}),
        ((), set()),
    ],
)
async def test_a_list_of_models_knows_the_tag_that_goes_without_saying(
    house: House, written: tuple[str, ...], meant: set[str]
) -> None:
    who = house.who(await house.key(ClientChanges(name="shop", allowed_models=written)))
    assert who.allowed_models is not None
    assert set(who.allowed_models) == meant


async def test_limits_of_the_tenant_count_for_clients_that_have_none(house: House) -> None:
    tenant = await house.directory.create_tenant(TenantChanges(name="acme", limits=LimitChanges(max_concurrency=4)))
    first = await house.directory.create_client(tenant.id, ClientChanges(name="a"))
    second = await house.directory.create_client(
        "acme", ClientChanges(name="b", limits=LimitChanges(requests_per_minute=60))
    )
    of_tenant = Limits(max_concurrency=4)
    assert house.who(first.key.reveal()).limited_by == LimitedBy(
        client_id=first.client.id, tenant_id=tenant.id, tenant=of_tenant
    )
    assert house.who(second.key.reveal()).limited_by == LimitedBy(
        client_id=second.client.id, client=Limits(requests_per_minute=60), tenant_id=tenant.id, tenant=of_tenant
    )


async def test_budgets_are_drawn_from_in_the_order_key_client_tenant(house: House) -> None:
    await house.directory.change_tenant(
        "default", TenantChanges(budgets=(BudgetChange(id="t", period="total", limit_nano=3),))
    )
    issued = await house.directory.create_client(
        "default", ClientChanges(name="a", budgets=(BudgetChange(id="c", period="daily", limit_nano=2),))
    )
    house.store._budgets["key", issued.key_id, "daily"] = BudgetRecord(
        id="k", tenant_id="default", scope="key", scope_id=issued.key_id, period="daily", limit_nano=1
    )
    await house.keyring.load(house.store)
    assert house.who(issued.key.reveal()).budgets == (
        Budget(id="k", scope="key", period="daily", limit_nano=1),
        Budget(id="c", scope="client", period="daily", limit_nano=2),
        Budget(id="t", scope="tenant", period="total", limit_nano=3),
    )


async def test_a_scope_that_a_later_version_wrote_gives_no_rights_here(house: House) -> None:
    who = house.who(await house.key(ClientChanges(name="shop", scopes=("inference", "of-the-future"))))
    assert who.scopes == {ApiScope.INFERENCE}


async def test_a_load_that_fails_leaves_the_old_keyring_in_force(house: House) -> None:
    key = await house.key(ClientChanges(name="shop"))

    class Broken:
        async def everything(self) -> None:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await house.keyring.load(Broken())  # type: ignore[arg-type]
    assert house.who(key).client == "shop"


async def test_many_keys_are_all_found(house: House) -> None:
    keys = [await house.key(ClientChanges(name=f"c{number}")) for number in range(600)]
    keyring = Keyring()
    await keyring.load(house.store)
    found = [keyring.find(digest(key)) for key in keys]
    assert [known.principal.client for known in found if known is not None] == [f"c{n}" for n in range(600)]
