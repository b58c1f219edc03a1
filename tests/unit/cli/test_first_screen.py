"""The line that `junto serve` shows to be pasted is a whole command, with a key where one is needed."""

import json
import shlex

import pytest

from junto.cli.serve import line_to_paste


@pytest.mark.parametrize("needs_key", [False, True])
def test_the_line_to_paste_is_one_curl_command_for_that_model(*, needs_key: bool) -> None:
    _, *lines = line_to_paste("http://127.0.0.1:1", "fast", needs_key=needs_key)
    words = shlex.split("\n".join(lines).replace("\\\n", " "))
    assert words[:2] == ["curl", "http://127.0.0.1:1/v1/chat/completions"]
    assert json.loads(words[words.index("-d") + 1])["model"] == "fast"
    assert ("authorization: Bearer $JUNTO_KEY" in words) == needs_key
