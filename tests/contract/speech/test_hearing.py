"""The ear that judges engines is not fooled by what is no speech."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from tests.contract.speech.hearing import hear

RATE = 24_000
TIMES = np.arange(3 * RATE) / RATE


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(3 * RATE),
        0.3 * np.sin(2 * np.pi * 150 * TIMES),
        0.3 * np.sin(2 * np.pi * (150 + 50 * TIMES) * TIMES),
        np.random.default_rng(1).normal(0, 0.2, 3 * RATE),
        np.random.default_rng(1).normal(0, 0.2, 3 * RATE) * (np.sin(2 * np.pi * 3 * TIMES) > 0),
    ],
    ids=["silence", "a tone", "a rising tone", "noise", "noise with pauses"],
)
def test_what_is_no_speech_is_not_taken_for_it(sound: np.ndarray) -> None:
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="WAV")
    assert not hear(file.getvalue()).is_speech
