"""What must not be read in a log."""

from __future__ import annotations

from typing import Any

import pytest

from junto.core.secret import MASK, Secret
from junto.telemetry.masking import SECRET_NAMES, escape_unprintable, mask_secrets

KEY = "sk-abcdefghijklmnop1234"


def masked(**fields: Any) -> dict[str, Any]:
    return dict(mask_secrets(None, "info", {"event": "it", **fields}))


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_a_field_that_is_named_like_a_secret_is_masked(name: str) -> None:
    assert masked(**{name: "x", name.upper().replace("_", "-"): "x"}) == {
        "event": "it",
        name: MASK,
        name.upper().replace("_", "-"): MASK,
    }


@pytest.mark.parametrize(
    "value",
    [
        Secret(KEY),
        {"deep": [{"er": (Secret(KEY),)}]},
        {"headers": {"Authorization": "anything"}},
        [("x-api-key", "anything"), (b"authorization", b"anything")],
        f"the header was Bearer {KEY}",
        "bearer anything",
        f"Incorrect API key provided: {KEY}.",
        "jt_0123456789abcdef",
        "postgresql://junto:anything@db/junto",
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"api_key": KEY}}}}}}}},
    ],
)
def test_a_secret_is_masked_wherever_it_is(value: Any) -> None:
    shown = repr(masked(value=value))
    assert KEY not in shown
    assert "anything" not in shown
    assert "0123456789abcdef" not in shown


def test_what_is_no_secret_stays_as_it_is() -> None:
    fields = {"tokens": 12, "model": "llama3.2:3b", "pair": ["a", "b"], "nothing": None, "key": "task-routing-decision"}
    assert masked(**fields) == {"event": "it", **fields}


def test_control_characters_are_escaped_for_a_terminal_and_tracebacks_keep_their_lines() -> None:
    event = {"event": "a\nb", "model": "\x1b[2J", "exception": "Traceback\n  \x1b[31m", "count": 3, "name": "Grüße"}
    assert escape_unprintable(None, "info", event) == {
        "event": "a\\nb",
        "model": "\\x1b[2J",
        "exception": "Traceback\n  \\x1b[31m",
        "count": 3,
        "name": "Grüße",
    }
