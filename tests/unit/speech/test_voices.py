"""Which voice a caller means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.core.errors import InvalidField
from junto.ports.speech import Voice
from junto.speech.voices import Voices

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

OPENAI = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)


class Silent:
    """An engine with voices that nobody asks to speak."""

    free = 1

    def __init__(self, name: str, *voices: str) -> None:
        self.name = name
        self.voices = [Voice(name=voice, engine=name, language="en-US", sample_rate=24_000) for voice in voices]

    def synthesise(self, sentences: Sequence[str], voice: str, *, speed: float) -> AsyncGenerator[bytes]:
        raise NotImplementedError

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def test_a_voice_goes_by_its_own_name_or_by_its_engines_and_its_own() -> None:
    voices = Voices([Silent("hibari", "heart", "emma"), Silent("piper", "en_US-joe-medium")])
    assert [voices.voice_of(name).voice.name for name in ("heart", "hibari/emma", "piper/en_US-joe-medium")] == [
        "heart",
        "emma",
        "en_US-joe-medium",
    ]
    assert [named.name for named in voices.all] == ["heart", "emma", "en_US-joe-medium"]
    assert voices.voice_of("en_US-joe-medium").engine.name == "piper"


def test_of_two_voices_of_one_name_the_earlier_engine_has_it_and_both_can_be_named() -> None:
    voices = Voices([Silent("one", "anna"), Silent("two", "anna")])
    assert [named.name for named in voices.all] == ["anna", "two/anna"]
    assert voices.voice_of("anna").engine.name == "one"
    assert voices.voice_of("one/anna") == voices.voice_of("anna")
    assert voices.voice_of("two/anna").engine.name == "two"


@pytest.mark.parametrize("name", [None, ""])
def test_who_names_none_gets_the_usual_voice(name: str | None) -> None:
    assert Voices([Silent("hibari", "heart", "emma")]).voice_of(name).name == "heart"


@pytest.mark.parametrize("installed", [["heart"], ["heart", "emma", "fenrir", "fable", "kore"], ["anna"]])
def test_the_names_that_openai_gives_its_voices_always_mean_one_that_is_here(installed: list[str]) -> None:
    voices = Voices([Silent("hibari", *installed)])
    assert {voices.voice_of(name).name for name in OPENAI} <= set(installed)


def test_low_voices_of_openai_are_low_here_where_there_is_one() -> None:
    voices = Voices([Silent("hibari", "heart"), Silent("piper", "en_US-joe-medium")])
    assert [voices.voice_of(name).name for name in ("alloy", "nova", "onyx", "echo")] == ["heart", "heart"] + [
        "en_US-joe-medium"
    ] * 2


@pytest.mark.parametrize("name", ["nobody", "Heart", "hibari/", "../heart", "piper/heart", "x" * 1000])
def test_an_unknown_voice_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InvalidField, match="heart") as refused:
        Voices([Silent("hibari", "heart")]).voice_of(name)
    assert (refused.value.status, refused.value.param) == (422, "voice")
    assert name not in refused.value.message.replace("heart", "")


def test_a_long_list_of_voices_is_not_all_told() -> None:
    with pytest.raises(InvalidField, match="and 30 more"):
        Voices([Silent("piper", *(f"voice-{number}" for number in range(50)))]).voice_of("nobody")


def test_without_an_engine_it_is_said_what_is_missing() -> None:
    assert Voices([]).all == ()
    with pytest.raises(InvalidField, match="speech"):
        Voices([]).voice_of("heart")
