"""Signatures of webhooks, by vectors that any other implementation can be checked against."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.secret import Secret
from junto.jobs.signing import EVENT_ID, SIGNATURE, TIMESTAMP, client_key, signature, signed_headers, verify

# server secret, tenant, client, the client's key
KEYS = (
    ("s3cret", "default", "cli_1", "whsec_6gmq8Sqg7voPlKwb-xRbx0lKGxoovdcDDA0l1tPvwIk"),
    ("s3cret", "default", "cli_2", "whsec_QaW3yPWSNAM3ffoE1XdcO7SmKm-MSXsGImFadWXwvKA"),
    ("other", "default", "cli_1", "whsec_IyepsDMUIrCdIVohhaBlLGtbfSTiMvUw-Kuk71bh9_w"),
)
# key, timestamp, body, signature
SIGNATURES = (
    (
        "whsec_test",
        1_763_700_000,
        b'{"job_id":"job_1","status":"complete"}',
        "v1=feb1818ed74df92fa40124cfb20f66ef3c9edcb1946991c5876b964a027a63f6",
    ),
    (
        "whsec_test",
        1_763_700_001,
        b'{"job_id":"job_1","status":"complete"}',
        "v1=94adce64a065d160f34fd392d4f8d4c8171114581a4c2d60cc357841858c64a6",
    ),
    ("whsec_test", 1_763_700_000, b"", "v1=366faab89826ddcf42529fd7ebdac3006fdea8cb34ae73b85619e201fe7ce642"),
)


@pytest.mark.parametrize(("server", "tenant", "client", "expected"), KEYS)
def test_keys_are_derived_as_documented(server: str, tenant: str, client: str, expected: str) -> None:
    key = client_key(Secret(server), tenant, client).reveal()
    message = f"junto webhook v1\0{tenant}\0{client}".encode()
    digest = hmac.new(server.encode(), message, hashlib.sha256).digest()
    assert key == "whsec_" + base64.urlsafe_b64encode(digest).decode().rstrip("=") == expected


@pytest.mark.parametrize(("key", "timestamp", "body", "expected"), SIGNATURES)
def test_signatures_are_made_as_documented(key: str, timestamp: int, body: bytes, expected: str) -> None:
    by_hand = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert signature(Secret(key), timestamp, body) == f"v1={by_hand}" == expected


def test_clients_and_tenants_do_not_share_keys_however_their_ids_are_cut() -> None:
    keys = {client_key(Secret("s"), *ids).reveal() for ids in (("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"))}
    assert len(keys) == 4


@given(st.binary(max_size=200), st.integers(0, 2**40))
def test_what_was_signed_is_believed(body: bytes, timestamp: int) -> None:
    headers = signed_headers(Secret("k"), event_id="evt_1", timestamp=timestamp, body=body)
    assert headers[EVENT_ID] == "evt_1"
    assert verify(Secret("k"), headers, body, now=timestamp + 299)


def test_what_was_changed_is_not_believed() -> None:
    body, now = b'{"a":1}', 1_763_700_000
    headers = dict(signed_headers(Secret("k"), event_id="evt_1", timestamp=now, body=body))
    assert not verify(Secret("k"), headers, b'{"a":2}', now=now)
    assert not verify(Secret("other"), headers, body, now=now)
    assert not verify(Secret("k"), headers | {TIMESTAMP: str(now + 1)}, body, now=now)
    assert not verify(Secret("k"), headers | {SIGNATURE: headers[SIGNATURE].replace("v1=", "v0=")}, body, now=now)


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "\u0661\u0667", "1e9", "99999999999999999999"])
def test_a_timestamp_that_is_none_is_not_believed(timestamp: str) -> None:
    headers = {TIMESTAMP: timestamp, SIGNATURE: "v1="}
    assert not verify(Secret("k"), headers, b"", now=1_763_700_000)


@pytest.mark.parametrize("later", [-301, 301])
def test_an_old_or_early_event_is_not_believed(later: int) -> None:
    headers = signed_headers(Secret("k"), event_id="evt_1", timestamp=1_763_700_000, body=b"{}")
    assert not verify(Secret("k"), headers, b"{}", now=1_763_700_000 + later)
