"""`${VAR}` and `${VAR:-default}` in the strings of a file that has been parsed; `$${` is a literal `${`.

Works on values, never on the file's text, so that no variable's content can add keys. Nothing nests: what a variable holds is
taken as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from junto.settings.fields import Interpolated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.core.document import ConfigError, Document, Path

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class Interpolation:
    """One pass over a document. Collects an error per variable that is missing, and the names of all that were used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.errors: list[ConfigError] = []
        self.used: set[str] = set()
        self._environ = environ

    def apply(self, document: Document) -> Any:
        """The document's value with every string's variables replaced."""
        return self._value(document.value, (), document)

    def _value(self, value: Any, path: Path, document: Document) -> Any:
        if isinstance(value, str):
            return self._text(value, path, document)
        if isinstance(value, list):
            return [self._value(item, (*path, index), document) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self._value(item, (*path, key), document) for key, item in value.items()}
        return value

    def _text(self, text: str, path: Path, document: Document) -> str:
        if "${" not in text:
            return text

        def replacement(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name, default = match["name"], match["default"]
            if name is None:
                self.errors.append(document.error(path, "holds ${ that begins no ${VARIABLE}; write $${ for ${ itself"))
                return ""
            self.used.add(name)
            value = self._environ.get(name)
            if value is None and default is None:
                message = f"uses the variable {name}, which is not set; set it, or write ${{{name}:-default}}"
                self.errors.append(document.error(path, message))
            return value or default or ""

        return Interpolated(_REFERENCE.sub(replacement, text))
