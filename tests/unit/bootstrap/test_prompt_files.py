"""What is read of a folder of templates, and what is passed over and told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.prompt_files import read_prompt_folder
from junto.prompts.template import LONGEST, blob_hash

if TYPE_CHECKING:
    from pathlib import Path


def write(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_templates_are_shared_or_a_clients(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "email.md", "Be brief.\n")
    write(tmp_path / "clients" / "shop" / "email.md", "\ufeffBe kind.\r\n".encode())
    found = read_prompt_folder(tmp_path)
    assert [(one.client, one.task_type, one.body) for one in found.files] == [
        ("", "email", "Be brief."),
        ("shop", "email", "Be kind."),
    ]
    assert found.files[0].git_hash == blob_hash(b"Be brief.\n")
    assert found.warnings == ()


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    found = read_prompt_folder(tmp_path / "none")
    assert (found.files, found.warnings) == ((), ())


def test_only_templates_are_read(tmp_path: Path) -> None:
    """Notes beside the folders, other endings, hidden files and folders within folders are nobody's business."""
    for name in ("README.md", "shared/notes.txt", "shared/.hidden.md", "shared/deep/email.md", "clients/email.md"):
        write(tmp_path / name, "x")
    found = read_prompt_folder(tmp_path)
    assert (found.files, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a b.md", b"x", "A task type is"),
        ("..md", b"x", ""),
        ("-x.md", b"x", "A task type is"),
        ("x.md", b"\xff\xfe", "UTF-8"),
        ("x.md", b"  \n", "words"),
        ("x.md", b"a\0b", "NUL"),
        ("x.md", b"x" * (LONGEST + 1), "bytes at most"),
    ],
)
def test_what_cannot_be_a_template_is_passed_over_and_told(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    write(tmp_path / "shared" / name, data)
    write(tmp_path / "shared" / "good.md", "good")
    found = read_prompt_folder(tmp_path)
    assert [one.task_type for one in found.files] == ["good"]
    assert all(told in warning for warning in found.warnings)
    assert bool(found.warnings) is bool(told)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither of a file, nor of a client's folder, nor of the shared one."""
    secret = write(tmp_path / "secret" / "email.md", "secret")
    folder = tmp_path / "prompts"
    write(folder / "shared" / "good.md", "good")
    (folder / "shared" / "email.md").symlink_to(secret)
    (folder / "clients").mkdir()
    (folder / "clients" / "shop").symlink_to(secret.parent)
    found = read_prompt_folder(folder)
    assert [one.body for one in found.files] == ["good"]
    assert len(found.warnings) == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "shared").symlink_to(secret.parent)
    assert read_prompt_folder(other).files == ()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Opening a pipe to read it would wait for a writer for ever."""
    (tmp_path / "shared").mkdir()
    os.mkfifo(tmp_path / "shared" / "email.md")
    found = read_prompt_folder(tmp_path)
    assert found.files == ()
    assert len(found.warnings) == 1
