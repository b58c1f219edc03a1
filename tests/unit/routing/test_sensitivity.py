"""How the tier of a request follows from those who have a say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.sensitivity import Sensitivity
from junto.routing.sensitivity import effective_sensitivity
from tests.unit.routing.facts import examples

PUBLIC, INTERNAL, CONFIDENTIAL = Sensitivity


@pytest.mark.parametrize(
    ("said", "effective"),
    [
        ({}, INTERNAL),
        ({"asked_header": PUBLIC}, PUBLIC),
        ({"asked_body": PUBLIC}, PUBLIC),
        ({"asked_header": PUBLIC, "asked_body": CONFIDENTIAL}, CONFIDENTIAL),
        ({"asked_header": CONFIDENTIAL, "asked_body": PUBLIC}, CONFIDENTIAL),
        ({"route_floor": PUBLIC}, PUBLIC),
        ({"route_floor": CONFIDENTIAL, "asked_header": PUBLIC}, CONFIDENTIAL),
        ({"principal_min": PUBLIC}, INTERNAL),
        ({"principal_min": CONFIDENTIAL}, CONFIDENTIAL),
        ({"principal_min": INTERNAL, "asked_header": PUBLIC}, INTERNAL),
        ({"principal_min": INTERNAL, "asked_header": CONFIDENTIAL}, CONFIDENTIAL),
        ({"detected": PUBLIC}, INTERNAL),
        ({"detected": CONFIDENTIAL}, CONFIDENTIAL),
        ({"detected": CONFIDENTIAL, "asked_header": PUBLIC}, CONFIDENTIAL),
        ({"detected": PUBLIC, "asked_header": CONFIDENTIAL}, CONFIDENTIAL),
    ],
)
def test_the_highest_of_all_who_speak_wins_and_the_default_stands_in_for_silence(
    said: dict[str, Any], effective: Sensitivity
) -> None:
    assert effective_sensitivity(default=INTERNAL, **said) is effective


tiers = st.sampled_from(Sensitivity)
said = st.fixed_dictionaries(
    {"default": tiers, "principal_min": tiers},
    optional=dict.fromkeys(("asked_header", "asked_body", "route_floor", "detected"), tiers),
)


@examples(60)
@given(said=said, detected=tiers)
def test_a_detector_may_only_raise(said: dict[str, Sensitivity], detected: Sensitivity) -> None:
    without = effective_sensitivity(**{name: tier for name, tier in said.items() if name != "detected"})
    assert effective_sensitivity(**(said | {"detected": detected})) == max(without, detected)


@examples(60)
@given(said=said)
def test_no_floor_can_be_undercut(said: dict[str, Sensitivity]) -> None:
    floors = [said["principal_min"], *(tier for name, tier in said.items() if name not in ("default", "principal_min"))]
    assert effective_sensitivity(**said) >= max(floors)
