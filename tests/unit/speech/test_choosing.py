"""The voice that is meant: by name, by engine, or the operator's."""

from __future__ import annotations

import pytest

from junto.core.errors import InvalidField
from junto.speech.choosing import NotInstalled, choose
from junto.speech.voices import Voices
from tests.unit.speech.tones import Tones


def both() -> Voices:
    return Voices([Tones("hibari", "heart", "emma"), Tones("piper", "joe")])


def test_who_names_nothing_gets_the_operators_voice_or_the_first() -> None:
    assert choose(both(), None).name == "heart"
    assert choose(both(), None, usual="joe").name == "joe"
    assert choose(both(), "emma", usual="joe").name == "emma"


def test_an_engine_that_is_named_says_it_with_a_voice_of_its_own() -> None:
    assert choose(both(), None, engine="piper").name == "joe"
    assert choose(both(), None, engine="hibari", usual="emma").name == "emma"
    assert choose(both(), None, engine="hibari", usual="joe").name == "heart"
    assert choose(both(), "alloy", engine="piper").engine.name == "piper"
    with pytest.raises(InvalidField):
        choose(both(), "heart", engine="piper")


def test_without_an_engine_it_is_501_and_said_what_to_install() -> None:
    with pytest.raises(NotInstalled, match=r"junto\[speech\]") as refused:
        choose(Voices([]), "heart")
    assert (refused.value.status, refused.value.code) == (501, "speech_not_installed")
    with pytest.raises(NotInstalled, match="piper"):
        choose(Voices([Tones("hibari")]), None, engine="piper")
