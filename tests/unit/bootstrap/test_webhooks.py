"""The secret that webhooks are signed with, and the list of allowed addresses across a reload."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from junto.bootstrap.webhooks import _reader, server_secret
from junto.core.secret import Secret


def test_a_given_key_is_used_and_nothing_written(tmp_path: Path) -> None:
    assert server_secret(tmp_path, Secret("given")) == Secret("given")
    assert list(tmp_path.iterdir()) == []


def test_without_one_a_secret_is_made_once_that_only_its_owner_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = server_secret(folder, None)
    assert len(made.reveal()) >= 40
    assert server_secret(folder, None) == made
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_data_directories_have_two_secrets(tmp_path: Path) -> None:
    assert server_secret(tmp_path / "a", None) != server_secret(tmp_path / "b", None)


@pytest.mark.parametrize("left", ["", "\n"])
def test_a_secret_that_was_written_in_half_is_made_anew(tmp_path: Path, left: str) -> None:
    (tmp_path / "webhook-secret").write_text(left)
    assert server_secret(tmp_path, None).reveal()


def test_a_reload_changes_what_is_allowed() -> None:
    entries: list[Sequence[str]] = [("intranet",)]
    allowed = _reader(lambda: entries[-1])
    assert allowed().has_host("intranet")
    assert allowed() is allowed()
    entries.append(())
    assert not allowed().has_host("intranet")
