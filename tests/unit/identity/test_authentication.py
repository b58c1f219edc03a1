"""Who a credential belongs to: one reading of every header form, closed unless the key is the right one."""

from __future__ import annotations

import pytest

from junto.core.errors import Forbidden, Overloaded, Unauthenticated
from junto.identity.authentication import Authenticator, AuthMode, UnknownKey, bearer
from junto.identity.keys import digest
from junto.identity.principal import ApiScope
from junto.ports.identity import ClientChanges, TenantChanges
from tests.unit.identity.house import ADMIN_KEY as KEY
from tests.unit.identity.house import ANYONE, House

pytestmark = pytest.mark.anyio
UNKNOWN = "jt_" + "u" * 43  # in the shape of an issued key

WRONG = [
    b"jt_another",
    KEY[:-1].encode(),
    KEY.upper().encode(),
    KEY.encode() + b"0",
    b"\xff\xfe",
    b"\x00",
    digest(KEY).hex().encode(),
]


def authenticator(mode: AuthMode) -> Authenticator:
    return House().authenticator(mode)


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        (b"Bearer abc", None, "abc"),
        (b"bearer  abc ", None, "abc"),
        (b"BEARER abc", None, "abc"),
        (None, b" abc ", "abc"),
        (b"Bearer other", b"abc", "abc"),
        (b"Basic abc", None, None),
        (b"abc", None, None),
        (b"", b"", None),
        (b"Bearer", None, None),
        (None, None, None),
    ],
)
def test_both_headers_are_read_by_one_function(
    authorization: bytes | None, x_api_key: bytes | None, key: str | None
) -> None:
    assert bearer(authorization, x_api_key) == key


@pytest.mark.parametrize("sent", [None, b"Bearer anything", b"Bearer sk-any", b"Basic x", b"Bearer " + KEY.encode()])
def test_open_mode_takes_anyone_for_the_open_client(sent: bytes | None) -> None:
    """SDKs always send some key; the admin's own gives no more rights here, so that a slip shows early."""
    assert authenticator(AuthMode.OPEN).for_inference(sent, None) is ANYONE


async def test_a_clients_key_is_that_client_in_both_modes(house: House) -> None:
    key = await house.key(ClientChanges(name="shop"))
    for mode in AuthMode:
        assert house.who(key, mode).client == "shop"


@pytest.mark.parametrize("mode", list(AuthMode))
@pytest.mark.parametrize("key", [UNKNOWN, "jt_", "jt_another", UNKNOWN + "u"])
async def test_a_key_of_juntos_own_that_is_not_known_is_refused_in_both_modes(
    house: House, mode: AuthMode, key: str
) -> None:
    with pytest.raises(Unauthenticated):
        house.who(key, mode)


def test_only_what_looks_like_an_issued_key_is_worth_a_second_look() -> None:
    with pytest.raises(UnknownKey):
        authenticator(AuthMode.KEYS).for_inference(None, UNKNOWN.encode())
    for other in (b"jt_short", b"sk-" + b"u" * 43):
        with pytest.raises(Unauthenticated) as caught:
            authenticator(AuthMode.KEYS).for_inference(None, other)
        assert not isinstance(caught.value, UnknownKey)


async def test_a_key_that_another_node_has_just_made_is_found_at_the_second_look(house: House) -> None:
    issued = await house.elsewhere.create_client("default", ClientChanges(name="new"))
    key = issued.key.reveal().encode()
    with pytest.raises(UnknownKey):
        house.authenticator().for_inference(None, key)
    who = await house.authenticator().caller(None, key, ApiScope.INFERENCE)
    assert who.client == "new"


async def test_a_known_key_is_never_looked_up_in_the_store(house: House) -> None:
    key = (await house.key(ClientChanges(name="shop"))).encode()
    reads = house.store.reads
    for _ in range(3):
        await house.authenticator().caller(None, key, ApiScope.INFERENCE)
    assert house.store.reads == reads


async def test_a_key_that_stays_unknown_is_a_401(house: House) -> None:
    with pytest.raises(Unauthenticated):
        await house.authenticator().caller(None, UNKNOWN.encode(), ApiScope.INFERENCE)


async def test_an_unknown_key_while_keys_cannot_be_read_is_a_503_and_known_ones_go_on(house: House) -> None:
    key = (await house.key(ClientChanges(name="shop"))).encode()
    house.reachable = False
    with pytest.raises(Overloaded) as caught:
        await house.authenticator().caller(None, UNKNOWN.encode(), ApiScope.INFERENCE)
    assert caught.value.retry_after
    assert (await house.authenticator().caller(None, key, ApiScope.INFERENCE)).client == "shop"


