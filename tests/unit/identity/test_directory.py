"""Administering clients: names, near names, keys shown once, and an audit log without secrets."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from junto.core.errors import Conflict, InvalidField, NotFound
from junto.identity.keys import digest
from junto.ports.identity import ClientChanges, ClientQuery, TenantChanges
from tests.unit.identity.house import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["shop", "Shop-1", "a", "a.b_c-d", "x" * 64])
async def test_a_client_may_be_called(house: House, name: str) -> None:
    assert (await house.directory.create_client("default", ClientChanges(name=name))).client.name == name


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "a b", "../up", "a/b", ".hidden", "-x", "ü", "a\n", "admin", "anonymous"]
)
async def test_a_client_may_not_be_called(house: House, name: str) -> None:
    """Names stand in paths of prompts, in logs and in metrics; two of them mean callers that are no clients."""
    for attempt in (
        house.directory.create_client("default", ClientChanges(name=name)),
        house.directory.change_client("cli_0001", ClientChanges(name=name)),
    ):
        with pytest.raises(InvalidField) as caught:
            await attempt
        assert caught.value.param == "name"


async def test_a_client_without_a_name_is_not_made(house: House) -> None:
    with pytest.raises(InvalidField):
        await house.directory.create_client("default", ClientChanges())


async def test_an_unknown_tenant_is_refused_with_near_names(house: House) -> None:
    with pytest.raises(NotFound, match="Did you mean default"):
        await house.directory.create_client("defualt", ClientChanges(name="shop"))


async def test_an_unknown_client_is_refused_with_the_id_of_a_near_name(house: House) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="webshop"))
    for attempt in (
        house.directory.get_client("webshp"),
        house.directory.change_client("webshp", ClientChanges(weight=2)),
        house.directory.rotate_key("webshp", overlap_seconds=0),
    ):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert caught.value.message.endswith(f"Did you mean {issued.client.id} (webshop)?")


async def test_a_client_is_found_by_its_name_where_only_one_has_it(house: House) -> None:
    first = (await house.directory.create_client("default", ClientChanges(name="webshop"))).client
    assert await house.directory.named_client("webshop") == await house.directory.named_client(first.id) == first
    await house.directory.create_tenant(TenantChanges(name="acme"))
    second = (await house.directory.create_client("acme", ClientChanges(name="webshop"))).client
    with pytest.raises(InvalidField) as several:
        await house.directory.named_client("webshop")
    assert first.id in several.value.message
    assert second.id in several.value.message
    with pytest.raises(NotFound, match="webshop"):
        await house.directory.named_client("webshp")


async def test_a_tenant_is_found_by_its_id_and_by_its_name(house: House) -> None:
    tenant = await house.directory.create_tenant(TenantChanges(name="acme"))
    assert await house.directory.get_tenant("acme") == await house.directory.get_tenant(tenant.id) == tenant
    with pytest.raises(Conflict):
        await house.directory.create_tenant(TenantChanges(name="acme"))
    with pytest.raises(NotFound, match="acme"):
        await house.directory.change_tenant("acmee", TenantChanges(notes="x"))


async def test_the_default_tenant_is_made_once(house: House) -> None:
    await house.directory.change_tenant("default", TenantChanges(notes="kept"))
    await house.directory.ensure_default_tenant()
    assert (await house.directory.get_tenant("default")).notes == "kept"


async def test_every_change_is_announced_and_in_force_when_the_method_returns(house: House) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="shop"))
    await house.directory.change_client(issued.client.id, ClientChanges(weight=3))
    assert house.who(issued.key.reveal()).weight == 3
    await house.directory.rotate_key(issued.client.id, overlap_seconds=5)
    await house.directory.change_tenant("default", TenantChanges(notes="x"))
    assert house.announced == 4


async def test_the_audit_log_tells_who_changed_what_and_no_secret(house: House) -> None:
    with capture_logs() as lines:
        issued = await house.directory.create_client("default", ClientChanges(name="shop", notes="a private note"))
        await house.directory.change_client(issued.client.id, ClientChanges(enabled=False, notes="another"))
        rotated = await house.directory.rotate_key(issued.client.id, overlap_seconds=0)
        await house.directory.create_tenant(TenantChanges(name="acme"))
    events = [line["event"] for line in lines]
    assert all(line["audit"] for line in lines)
    assert events == ["client.created", "client.changed", "key.rotated", "tenant.created"]
    assert lines[1]["fields"] == ["enabled", "notes"]
    for key in (issued.key.reveal(), rotated.key.reveal()):
        assert key not in str(lines)
        assert str(digest(key)) not in str(lines)
        assert digest(key).hex() not in str(lines)
    assert "note" not in str(lines).replace("'notes'", "")


async def test_a_key_is_in_no_record_after_it_was_issued(house: House) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="shop"))
    key = issued.key.reveal()
    assert key not in repr(issued)
    assert key not in repr(await house.directory.clients(ClientQuery()))
    assert (await house.directory.get_client(issued.client.id)).keys[0].prefix == key[:11]
