"""Signatures of Slack's requests: its documented example, and what must not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.channels.slack_signature import WINDOW_SECONDS, is_signed, signature
from junto.core.secret import Secret

# The example of Slack's page "Verifying requests from Slack".
SECRET = Secret("8f742231b10e8888abcd99yyyzzz85a5")
SENT = 1_531_420_618
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNED = b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
AT = str(SENT).encode()


def test_the_documented_example_is_signed_as_documented() -> None:
    assert signature(SECRET, AT, BODY) == SIGNED
    assert is_signed(SECRET, AT, SIGNED, BODY, now=SENT)


@pytest.mark.parametrize("late", [-WINDOW_SECONDS, 0, WINDOW_SECONDS])
def test_five_minutes_either_way_are_within_the_window(late: int) -> None:
    assert is_signed(SECRET, AT, SIGNED, BODY, now=SENT + late)


@pytest.mark.parametrize("late", [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1, 86_400])
def test_what_was_signed_at_another_time_is_a_replay(late: int) -> None:
    assert not is_signed(SECRET, AT, SIGNED, BODY, now=SENT + late)


@pytest.mark.parametrize("claimed", [None, b"", b"v0=", SIGNED[3:], SIGNED.upper(), SIGNED + b"0", b"v1=" + SIGNED[3:]])
def test_any_other_signature_is_none(claimed: bytes | None) -> None:
    assert not is_signed(SECRET, AT, claimed, BODY, now=SENT)


@pytest.mark.parametrize("timestamp", [None, b"", b"-1", b"1e9", b" 1531420618", AT + b".0", b"9" * 13, b"\xd9\xa1"])
def test_a_timestamp_that_is_no_number_of_seconds_passes_nothing(timestamp: bytes | None) -> None:
    claimed = signature(SECRET, timestamp or b"", BODY)
    assert not is_signed(SECRET, timestamp, claimed, BODY, now=SENT)


def test_an_empty_secret_signs_nothing_that_passes() -> None:
    empty = Secret("")
    assert not is_signed(empty, AT, signature(empty, AT, BODY), BODY, now=SENT)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_of_one_body_and_one_secret(one: bytes, other: bytes) -> None:
    assert is_signed(SECRET, AT, signature(SECRET, AT, one), one, now=SENT)
    assert is_signed(SECRET, AT, signature(SECRET, AT, one), other, now=SENT) == (one == other)
    assert not is_signed(SECRET, AT, signature(Secret("another"), AT, one), one, now=SENT)
