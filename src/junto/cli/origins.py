"""Where each setting in force is from: a line of the file, a variable, or the defaults.

Reads the file again for its lines; what a setting's value is was decided in settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from junto.core.document import path_text, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from junto.core.document import Document, Path
    from junto.settings.model import Settings

DEFAULT = "default"
_VARIABLES: dict[Path, str] = {
    ("data_dir",): "JUNTO_DATA_DIR",
    ("database_url",): "DATABASE_URL",
    ("redis_url",): "REDIS_URL",
    ("channels", "slack", "bot_token"): "SLACK_BOT_TOKEN",
    ("channels", "slack", "signing_secret"): "SLACK_SIGNING_SECRET",
    ("speech", "max_chars"): "TTS_MAX_CHARS",
    ("admin_key",): "JUNTO_ADMIN_KEY",
    ("secrets_key",): "JUNTO_SECRETS_KEY",
}


def flat(plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, under its path: `server.port`, `backends[0].models.fast`."""
    for path, value in _leaves(plain, ()):
        yield path_text(path), value


def origins(settings: Settings, plain: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """For the path of each value: `junto.yaml line 4`, the name of a variable, `found` (looked for by itself), or `default`."""
    document = read(settings.config_file.read_text("utf-8-sig")) if settings.config_file else None
    written = document.value if document is not None and isinstance(document.value, dict) else {}
    listed = len(written.get("backends") or ())
    sources = {}
    for path, value in _leaves(plain, ()):
        line = _line(path, document, str(settings.config_file)) if document is not None else None
        sources[path_text(path)] = (
            _variable(path, environ) or _made(path, listed, environ) or line or _key(path, value) or DEFAULT
        )
    return sources


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _variable(path: Path, environ: Mapping[str, str]) -> str | None:
    variable = _VARIABLES.get(path, "")
    return variable if environ.get(variable) else None


def _made(path: Path, listed: int, environ: Mapping[str, str]) -> str | None:
    """Backends that are not in the file: those that a provider's key makes, and the Ollama server that is looked for."""
    if path[0] == "backends" and len(path) > 1 and isinstance(path[1], int) and path[1] >= listed:
        return "environment"
    if path[0] == "ollama_candidates":
        return "OLLAMA_HOST" if environ.get("OLLAMA_HOST") else DEFAULT
    return "found" if path[0] in ("config_file", "pricing_file") else None


def _key(path: Path, value: Any) -> str | None:
    """A key that the file does not hold was taken from its provider's variable."""
    return "environment" if path[-1] == "api_key" and value is not None else None


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _line(path: Path, document: Document, file: str) -> str | None:
    """The line where the value, or the whole that it came with, was written; None when the file says nothing of it."""
    value = document.value
    for depth, step in enumerate(path):
        if _has(value, step):
            value = value[step]
        elif isinstance(value, list | str) and depth:
            return f"{file} line {document.line(path[:depth])}"  # a short form: a list of names, a member's name alone
        elif step == "provider" and isinstance(value, dict) and "type" in value:
            return f"{file} line {document.line((*path[:depth], 'type'))}"
        else:
            return None
    return f"{file} line {document.line(path)}"
