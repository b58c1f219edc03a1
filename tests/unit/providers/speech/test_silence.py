"""The silence around a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.providers.speech.silence import trimmed

RATE = 24_000
LOUD = b"\x00\x10"


def test_a_sentence_keeps_a_breath_before_it_and_a_pause_after_it() -> None:
    heard = trimmed(bytes(2 * RATE) + LOUD * RATE + bytes(2 * RATE), RATE, "It ends.")
    assert len(heard) / 2 / RATE == pytest.approx(0.06 + 1 + 0.35, abs=0.003)


def test_the_pause_is_short_where_a_sentence_was_cut_and_is_made_where_there_is_none() -> None:
    heard = trimmed(LOUD * RATE, RATE, "It goes on,")
    assert len(heard) / 2 / RATE == pytest.approx(1 + 0.12, abs=0.003)
    assert heard.endswith(bytes(100))


@pytest.mark.parametrize("pcm", [b"", b"\x00", bytes(RATE), b"\x10\x00" * RATE])
def test_what_nobody_hears_is_no_sound(pcm: bytes) -> None:
    assert trimmed(pcm, RATE, "It ends.") == b""


@given(st.binary(max_size=4000), st.sampled_from(["a.", "b"]))
def test_any_bytes_come_out_as_whole_samples(pcm: bytes, sentence: str) -> None:
    heard = trimmed(pcm, RATE, sentence)
    assert len(heard) % 2 == 0
    assert len(heard) <= len(pcm) + RATE
