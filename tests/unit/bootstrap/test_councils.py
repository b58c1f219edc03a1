"""The templates that come with Junto, and an operator's folder of them."""

import os
from pathlib import Path

import pytest

from junto.bootstrap.councils import LARGEST_FILE, TemplateFileErrors, builtin_templates, templates_of
from junto.core.document import ConfigErrors
from junto.council.model import Sees

OWN = "members:\n  - {name: Ada, persona: Looks at figures.}\n"


def test_four_councils_come_with_junto() -> None:
    """As they are described."""
    templates = {template.name: template for template in builtin_templates()}
    assert sorted(templates) == ["code-review", "debate", "diverse-analysis", "peer-review"]
    assert {name: [member.name for member in one.members] for name, one in templates.items()} == {
        "code-review": ["Security reviewer", "Performance reviewer", "Architecture reviewer"],
        "debate": ["Proponent", "Opponent"],
        "diverse-analysis": ["Critical thinker", "Creative explorer", "Practical engineer"],
        "peer-review": ["Analyst", "Generalist", "Sceptic"],
    }
    assert {name: len(one.rounds) for name, one in templates.items()} == {
        "code-review": 1,
        "debate": 2,
        "diverse-analysis": 1,
        "peer-review": 1,
    }
    assert [name for name, one in templates.items() if one.chair.neutral] == ["debate"]
    assert templates["debate"].rounds[1].sees is Sees.ALL
    assert [name for name, one in templates.items() if one.ranking is not None] == ["peer-review"]
    assert {one.models for one in templates.values()} == {("quality",)}
    assert {one.quorum for one in templates.values()} == {2}
    assert all(one.description for one in templates.values())


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Nobody needs one."""
    assert templates_of(tmp_path / "councils") == ()


def test_yaml_files_are_councils_by_their_names(tmp_path: Path) -> None:
    """Nothing else in the folder is read."""
    for name in ("board.yaml", "crew.yml", ".hidden.yaml", "notes.md", "board.yaml~"):
        (tmp_path / name).write_text(OWN)
    assert [template.name for template in templates_of(tmp_path)] == ["board", "crew"]


def test_all_errors_of_all_files_are_told(tmp_path: Path) -> None:
    """Each with its file, its line and its path."""
    (tmp_path / "a.yaml").write_text("members: []\nquorum: x\n")
    (tmp_path / "b.yaml").write_text(OWN)
    (tmp_path / "c.yaml").write_text("members: [\n")
    (tmp_path / "Bad Name.yaml").write_text(OWN)
    with pytest.raises(TemplateFileErrors) as caught:
        templates_of(tmp_path)
    first, second, third, fourth = caught.value.lines
    assert first.startswith(f"{tmp_path}/Bad Name.yaml: 'Bad Name' is no name of a council")
    assert second == f"{tmp_path}/a.yaml: line 1: members: must name somebody: a list of {{name, persona}}"
    assert third == f"{tmp_path}/a.yaml: line 2: quorum: must be a whole number"
    assert fourth.startswith(f"{tmp_path}/c.yaml: line 2: The file is not YAML")
    assert isinstance(caught.value, ConfigErrors)
    assert str(caught.value) == "\n".join(caught.value.lines)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """It would be chance which of them counts."""
    for name in ("board.yaml", "board.yml"):
        (tmp_path / name).write_text(OWN)
    with pytest.raises(TemplateFileErrors, match=r"board.yml: There is a file for the council board already"):
        templates_of(tmp_path)


def test_links_pipes_folders_and_giants_are_refused(tmp_path: Path) -> None:
    """None of them is followed, waited for or read whole."""
    (tmp_path / "outside.txt").write_text(OWN)
    (tmp_path / "a-link.yaml").symlink_to(tmp_path / "outside.txt")
    os.mkfifo(tmp_path / "b-pipe.yaml")
    (tmp_path / "c-folder.yaml").mkdir()
    (tmp_path / "d-giant.yaml").write_bytes(b"#" * (LARGEST_FILE + 1))
    (tmp_path / "e-bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TemplateFileErrors) as caught:
        templates_of(tmp_path)
    assert [line.partition(".yaml: ")[2] for line in caught.value.lines] == [
        "The file is a symbolic link, and none is followed.",
        "It is no file.",
        "It is no file.",
        f"A template has {LARGEST_FILE} bytes at most.",
        "The file is not UTF-8 text.",
    ]
