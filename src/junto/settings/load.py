"""Loads the configuration: file, environment and options into one immutable Settings, or every error with its line.

The only part of settings that touches the disk: it reads the file and looks whether a pricing.yaml is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from junto.core.document import MAX_CHARACTERS, ConfigError, ConfigErrors, Document, path_text, read
from junto.settings import checks
from junto.settings.environment import keyed_backends, ollama_candidates, override, secret_of, with_own_key
from junto.settings.interpolation import Interpolation
from junto.settings.model import FileSettings, ServeOptions, Settings
from junto.settings.reading import Violation, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from junto.core.document import Path as KeyPath
    from junto.settings.model import BackendSettings, KnownProvider

USUAL_FILE = "junto.yaml"
PRICING_FILE = "pricing.yaml"
_SHORTEST_ADMIN_KEY = 16

__all__ = ["PRICING_FILE", "USUAL_FILE", "ConfigError", "ConfigErrors", "load", "parse"]


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: ServeOptions,
    *,
    known_providers: Mapping[str, KnownProvider],
    folder: Path | None = None,
) -> Settings:
    """The settings that Junto is to run with; raises ConfigErrors with everything that is wrong.

    The file is `path`, else the one JUNTO_CONFIG names, else `junto.yaml` in `folder` (default: the working folder) if there is one.
    """
    named = path or (Path(environ["JUNTO_CONFIG"]) if environ.get("JUNTO_CONFIG") else None)
    usual = (folder or Path()) / USUAL_FILE
    file = named or (usual if usual.is_file() else None)
    text = _text(file) if file else ""
    settings = parse(text, environ, overrides, known_providers=known_providers, source=str(file or ""))
    beside = file.parent if file else (folder or Path())
    return settings.model_copy(
        update={
            "config_file": file,
            "pricing_file": _pricing_file(file, settings.data_dir),
            "prompts_dir": beside / settings.prompts_dir,
            "councils_dir": beside / settings.councils_dir,
        }
    )


def parse(
    text: str,
    environ: Mapping[str, str],
    overrides: ServeOptions,
    *,
    known_providers: Mapping[str, KnownProvider],
    source: str = "",
) -> Settings:
    """The settings in a file's text, without looking at any disk; raises ConfigErrors. `source` names the file in them."""
    document = _document(text, source)
    interpolation = Interpolation(environ)
    data, origins = override(interpolation.apply(document) or {}, environ, overrides)
    reading = read_settings(data)
    backends = _sound_backends(reading.settings, known_providers, environ)
    made, wrong_keys = keyed_backends(backends, known_providers, environ, interpolation.used)
    candidates, wrong_host = ollama_candidates((*backends, *made), known_providers, environ)
    raw_names = _raw(data, "name")
    found = [*reading.violations, *wrong_keys, *wrong_host, *checks.duplicates(raw_names)]
    found += checks.unknown_providers(_raw(data, "provider", "type"), known_providers)
    notes: list[str] = []
    if reading.settings is not None:
        settings = reading.settings.model_copy(update={"backends": backends})
        names = checks.names_of([name for _, name in raw_names], _raw_groups(data), (*backends, *made))
        found += checks.violations(settings, reading.indices, names, known_providers)
        notes = list(checks.warnings(settings, names))
    errors = [*interpolation.errors, *_errors(found, document, origins, interpolation.errors)]
    if errors or reading.settings is None:
        raise ConfigErrors(errors, source)
    return Settings.model_construct(
        **{
            **dict(settings),
            "data_dir": _home_expanded(settings.data_dir, environ),
            "prompts_dir": _home_expanded(settings.prompts_dir, environ),
            "councils_dir": _home_expanded(settings.councils_dir, environ),
            "backends": (*backends, *made),
        },
        admin_key=secret_of(environ, "JUNTO_ADMIN_KEY"),
        secrets_key=secret_of(environ, "JUNTO_SECRETS_KEY"),
        ollama_candidates=candidates,
        warnings=(*notes, *_key_warnings(environ)),
    )


def _document(text: str, source: str) -> Document:
    try:
        document = read(text)
    except ConfigErrors as error:
        raise ConfigErrors(error.errors, source) from None
    if document.value is not None and not isinstance(document.value, dict):
        what = "The file must be a mapping of keys, like `server: {port: 11430}`."
        raise ConfigErrors([document.error((), what)], source)
    return document


def _key_warnings(environ: Mapping[str, str]) -> Iterator[str]:
    key = secret_of(environ, "JUNTO_ADMIN_KEY")
    if key is not None and len(key.reveal()) < _SHORTEST_ADMIN_KEY:
        yield f"JUNTO_ADMIN_KEY is shorter than {_SHORTEST_ADMIN_KEY} characters."


def _sound_backends(
    settings: FileSettings | None, known: Mapping[str, KnownProvider], environ: Mapping[str, str]
) -> tuple[BackendSettings, ...]:
    return tuple(with_own_key(backend, known, environ) for backend in (settings.backends if settings else ()))


def _raw(data: Mapping[str, Any], *keys: str) -> list[tuple[int, str]]:
    """What all backends in the file say under one of these keys, with their places; those that are wrong otherwise included."""
    backends = data.get("backends")
    entries = [one if isinstance(one, dict) else {} for one in (backends if isinstance(backends, list) else ())]
    said = [(index, entry[key]) for index, entry in enumerate(entries) for key in keys if key in entry]
    return [(index, str(value)) for index, value in said if isinstance(value, str)]


def _raw_groups(data: Mapping[str, Any]) -> list[str]:
    groups = data.get("groups")
    return list(groups) if isinstance(groups, dict) else []


def _errors(
    found: Iterable[Violation], document: Document, origins: Mapping[KeyPath, str], before: Sequence[ConfigError]
) -> list[ConfigError]:
    """The violations with their lines; at a place where a variable is missing nothing more is said."""
    said = {error.path for error in before}
    errors = []
    for violation in found:
        origin = violation.origin or origins.get(violation.path)
        if origin:
            errors.append(ConfigError(origin, None, violation.message))
        elif path_text(violation.path) not in said:
            errors.append(document.error(violation.path, violation.message))
    return errors


def _text(file: Path) -> str:
    """A file's text, read no further than a configuration can be long."""
    try:
        with file.open("rb") as opened:
            return opened.read(4 * MAX_CHARACTERS + 1).decode("utf-8-sig")
    except OSError as error:
        raise ConfigErrors([ConfigError("", None, f"The file cannot be read: {error.strerror}.")], str(file)) from None
    except UnicodeDecodeError:
        raise ConfigErrors([ConfigError("", None, "The file is not UTF-8 text.")], str(file)) from None


def _pricing_file(file: Path | None, data_dir: Path) -> Path | None:
    """The operator's own prices: beside the configuration, else in the data folder."""
    places = ([file.parent] if file else []) + [data_dir]
    return next((place / PRICING_FILE for place in places if (place / PRICING_FILE).is_file()), None)


def _home_expanded(folder: Path, environ: Mapping[str, str]) -> Path:
    """`~/junto` as the shell means it."""
    first, *rest = folder.parts or ("",)
    return Path(environ["HOME"], *rest) if first == "~" and environ.get("HOME") else folder
