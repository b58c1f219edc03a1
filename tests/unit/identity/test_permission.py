"""Acting for another tenant: only with the scope `service`, only for tenants that are there, and on their account."""

from __future__ import annotations

import pytest

from junto.core.errors import Forbidden
from junto.core.limits import LimitedBy, Limits
from junto.core.sensitivity import Sensitivity
from junto.identity.permission import acting_for
from junto.identity.principal import Principal
from junto.ports.identity import BudgetChange, ClientChanges, LimitChanges, TenantChanges
from tests.unit.identity.house import House

pytestmark = pytest.mark.anyio


async def service(house: House, scopes: tuple[str, ...] = ("inference", "service")) -> Principal:
    changes = ClientChanges(
        name="portal",
        scopes=scopes,
        min_sensitivity=Sensitivity.INTERNAL,
        limits=LimitChanges(requests_per_minute=60),
        budgets=(BudgetChange(id="own", period="daily", limit_nano=1),),
    )
    return house.who(await house.key(changes))


async def acme(house: House) -> str:
    changes = TenantChanges(
        name="acme",
        limits=LimitChanges(max_concurrency=4),
        budgets=(BudgetChange(id="acmes", period="total", limit_nano=2),),
    )
    return (await house.directory.create_tenant(changes)).id


async def test_naming_no_tenant_or_ones_own_changes_nothing(house: House) -> None:
    for scopes in (("inference",), ("inference", "service")):
        house = House()
        await house.furnish()
        who = await service(house, scopes)
        assert acting_for(who, None, house.keyring) is who
        assert acting_for(who, "default", house.keyring) is who


async def test_a_service_acts_on_the_account_of_the_tenant_and_under_its_own_policy(house: House) -> None:
    tenant, who = await acme(house), await service(house)
    acting = acting_for(who, tenant, house.keyring)
    assert acting.tenant == tenant
    assert acting.client_id == who.client_id
    assert acting.min_sensitivity is Sensitivity.INTERNAL
    assert acting.limited_by == LimitedBy(
        client_id=who.client_id,
        client=Limits(requests_per_minute=60),
        tenant_id=tenant,
        tenant=Limits(max_concurrency=4),
    )
    assert [budget.id for budget in acting.budgets] == ["own", "acmes"]


async def test_without_the_scope_another_tenant_is_refused_whether_it_is_there_or_not(house: House) -> None:
    tenant, who = await acme(house), await service(house, ("inference", "jobs"))
    said = set()
    for named in (tenant, "ten_of_nobody"):
        with pytest.raises(Forbidden) as caught:
            acting_for(who, named, house.keyring)
        assert caught.value.param == "tenant_id"
        said.add(caught.value.message.replace(named, "X"))
    assert len(said) == 1


async def test_a_service_cannot_act_for_a_tenant_that_is_missing_or_disabled(house: House) -> None:
    tenant, who = await acme(house), await service(house)
    await house.directory.change_tenant(tenant, TenantChanges(enabled=False))
    for named in (tenant, "ten_of_nobody"):
        with pytest.raises(Forbidden):
            acting_for(who, named, house.keyring)


async def test_what_a_service_may_do_for_a_tenant_ends_with_either_of_them(house: House) -> None:
    tenant, who = await acme(house), await service(house)

    def refusal() -> str:
        known = house.keyring.acting(who.client_id, tenant)
        assert known is not None
        return known.refusal

    assert refusal() == ""
    await house.directory.change_tenant(tenant, TenantChanges(enabled=False))
    assert "tenant of this job is disabled" in refusal()
    assert house.keyring.acting("nobody", tenant) is None
