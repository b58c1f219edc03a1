"""Counts what was said aloud, by voice, and gives it as metric families. Implements ports.observer's SpeechObserver.

Voices are of what is installed, so their number is bounded; the words of `Words` bound it all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from junto.telemetry.speech_families import speech_families
from junto.telemetry.work import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.ports.observer import SpeechEnded

_MOST_VOICES: Final = 500


class SpeechMetrics:
    """What was counted since the start."""

    def __init__(self, *, most_voices: int = _MOST_VOICES) -> None:
        self._voices = Words(most_voices)
        self.texts: Counter[tuple[str, str, str]] = Counter()
        self.characters: Counter[tuple[str, str]] = Counter()
        self.audio_ms: Counter[tuple[str, str]] = Counter()
        self.spent_ms: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str]] = Counter()

    def speech_ended(self, speech: SpeechEnded) -> None:
        key = (speech.engine, self._voices.of(speech.voice))
        self.texts[*key, speech.outcome] += 1
        self.characters[key] += speech.characters
        self.audio_ms[key] += speech.audio_ms
        self.spent_ms[key] += speech.milliseconds
        if speech.engine_failed:
            self.failures[speech.engine,] += 1

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus takes it."""
        return speech_families(self)
