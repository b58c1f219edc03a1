"""Speech for whoever waits for it: one text, said while it is read, recorded and counted when it is over, however that is."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from junto.core.errors import Forbidden, JuntoError, Overloaded
from junto.speech.choosing import ENGINES, choose
from junto.speech.speaking import Speech

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from junto.core.exchange import ExchangeRecord
    from junto.core.sensitivity import Sensitivity
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.speech.encoding import AudioFormat
    from junto.speech.recording import Asked, SpeechRecords
    from junto.speech.voices import Named, Voices

_NO_ROOM_RETRY_AFTER: Final = 5.0
MOST_AT_ONCE: Final = 64  # they take turns: with more, each would wait longer between two sentences than they sound
_BROKEN: Final = JuntoError("Something went wrong inside Junto.")
MODELS: Final = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", *ENGINES)


class SpeechService:
    """One for a process. `usual`, `most` (characters of a text) and `default_tier` are asked each time: a reload changes them."""

    def __init__(
        self,
        voices: Voices,
        records: SpeechRecords,
        *,
        clock: Clock,
        usual: Callable[[], str],
        most: Callable[[], int],
        default_tier: Callable[[], Sensitivity],
    ) -> None:
        self.voices = voices
        self.most = most
        self.default_tier = default_tier
        self._records = records
        self._clock = clock
        self._usual = usual
        self._at_once = 0
        self._of_each: Counter[str] = Counter()  # by the client's id

    def choose(self, voice: str | None, *, engine: str | None = None) -> Named:
        """The voice that is meant; raises NotInstalled, InvalidField."""
        return choose(self.voices, voice, engine=engine, usual=self._usual())

    def check_allowed(self, principal: Principal, asked: str, engine: str) -> None:
        """Raise Forbidden where the client has a list of models, with neither the name asked for nor the engine's on it."""
        allowed = principal.allowed_models
        if allowed is not None and not allowed & {asked, engine}:
            raise Forbidden(f"This key may not use the model {asked!r}.", param="model")

    def say(self, text: str, speaker: Named, audio_format: AudioFormat, *, speed: float, asked: Asked) -> Saying:
        """Begin; raises Overloaded while nothing can be written down, Unsupported for a format that is not installed.

        A client has no more texts under way than there are places free, so that one that listens slowly leaves places to the others.
        """
        client_id = asked.principal.client_id
        free = MOST_AT_ONCE - self._at_once
        if free <= 0 or (client_id and self._of_each[client_id] >= free):
            raise Overloaded("Too many texts are being said at once.", retry_after=_NO_ROOM_RETRY_AFTER)
        if not self._records.has_room:
            raise Overloaded("Exchanges cannot be recorded right now.", retry_after=_NO_ROOM_RETRY_AFTER)
        speech = Speech(text, speaker, audio_format, speed=speed, clock=self._clock)
        self._at_once += 1
        self._of_each[client_id] += 1
        return Saying(speech, self._records, asked, self._clock, partial(self._ended, client_id))

    def _ended(self, client_id: str) -> None:
        self._at_once -= 1
        self._of_each[client_id] -= 1
        if not self._of_each[client_id]:
            del self._of_each[client_id]


class Saying:
    """One text on its way to its listener. `close` it on every way out: that stops the engine, and writes down what was said."""

    def __init__(
        self, speech: Speech, records: SpeechRecords, asked: Asked, clock: Clock, on_end: Callable[[], None]
    ) -> None:
        self._speech = speech
        self._records = records
        self._asked = asked
        self._clock = clock
        self._on_end = on_end
        self._is_open = True
        self._first = 0.0
        self._error: JuntoError | None = None
        self._is_whole = False
        self.record: ExchangeRecord | None = None

    @property
    def characters(self) -> int:
        """How many the text has."""
        return self._speech.characters

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The sound, as it is made; raises a JuntoError. Written down before it ends."""
        try:
            async for piece in self._speech.sound:
                self._first = self._first or self._clock.monotonic()
                yield piece
        except JuntoError as error:
            self._error = error
            raise
        except Exception:
            self._error = _BROKEN
            raise
        self._is_whole = True
        self._settle()

    async def close(self) -> None:
        """End it. Never raises but for cancellation."""
        closing = asyncio.ensure_future(self._speech.sound.aclose())
        try:
            await asyncio.shield(closing)
        finally:
            if self._is_open:
                self._is_open = False
                self._on_end()
            with contextlib.suppress(JuntoError):  # nobody is left to be told
                self._settle()

    def _settle(self) -> None:
        if self.record is None:
            gone = not self._is_whole and self._error is None
            self.record = self._records.said(self._asked, self._speech, first=self._first, error=self._error, gone=gone)
