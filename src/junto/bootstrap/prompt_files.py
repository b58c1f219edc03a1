"""Reads the folder of prompt templates: `shared/<task>.md` and `clients/<client>/<task>.md`, and nothing else in it.

Follows no symbolic link, reads no more of a file than a template may have, and tells what it passed over. Runs on a thread.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from junto.core.errors import InvalidField
from junto.prompts.template import LONGEST, blob_hash, check_body
from junto.routing.routes import check_task_type

if TYPE_CHECKING:
    from pathlib import Path

MOST_FILES: Final = 10_000
_ENDING: Final = ".md"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """One template as it lies there; `client` is a name or an id, "" for a shared one."""

    client: str
    task_type: str
    body: str
    git_hash: str


@dataclass(frozen=True, slots=True)
class PromptFolder:
    """What was found, and sentences about what was passed over."""

    files: tuple[PromptFile, ...]
    warnings: tuple[str, ...]


def read_prompt_folder(folder: Path) -> PromptFolder:
    """Every template in a folder, which need not be there."""
    reader = _Reader()
    reader.read(folder / "shared", client="")
    for name in reader.folders(folder / "clients"):
        reader.read(folder / "clients" / name, client=name)
    return PromptFolder(tuple(reader.files), tuple(reader.warnings))


class _Reader:
    def __init__(self) -> None:
        self.files: list[PromptFile] = []
        self.warnings: list[str] = []

    def folders(self, folder: Path) -> list[str]:
        return [entry.name for entry in self._entries(folder) if entry.is_dir(follow_symlinks=False)]

    def read(self, folder: Path, *, client: str) -> None:
        for entry in self._entries(folder):
            if not entry.name.endswith(_ENDING):
                continue
            if len(self.files) >= MOST_FILES:
                self.warnings.append(f"There are more than {MOST_FILES} prompt files; the rest is passed over.")
                return
            try:
                self.files.append(_file(entry, client))
            except InvalidField as wrong:
                self.warnings.append(f"{entry.path} is passed over: {wrong.message}")
            except OSError as error:
                self.warnings.append(f"{entry.path} cannot be read: {error.strerror}.")

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, by name; hidden things and links are left out."""
        try:
            if folder.is_symlink():
                self.warnings.append(f"{folder} is a symbolic link, and none is followed.")
                return []
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.warnings.append(f"{folder} cannot be read: {error.strerror}.")
            return []
        for entry in found:
            if entry.is_symlink():
                self.warnings.append(f"{entry.path} is a symbolic link, and none is followed.")
        return [entry for entry in found if not entry.name.startswith(".") and not entry.is_symlink()]


def _file(entry: os.DirEntry[str], client: str) -> PromptFile:
    task_type = check_task_type(entry.name.removesuffix(_ENDING))
    data = _bytes(entry.path)
    if len(data) > LONGEST:
        raise InvalidField(f"A prompt template has {LONGEST} bytes at most.")
    try:
        body = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidField("It is not UTF-8 text.") from None
    return PromptFile(client=client, task_type=task_type, body=check_body(body), git_hash=blob_hash(data))


def _bytes(path: str) -> bytes:
    # It may have been replaced since it was listed: opened without following a link, and without waiting for a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidField("It is no file.")
        return file.read(LONGEST + 1)
