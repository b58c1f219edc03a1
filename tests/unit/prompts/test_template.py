"""Templates as values."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import InvalidField
from junto.prompts.template import LONGEST, Prompt, blob_hash, check_body, label_of


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"),
        (b"test content\n", "d670460b4b4aece5915caf5c68d12f560a9fe3e4"),
    ],
)
def test_a_file_has_the_name_that_git_gives_it(data: bytes, name: str) -> None:
    assert blob_hash(data) == name


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself")
def test_git_agrees() -> None:
    data = "Grüße\r\n\0end".encode()
    git = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True)
    assert git.stdout.decode().strip() == blob_hash(data)


@pytest.mark.parametrize("body", ["", "  \n\t", "a\0b", "x" * (LONGEST + 1), "ä" * (LONGEST // 2 + 1)])
def test_a_template_is_some_text_of_bounded_size(body: str) -> None:
    with pytest.raises(InvalidField):
        check_body(body)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_words_may_be_a_template(body: str) -> None:
    if body.strip():
        assert check_body(body) is body


def test_what_is_recorded_names_the_version_and_the_file() -> None:
    edited = Prompt(body="x", label=label_of("", "email", 3))
    assert edited.recorded == "shared:email@3"
    own = Prompt(body="x", label=label_of("cli_1", "email", 2), git_hash="ab12")
    assert own.recorded == "cli_1:email@2#ab12"
