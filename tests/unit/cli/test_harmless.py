"""Text of models and callers on a terminal."""

from __future__ import annotations

import pytest

from junto.cli.output import harmless


@pytest.mark.parametrize("code", [0x00, 0x07, 0x08, 0x0D, 0x1B, 0x7F, 0x9B, 0x9D, 0x2028, 0x202E, 0x2066, 0x2069])
def test_nothing_reaches_a_terminal_that_moves_colours_or_turns_what_is_shown(code: int) -> None:
    assert harmless(f"a{chr(code)}[31mb") == "a\ufffd[31mb"


def test_words_of_all_languages_tabs_and_line_ends_stay() -> None:
    text = "Caf\u00e9\t\u65e5\u672c\n\u05e9\u05dc\u05d5\u05dd \u0645\u0631 \U0001f468\u200d\U0001f469"
    assert harmless(text) == text
