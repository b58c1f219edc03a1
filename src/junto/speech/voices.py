"""Which voices there are, among all engines, and which one a caller means by a name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from junto.ports.speech import Engine, Voice

# What OpenAI calls its voices, for programs that were written for them: the first of these that is installed, else the usual one.
_LOW = ("fenrir", "fable", "en_US-joe-medium", "en_US-ryan-high", "en_US-ryan-medium", "en_GB-alan-medium")
_HIGH = ("heart", "kore", "emma", "en_US-lessac-medium", "en_US-amy-medium")
_BRIGHT = ("kore", "heart", "emma", "en_US-amy-medium")
_BRITISH = ("emma", "heart", "en_GB-cori-high")
_BRITISH_LOW = ("fable", "en_GB-alan-medium", *_LOW)
_OPENAI: Mapping[str, Sequence[str]] = {
    "alloy": _HIGH, "ash": _LOW, "ballad": _BRITISH_LOW, "cedar": _LOW, "coral": _BRIGHT, "echo": _LOW, "fable": _BRITISH_LOW,
    "marin": _HIGH, "nova": _BRIGHT, "onyx": _LOW, "sage": _BRITISH, "shimmer": _HIGH, "verse": _LOW,
}  # fmt: skip
_MOST_LISTED = 20


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A voice under the name that callers use; `voice.name` is what its engine calls it."""

    name: str
    voice: Voice
    engine: Engine


class Voices:
    """The voices of some engines, the most usual engine first.

    A voice goes by its own name; where an earlier engine has one of that name, by `engine/name`, which is always understood.
    """

    def __init__(self, engines: Iterable[Engine]) -> None:
        self._named: dict[str, Named] = {}
        self._full: dict[str, Named] = {}
        for engine in engines:
            for voice in engine.voices:
                full = f"{engine.name}/{voice.name}"
                name = full if voice.name in self._named else voice.name
                self._named[name] = self._full[full] = Named(name=name, voice=voice, engine=engine)

    @property
    def all(self) -> tuple[Named, ...]:
        """Every voice once, the usual one first; empty where no engine is installed."""
        return tuple(self._named.values())

    def voice_of(self, name: str | None) -> Named:
        """The voice that a caller means; the usual one where none is named. Raises InvalidField, with the names that there are."""
        if not self._named:
            raise InvalidField("No engine of speech is installed here: see junto[speech].", param="voice")
        if not name:
            return self.all[0]
        found = self._named.get(name) or self._full.get(name) or self._standing_in(name)
        if found is None:
            known = list(self._named)
            more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
            raise InvalidField(
                f"There is no such voice. There are: {', '.join(known[:_MOST_LISTED])}{more}.", param="voice"
            )
        return found

    def _standing_in(self, name: str) -> Named | None:
        wishes = _OPENAI.get(name)
        if wishes is None:
            return None
        return next((self._named[wish] for wish in wishes if wish in self._named), self.all[0])
