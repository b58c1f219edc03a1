"""What is counted of speech."""

from __future__ import annotations

from junto.ports.observer import SpeechEnded
from junto.telemetry.speech import SpeechMetrics


def test_characters_sound_and_time_are_counted_by_voice_and_the_factor_is_their_quotient() -> None:
    metrics = SpeechMetrics()
    for outcome in ("ok", "cancelled"):
        metrics.speech_ended(
            SpeechEnded(
                engine="hum",
                voice="low",
                outcome=outcome,
                characters=10,
                audio_ms=3000,
                milliseconds=100,
                engine_failed=False,
            )
        )
    metrics.speech_ended(
        SpeechEnded(
            engine="hum", voice="high", outcome="error", characters=5, audio_ms=0, milliseconds=0, engine_failed=True
        )
    )
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in family.samples
    }
    assert found["junto_speech_characters_total", "hum", "low"] == 20
    assert found["junto_speech_audio_seconds_total", "hum", "low"] == 6.0
    assert found["junto_speech_real_time_factor", "hum", "low"] == 30.0
    assert ("junto_speech_real_time_factor", "hum", "high") not in found
    assert found["junto_speech_engine_failures_total", "hum"] == 1
    assert found["junto_speech_texts_total", "hum", "low", "cancelled"] == 1
