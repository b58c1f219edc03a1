"""From the counts of speech to Prometheus' metric families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.telemetry.rows import make_counter, make_gauge

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from junto.telemetry.speech import SpeechMetrics

_VOICE: Final = ("engine", "voice")


def speech_families(seen: SpeechMetrics) -> Iterator[Metric]:
    """Everything that is counted of speech."""
    yield make_counter(
        "speech_texts",
        "Texts that were said aloud. outcome: ok, error or cancelled.",
        (*_VOICE, "outcome"),
        seen.texts.items(),
    )
    yield make_counter("speech_characters", "Characters of those texts.", _VOICE, seen.characters.items())
    yield make_counter("speech_audio_seconds", "Seconds of sound that were made.", _VOICE, _seconds(seen.audio_ms))
    yield make_counter("speech_engine_seconds", "Seconds that engines took for it.", _VOICE, _seconds(seen.spent_ms))
    yield make_gauge(
        "speech_real_time_factor",
        "Seconds of sound for each second of an engine, since the start.",
        _VOICE,
        ((key, seen.audio_ms[key] / spent) for key, spent in seen.spent_ms.items() if spent),
    )
    yield make_counter(
        "speech_engine_failures",
        "Texts whose engine crashed or hung, and was started again.",
        ("engine",),
        seen.failures.items(),
    )


def _seconds(counted: Counter[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], float]]:
    return ((key, milliseconds / 1000) for key, milliseconds in counted.items())