async def test_after_a_rotation_the_old_key_works_until_the_overlap_is_over(house: House) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="shop"))
    old = issued.key.reveal()
    new = (await house.directory.rotate_key(issued.client.id, overlap_seconds=60)).key.reveal()
    assert house.who(old).client == house.who(new).client == "shop"
    assert house.who(old).key_id != house.who(new).key_id
    house.clock.now_ms += 60_000
    assert house.who(new).client == "shop"
    with pytest.raises(Unauthenticated, match="expired"):
        house.who(old)


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(house: House) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="shop"))
    await house.directory.rotate_key(issued.client.id, overlap_seconds=0)
    for mode in AuthMode:
        with pytest.raises(Unauthenticated):
            house.who(issued.key.reveal(), mode)


@pytest.mark.parametrize("mode", list(AuthMode))
async def test_a_disabled_client_or_tenant_is_refused_until_it_is_enabled_again(house: House, mode: AuthMode) -> None:
    issued = await house.directory.create_client("default", ClientChanges(name="shop"))
    key = issued.key.reveal()
    for enabled in (False, True):
        await house.directory.change_client(issued.client.id, ClientChanges(enabled=enabled))
        if not enabled:
            with pytest.raises(Forbidden, match="client"):
                house.who(key, mode)
    await house.directory.change_tenant("default", TenantChanges(enabled=False))
    with pytest.raises(Forbidden, match="tenant"):
        house.who(key, mode)
    await house.directory.change_tenant("default", TenantChanges(enabled=True))
    assert house.who(key, mode).client == "shop"


@pytest.mark.parametrize("scope", list(ApiScope))
async def test_a_key_is_good_for_its_scopes_only(house: House, scope: ApiScope) -> None:
    key = (await house.key(ClientChanges(name="shop", scopes=(scope.value,)))).encode()
    for other in ApiScope:
        if other is scope:
            assert (await house.authenticator().caller(None, key, other)).client == "shop"
        else:
            with pytest.raises(Forbidden, match=other.value):
                await house.authenticator().caller(None, key, other)


async def test_what_is_an_accounts_own_the_administrator_sees_as_such_in_open_mode_too(house: House) -> None:
    key = (await house.key(ClientChanges(name="shop"))).encode()
    who = house.authenticator(AuthMode.OPEN)
    assert (await who.account(None, KEY.encode(), ApiScope.JOBS)).is_admin
    assert (await who.account(None, key, ApiScope.JOBS)).client == "shop"
    assert await who.account(None, None, ApiScope.JOBS) is ANYONE


@pytest.mark.parametrize("mode", list(AuthMode))
@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_key_opens_nothing(mode: AuthMode, key: bytes) -> None:
    who = authenticator(mode)
    for headers in ((b"Bearer " + key, None), (None, key)):
        with pytest.raises((Forbidden, Unauthenticated)):
            who.for_admin(*headers)
        if mode is AuthMode.KEYS:
            with pytest.raises(Unauthenticated):
                who.for_inference(*headers)


async def test_a_clients_key_does_not_open_the_administration(house: House) -> None:
    key = (await house.key(ClientChanges(name="shop", scopes=tuple(scope.value for scope in ApiScope)))).encode()
    with pytest.raises(Forbidden):
        house.authenticator().for_admin(None, key)


def test_no_key_is_a_401_and_a_wrong_one_at_the_administration_a_403() -> None:
    who = authenticator(AuthMode.KEYS)
    for ask in (who.for_admin, who.for_inference):
        with pytest.raises(Unauthenticated):
            ask(None, None)
        with pytest.raises(Unauthenticated):
            ask(b"Bearer ", b"")
    with pytest.raises(Forbidden):
        who.for_admin(b"Bearer x", None)


@pytest.mark.parametrize("admin_key", [KEY, "a key that an operator chose"])
def test_the_admin_key_is_the_administrator_in_both_headers(admin_key: str) -> None:
    house = House()
    house.admin_key = admin_key
    who = house.authenticator()
    for headers in ((b"Bearer " + admin_key.encode(), None), (None, admin_key.encode())):
        assert who.for_admin(*headers).is_admin
        assert who.for_inference(*headers).is_admin


def test_the_administrator_is_bound_by_the_operators_word_on_internal_content() -> None:
    assert not authenticator(AuthMode.KEYS).for_inference(None, KEY.encode()).allow_cloud_for_internal


def test_an_error_never_repeats_the_key() -> None:
    for ask in (authenticator(AuthMode.KEYS).for_admin, authenticator(AuthMode.KEYS).for_inference):
        for sent in (b"Bearer secret-canary", b"Bearer jt_secret-canary" + b"u" * 31):
            with pytest.raises((Forbidden, Unauthenticated)) as caught:
                ask(sent, None)
            assert "secret-canary" not in caught.value.message


async def test_known_is_whoever_may_do_anything_here_whatever_that_is(house: House) -> None:
    keys = house.authenticator(AuthMode.KEYS)
    await keys.known(b"Bearer " + KEY.encode(), None)
    await keys.known(None, (await house.key(ClientChanges(name="shop"))).encode())
    await house.authenticator(AuthMode.OPEN).known(None, None)
    for stranger in (None, *(b"Bearer " + wrong for wrong in WRONG)):
        with pytest.raises(Unauthenticated):
            await keys.known(stranger, None)
