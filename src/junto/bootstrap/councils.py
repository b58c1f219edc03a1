"""Reads councils: the templates that come with Junto, and an operator's folder `councils/*.yaml`.

Of a folder all is read, or every error of every file is told. Follows no symbolic link and reads no more of a file than a template
may have. What a template may say is council/template.py's business. Runs on a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from importlib import resources
from typing import TYPE_CHECKING, Final

from junto.core.document import ConfigError, ConfigErrors
from junto.council.template import parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from junto.council.model import Template

MOST_FILES: Final = 200
LARGEST_FILE: Final = 262_144  # bytes
_ENDINGS: Final = (".yaml", ".yml")
_BUILTIN: Final = "builtin"


class TemplateFileErrors(ConfigErrors):
    """Everything that is wrong in a folder of templates; `lines` name each error's own file."""

    def __init__(self, files: Sequence[ConfigErrors], source: str) -> None:
        self.files = tuple(files)
        super().__init__([error for file in files for error in file.errors], source)

    @property
    def lines(self) -> list[str]:
        """A line for each error: file, line, path, what is wrong."""
        return [line for file in self.files for line in file.lines]


def builtin_templates() -> tuple[Template, ...]:
    """The councils that come with this version of Junto, by name."""
    folder = resources.files("junto.council").joinpath(_BUILTIN)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(_ENDINGS)), key=lambda file: file.name)
    return tuple(parse(file.read_text("utf-8"), _stem(file.name), file.name) for file in files)


def templates_of(directory: Path) -> tuple[Template, ...]:
    """The templates in a folder, which need not be there, by name; raises TemplateFileErrors with the errors of all files."""
    found: dict[str, Template] = {}
    wrong: list[ConfigErrors] = []
    for path in _files(directory):
        try:
            template = parse(_text(path), _stem(os.path.basename(path)), path)  # noqa: PTH119  a path as scandir gives it
            if template.name in found:
                wrong.append(_error(path, f"There is a file for the council {template.name} already."))
            found.setdefault(template.name, template)
        except ConfigErrors as errors:
            wrong.append(errors)
    if wrong:
        raise TemplateFileErrors(wrong, str(directory))
    return tuple(found.values())


def _files(directory: Path) -> list[str]:
    """The YAML files in it, by name; hidden ones are none of ours, and a link is refused where it would be read."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(
                entry.path for entry in entries if entry.name.endswith(_ENDINGS) and not entry.name.startswith(".")
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TemplateFileErrors(
            [_error(str(directory), f"The folder cannot be read: {error.strerror}.")], str(directory)
        ) from None
    if len(names) > MOST_FILES:
        what = f"There are {len(names)} templates here; {MOST_FILES} are the most."
        raise TemplateFileErrors([_error(str(directory), what)], str(directory))
    return names


def _text(path: str) -> str:
    """A file's text, opened without following a link and without waiting for a pipe; raises ConfigErrors."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        what = "is a symbolic link, and none is followed" if is_link else f"cannot be read: {error.strerror}"
        raise _error(path, f"The file {what}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _error(path, "It is no file.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST_FILE + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_FILE:
        raise _error(path, f"A template has {LARGEST_FILE} bytes at most.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _error(path, "The file is not UTF-8 text.") from None


def _error(path: str, message: str) -> ConfigErrors:
    return ConfigErrors([ConfigError("", None, message)], path)


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
