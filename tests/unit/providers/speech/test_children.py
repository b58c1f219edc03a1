"""What children are told, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.providers.speech import frames
from junto.providers.speech.environment import for_child


def test_a_child_learns_where_python_is_and_no_secret() -> None:
    told = for_child(
        {
            "PATH": "/bin",
            "LANG": "C",
            "OPENAI_API_KEY": "sk-1",
            "JUNTO_ADMIN_KEY": "k",
            "HOME": "/home/x",
            "https_proxy": "http://u:p@h",
        }
    )
    assert (told["PATH"], told["LANG"]) == ("/bin", "C")
    assert not {"OPENAI_API_KEY", "JUNTO_ADMIN_KEY", "HOME"} & set(told)
    assert told["https_proxy"] == "http://127.0.0.1:1"


@given(st.sampled_from(frames.Kind), st.integers(0, frames.LONGEST))
def test_a_frame_is_read_as_it_was_written(kind: frames.Kind, length: int) -> None:
    assert frames.read_head(frames.head(kind, length)) == (kind, length)


@pytest.mark.parametrize("data", [b"x\x00\x00\x00\x00", b"s\x01\x00\x01\x00", b"s\xff\xff\xff\xff"])
def test_what_is_no_frame_or_too_long_a_one_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|Kind"):
        frames.read_head(data)
