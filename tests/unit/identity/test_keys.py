"""What keys look like, and what is kept of them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.secret import MASK
from junto.identity.keys import digest, issue_key, may_be_issued

ENTROPY = st.binary(min_size=32, max_size=32)


@given(ENTROPY)
def test_a_key_carries_all_of_its_256_bits(entropy: bytes) -> None:
    key = issue_key("key_1", entropy).text.reveal()
    assert key.startswith("jt_")
    assert len(key) == 46
    assert may_be_issued(key)


@given(ENTROPY, ENTROPY)
def test_two_keys_are_the_same_only_when_their_bits_are(one: bytes, other: bytes) -> None:
    issued = [issue_key("key", entropy) for entropy in (one, other)]
    assert (issued[0].stored.digest == issued[1].stored.digest) == (one == other)


@given(ENTROPY)
def test_what_is_stored_is_the_digest_and_a_beginning_that_people_recognise(entropy: bytes) -> None:
    issued = issue_key("key_1", entropy)
    key = issued.text.reveal()
    assert issued.stored.digest == digest(key) == hashlib.sha256(key.encode()).digest()
    assert issued.stored.prefix == key[:11]
    assert key not in repr(issued.stored)


def test_a_key_masks_itself_wherever_it_is_printed() -> None:
    issued = issue_key("key_1", b"\x07" * 32)
    assert issued.text.reveal() not in f"{issued} {issued!r} {issued.text}"
    assert MASK in str(issued.text)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_fewer_or_more_bits_is_not_made(size: int) -> None:
    with pytest.raises(ValueError, match="32"):
        issue_key("key_1", bytes(size))


@pytest.mark.parametrize("text", ["", "jt_", "jt_short", "sk-" + "a" * 43, "jt_" + "a" * 44, "JT_" + "a" * 43])
def test_other_texts_are_not_taken_for_issued_keys(text: str) -> None:
    assert not may_be_issued(text)
