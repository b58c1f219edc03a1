"""The name of a node: made once, and the same in every life of its data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.bootstrap.money import node_id

if TYPE_CHECKING:
    from pathlib import Path


def test_a_data_directory_keeps_its_name(tmp_path: Path) -> None:
    name = node_id(tmp_path)
    assert node_id(tmp_path) == name
    assert [path.name for path in tmp_path.iterdir()] == ["node-id"]


def test_another_data_directory_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert node_id(tmp_path / "a") != node_id(tmp_path / "b")


def test_a_file_that_was_left_empty_gets_a_name(tmp_path: Path) -> None:
    (tmp_path / "node-id").write_text("")
    assert node_id(tmp_path) == node_id(tmp_path) != ""
