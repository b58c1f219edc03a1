"""How much silence stands around a sentence: engines leave as much as it takes to say a word. Pure."""

from __future__ import annotations

import sys
from array import array

_LOUD = 160  # of 32,767: under it nobody hears anything
_STEP = 24  # samples that are looked at together: a millisecond
_BEFORE = 0.06  # seconds
_AFTER_SENTENCE = 0.35
_AFTER_CLAUSE = 0.12
_ENDS = (".", "!", "?", "…", "。", "！", "？", ":", '"', "”", "'", "’", ")")  # noqa: RUF001  these very characters


def trimmed(pcm: bytes, sample_rate: int, sentence: str) -> bytes:
    """The PCM with a breath before it, and a pause after it that is longer where the sentence ends than where it was cut."""
    samples = array("h")
    samples.frombytes(pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    first = _quiet(samples)
    if first == len(samples):
        return b""
    samples.reverse()
    last = len(samples) - _quiet(samples)
    after = _AFTER_SENTENCE if sentence.endswith(_ENDS) else _AFTER_CLAUSE
    start = max(0, first - int(_BEFORE * sample_rate))
    end = last + int(after * sample_rate)
    return pcm[2 * start : 2 * end] + bytes(2 * max(0, end - len(samples)))


def _quiet(samples: array[int]) -> int:
    """How many samples there are before the first loud one, in whole steps."""
    for start in range(0, len(samples), _STEP):
        step = samples[start : start + _STEP]
        if max(step) > _LOUD or min(step) < -_LOUD:
            return start
    return len(samples)
