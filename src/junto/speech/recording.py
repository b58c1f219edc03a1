"""Writes down what was said: an exchange for each text, as for every answer of a model, and the figures that are counted of speech.

Speech is made on this machine, so that every tier may be said aloud, and costs nothing. Sound is not stored with the exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.core.sensitivity import Locality
from junto.ports.observer import SpeechEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.errors import JuntoError
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.ports.observer import Observer, SpeechObserver
    from junto.ports.stores import Recorder
    from junto.speech.speaking import Speech

WIRE: Final = "openai.speech"
JOB_WIRE: Final = "junto.tts"
OPERATION: Final = "speech"
BACKEND: Final = "speech"
TASK_TYPE: Final = "tts"
_STORED: Final = 4 * 1024 * 1024
_CALLER_GONE: Final = 499


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for what, as it is written down. `body` is what was sent; `started` is monotonic."""

    id: str
    principal: Principal
    sensitivity: str
    wire: str
    model: str
    started: float
    started_ms: int
    task_type: str = ""
    body: bytes = b""
    job_id: str = ""
    stream: bool = False


class SpeechRecords:
    """One for a process. `keep_of` says of a tier how much of an exchange is stored."""

    def __init__(
        self,
        recorder: Recorder,
        observer: Observer,
        speech: SpeechObserver,
        *,
        clock: Clock,
        keep_of: Callable[[str], str],
    ) -> None:
        self._recorder = recorder
        self._observer = observer
        self._speech = speech
        self._clock = clock
        self._keep_of = keep_of

    @property
    def has_room(self) -> bool:
        """Whether more can be written down."""
        return self._recorder.has_room

    def said(
        self, asked: Asked, speech: Speech, *, first: float = 0.0, error: JuntoError | None = None, gone: bool = False
    ) -> ExchangeRecord:
        """A text was said, in whole or (with an error, or `gone`) in part; `first` is when its sound began. Raises Overloaded."""
        outcome = Outcome.CANCELLED if gone else Outcome.OK if error is None else Outcome.ERROR
        keep = self._keep_of(asked.sensitivity)
        full = keep == "full" and self._recorder.has_room_for_bodies
        duration_ms = int((self._clock.monotonic() - asked.started) * 1000)
        engine = speech.speaker.engine.name
        principal = asked.principal
        record = ExchangeRecord(
            id=asked.id,
            started_ms=asked.started_ms,
            tenant=principal.tenant,
            client=principal.client,
            client_id=principal.client_id,
            key_id=principal.key_id,
            job_id=asked.job_id,
            wire=asked.wire,
            operation=OPERATION,
            requested_model=asked.model[:200],
            model=engine,
            backend=BACKEND,
            locality=Locality.LOCAL.value,
            sensitivity=asked.sensitivity,
            task_type=asked.task_type,
            stream=asked.stream,
            outcome=outcome,
            status=_CALLER_GONE if gone else 200 if error is None else error.status,
            error_code="" if error is None else error.code,
            finish_reason="stop" if outcome is Outcome.OK else "",
            input_tokens=speech.characters if outcome is not Outcome.ERROR else 0,
            ttft_ms=int((first - asked.started) * 1000) if first else 0,
            duration_ms=duration_ms,
            attempts=(
                Attempted(backend=BACKEND, model=engine, failure=_failure(error, gone=gone), milliseconds=duration_ms),
            ),
            keep=keep,
            request_body=asked.body[:_STORED] if full else b"",
            truncated=full and len(asked.body) > _STORED,
        )
        self._speech.speech_ended(
            SpeechEnded(
                engine=engine,
                voice=speech.speaker.name,
                outcome=outcome.value,
                characters=speech.characters,
                audio_ms=speech.audio_ms,
                milliseconds=speech.spent_ms,
                engine_failed=error is not None and error.code == "upstream_failed",
            )
        )
        self._recorder.append(record)
        self._observer.exchange_ended(record)
        return record


def _failure(error: JuntoError | None, *, gone: bool) -> str:
    return "cancelled" if gone else "" if error is None else error.code
