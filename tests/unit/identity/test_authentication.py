"""Who a credential belongs to: one reading of every header form, closed unless the key is the right one."""

from __future__ import annotations

import hashlib

import pytest

from junto.core.errors import Forbidden, Unauthenticated
from junto.identity.authentication import Authenticator, AuthMode, bearer, digest
from junto.identity.principal import Principal

KEY = "jt_the-right-key-0123456789"
ANYONE = Principal(allow_cloud_for_internal=False)

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
    return Authenticator(mode=mode, admin_digest=digest(KEY), open_client=ANYONE)


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


def test_what_is_compared_is_the_sha_256_of_a_key() -> None:
    assert digest(KEY) == hashlib.sha256(KEY.encode()).digest()
    assert KEY.encode() not in digest(KEY)


def test_open_mode_takes_anyone_for_the_open_client_whatever_key_is_sent() -> None:
    """SDKs always send some key; the admin's own gives no more rights here, so that a slip shows early."""
    for sent in (None, b"Bearer anything", b"Bearer " + KEY.encode()):
        assert authenticator(AuthMode.OPEN).for_inference(sent, None) is ANYONE


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


def test_no_key_is_a_401_and_a_wrong_one_at_the_administration_a_403() -> None:
    who = authenticator(AuthMode.KEYS)
    for ask in (who.for_admin, who.for_inference):
        with pytest.raises(Unauthenticated):
            ask(None, None)
        with pytest.raises(Unauthenticated):
            ask(b"Bearer ", b"")
    with pytest.raises(Forbidden):
        who.for_admin(b"Bearer x", None)


def test_the_admin_key_is_the_administrator_in_both_headers() -> None:
    who = authenticator(AuthMode.KEYS)
    for headers in ((b"Bearer " + KEY.encode(), None), (None, KEY.encode())):
        assert who.for_admin(*headers).is_admin
        assert who.for_inference(*headers).is_admin


def test_the_administrator_is_bound_by_the_operators_word_on_internal_content() -> None:
    assert not authenticator(AuthMode.KEYS).for_inference(None, KEY.encode()).allow_cloud_for_internal


def test_an_error_never_repeats_the_key() -> None:
    for ask in (authenticator(AuthMode.KEYS).for_admin, authenticator(AuthMode.KEYS).for_inference):
        with pytest.raises((Forbidden, Unauthenticated)) as caught:
            ask(b"Bearer secret-canary", None)
        assert "secret-canary" not in caught.value.message
