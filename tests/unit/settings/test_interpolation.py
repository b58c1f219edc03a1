"""Variables in values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.document import read
from junto.settings.interpolation import Interpolation
from tests.unit.settings.loading import errors, places, settings

ENVIRON = {"NAME": "value", "EMPTY": "", "CODE": "${NAME} $${ {a: 1}"}


def interpolated(text: str) -> object:
    """The value of a document that is one quoted string."""
    document = read(f"'{text}'")
    return Interpolation(ENVIRON).apply(document)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "value"),
        ("a${NAME}b${NAME}", "avaluebvalue"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${MISSING:-x y:-z}", "x y:-z"),
        ("${MISSING:-}", ""),
        ("$${NAME}", "${NAME}"),
        ("$$NAME $NAME {NAME}", "$$NAME $NAME {NAME}"),
        ("${CODE}", "${NAME} $${ {a: 1}"),
    ],
)
def test_variables_are_replaced_once_and_what_they_hold_is_not_read_again(text: str, value: str) -> None:
    """A variable's content can neither name another nor add keys."""
    assert interpolated(text) == value


def test_missing_and_malformed_variables_are_errors_with_their_lines() -> None:
    """Each by name; nothing else is said of the same place."""
    found = errors("backends:\n- name: a\n  provider: groq\n  api_key: ${MISSING}\n  url: ${1X}\n")
    assert places(found) == [("backends[0].api_key", 4), ("backends[0].url", 5)]
    assert "MISSING" in found[0].message
    assert "$${" in found[1].message


def test_numbers_and_booleans_can_come_from_variables() -> None:
    """Though quoted numbers in the file are refused: it is the variable that has no type."""
    environ = {"PORT": "8080", "YES": "true", "WAIT": "2.5", "HOW": "cost"}
    made = settings(
        "{server: {port: '${PORT}'}, metrics: {enabled: '${YES}'}, routing: {heartbeat_interval: '${WAIT}', strategy: '${HOW}'}}",
        environ,
    )
    assert (made.server.port, made.metrics.enabled) == (8080, True)
    assert (made.routing.heartbeat_interval, made.routing.strategy) == (2.5, "cost")
    assert errors("server: {port: '${PORT}'}", {"PORT": "yes"})
    assert errors("routing: {heartbeat_interval: '${WAIT}'}", {"WAIT": "nan"})


@given(st.text(alphabet="${}:-NAME_x1 ", max_size=60))
def test_any_text_is_replaced_or_refused_and_nothing_else(text: str) -> None:
    """No text raises, and what holds no `${` stays as it is."""
    value = interpolated(text)
    assert isinstance(value, str)
    if "${" not in text:
        assert value == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
def test_escaping_gives_back_what_was_escaped(text: str) -> None:
    """Any text can be written, by doubling the dollar of each `${`."""
    written = text.replace("'", "''").replace("${", "$${")
    if "$$${" not in written:
        assert interpolated(written) == text
