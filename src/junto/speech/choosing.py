"""Which voice says a text: the one that is named, of the engine that is named, or the operator's usual one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.core.errors import JuntoError
from junto.speech.voices import Voices

if TYPE_CHECKING:
    from junto.speech.voices import Named

ENGINES: Final = ("hibari", "piper")
_HOW: Final = "Speech is not installed here: install junto[speech], which has a voice inside, or junto[piper]."


class NotInstalled(JuntoError):
    """Nothing here can speak, or not that engine."""

    status = 501
    code = "speech_not_installed"


def choose(voices: Voices, name: str | None, *, engine: str | None = None, usual: str = "") -> Named:
    """The voice that is meant; raises NotInstalled, and InvalidField for one that there is not."""
    if not voices.all:
        raise NotInstalled(_HOW)
    if engine is None:
        return voices.voice_of(name or usual or None)
    of_engine = [named for named in voices.all if named.engine.name == engine]
    if not of_engine:
        raise NotInstalled(f"The engine {engine} is not installed here.")
    own = Voices([of_engine[0].engine])
    if not name and any(named.name == usual for named in of_engine):
        name = usual
    chosen = own.voice_of(name)
    return next(named for named in of_engine if named.voice is chosen.voice)
