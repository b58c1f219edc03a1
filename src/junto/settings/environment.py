"""What the environment adds to the file: overrides, backends that a provider's key makes, and Ollama servers to look for."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from junto.core.secret import Secret
from junto.settings.fields import Interpolated, key_of
from junto.settings.model import BackendSettings
from junto.settings.reading import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.core.document import Path
    from junto.settings.model import KnownProvider, ServeOptions

OLLAMA = "ollama"
BUILTIN = "builtin"
"""The name of the backend of the built-in model; no other backend may have it."""

_OLLAMA_PORT = 11_434
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "JUNTO_DATA_DIR": ("data_dir",),
    "DATABASE_URL": ("database_url",),
    "REDIS_URL": ("redis_url",),
    "SLACK_BOT_TOKEN": ("channels", "slack", "bot_token"),
    "SLACK_SIGNING_SECRET": ("channels", "slack", "signing_secret"),
    "TTS_MAX_CHARS": ("speech", "max_chars"),
}


def override(
    data: Mapping[str, Any], environ: Mapping[str, str], options: ServeOptions
) -> tuple[dict[str, Any], dict[Path, str]]:
    """The data with environment and options on top, and for each path so set, who set it (`--port`, `DATABASE_URL`).

    An option beats a variable, a variable beats the file; an empty variable is none.
    """
    merged = dict(data)
    origins: dict[Path, str] = {}
    for variable, path in _VARIABLES.items():
        if environ.get(variable):
            _put(merged, path, Interpolated(environ[variable]))
            origins[path] = variable
    if options.data_dir is not None:
        merged["data_dir"] = options.data_dir
        origins["data_dir",] = "--data-dir"
    given = {"host": options.host, "port": options.port, "workers": options.workers}
    server = merged.get("server")
    chosen = {key: value for key, value in given.items() if value is not None}
    if chosen and (server is None or isinstance(server, dict)):
        merged["server"] = {**(server or {}), **chosen}
        origins |= {("server", key): f"--{key}" for key in chosen}
    return merged, origins


def secret_of(environ: Mapping[str, str], variable: str) -> Secret | None:
    """A variable's content as a secret, without blanks around it; None when there is none."""
    text = environ.get(variable, "").strip()
    return Secret(text) if text else None


def with_own_key(
    backend: BackendSettings, known: Mapping[str, KnownProvider], environ: Mapping[str, str]
) -> BackendSettings:
    """A backend without a key gets its provider's usual one, if it speaks to that provider's own address."""
    provider = known.get(backend.provider)
    if backend.api_key or provider is None or provider.key_variable is None or not _at_home(backend, provider):
        return backend
    return backend.model_copy(update={"api_key": secret_of(environ, provider.key_variable)})


def keyed_backends(
    backends: Iterable[BackendSettings],
    known: Mapping[str, KnownProvider],
    environ: Mapping[str, str],
    used: Iterable[str],
) -> tuple[list[BackendSettings], list[Violation]]:
    """A backend for each provider whose key is in the environment, unless the file speaks of that provider or uses that variable.

    A file's backend at another address (a proxy, a server that speaks the provider's language) counts as speaking of it too,
    except for `openai`, whose language everyone speaks.
    """
    configured = tuple(backends)
    taken = {backend.name for backend in configured} | {BUILTIN}
    spoken_of = {
        backend.provider
        for backend in configured
        if backend.provider != "openai" or backend.provider not in known or _at_home(backend, known[backend.provider])
    }
    made: list[BackendSettings] = []
    wrong: list[Violation] = []
    for name, provider in known.items():
        variable = provider.key_variable
        text = environ.get(variable, "").strip() if variable else ""
        if not variable or not text or name in spoken_of or variable in set(used):
            continue
        try:
            made.append(BackendSettings(name=_free(name, taken), provider=name, api_key=key_of(text)))
        except ValueError as error:
            wrong.append(Violation((), str(error), origin=variable))
        taken |= {backend.name for backend in made}
    return made, wrong


def ollama_candidates(
    backends: Iterable[BackendSettings], known: Mapping[str, KnownProvider], environ: Mapping[str, str]
) -> tuple[tuple[BackendSettings, ...], tuple[Violation, ...]]:
    """The Ollama server to look for when the file names none: the one of OLLAMA_HOST, else the usual one on this machine."""
    configured = tuple(backends)
    provider = known.get(OLLAMA)
    if provider is None or any(backend.provider == OLLAMA for backend in configured):
        return (), ()
    written = environ.get("OLLAMA_HOST", "").strip()
    url = ollama_url(written) if written else provider.url
    if url is None:
        return (), (Violation((), "must be an address, like 127.0.0.1:11434", origin="OLLAMA_HOST"),)
    name = _free(OLLAMA, {backend.name for backend in configured} | {BUILTIN})
    return (BackendSettings(name=name, provider=OLLAMA, url=url),), ()


def ollama_url(host: str) -> str | None:
    """The address in OLLAMA_HOST, in any form that Ollama's own tools take; None when there is none in it.

    A server that listens everywhere (0.0.0.0) is asked on this machine.
    """
    scheme, found, rest = host.partition("://")
    if not host.isascii() or not host.isprintable() or " " in host:
        return None
    if not found:
        scheme, rest = "http", host
    if not found and rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        name, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError:
        return None
    if scheme not in ("http", "https") or parts.username is not None:
        return None
    if port is None:
        port = {"http": 80, "https": 443}[scheme] if found else _OLLAMA_PORT
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 - what is written, not what is bound
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{shown}:{port}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _put(data: dict[str, Any], path: tuple[str, ...], value: Interpolated) -> None:
    """Set the key at that path, in copies of what is on the way; what is no section there is left as it is, to be told of."""
    key, *rest = path
    inside = data.get(key)
    if not rest:
        data[key] = value
    elif inside is None or isinstance(inside, dict):
        data[key] = dict(inside or {})
        _put(data[key], tuple(rest), value)


def _at_home(backend: BackendSettings, provider: KnownProvider) -> bool:
    if backend.url is None:
        return provider.url is not None
    return provider.url is not None and _origin(backend.url) == _origin(provider.url)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
