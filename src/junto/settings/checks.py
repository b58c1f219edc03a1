"""What no single key can tell: combinations that cannot work, and names that mean nothing. Pure.

A backend's own list of models is known, what it will be found to have is not: a plain name can only be wrong when every backend
lists its models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.core.document import path_text
from junto.core.near import did_you_mean
from junto.settings.environment import BUILTIN, OLLAMA, is_loopback
from junto.settings.fields import is_reserved
from junto.settings.reading import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from junto.core.document import Path
    from junto.settings.model import BackendSettings, FileSettings, KnownProvider

_DEFAULT_GROUPS = ("fast", "quality")
_LATEST = ":latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What names there are: of the file's backends also those that are wrong otherwise, and of those the environment makes."""

    backends: frozenset[str]
    groups: frozenset[str]
    listed: Mapping[str, frozenset[str] | None]  # by backend: its models without `:latest`; None when discovered

    @property
    def models(self) -> frozenset[str]:
        """All models that some backend lists."""
        return frozenset().union(*(models for models in self.listed.values() if models is not None))


def names_of(raw_backends: Sequence[str], raw_groups: Sequence[str], backends: Sequence[BackendSettings]) -> Names:
    """The names in a configuration. A backend that could not be read counts as discovered: what it lists is not known."""
    listed: dict[str, frozenset[str] | None] = dict.fromkeys(raw_backends)
    for backend in backends:
        listed[backend.name] = (
            None if backend.models is None else frozenset(name.removesuffix(_LATEST) for name in backend.models)
        )
    return Names(
        backends=frozenset({*listed, OLLAMA, BUILTIN}), groups=frozenset(raw_groups or _DEFAULT_GROUPS), listed=listed
    )


def violations(
    settings: FileSettings, indices: Sequence[int], names: Names, known: Mapping[str, KnownProvider]
) -> Iterator[Violation]:
    """Everything that contradicts something else. `indices` are the places of the settings' backends in the file."""
    yield from _server(settings)
    yield from _slack(settings)
    for index, backend in zip(indices, settings.backends, strict=True):
        yield from _backend(backend, ("backends", index), known)
    yield from _group_names(settings, names)
    yield from _references(settings, names)
    yield from _circles(settings)


def _slack(settings: FileSettings) -> Iterator[Violation]:
    """With an empty secret anybody could sign an event."""
    slack = settings.channels.slack
    if slack.bot_token and not slack.signing_secret:
        where = "is needed where there is a bot_token, and empty or missing; SLACK_SIGNING_SECRET sets it"
        yield Violation(("channels", "slack", "signing_secret"), where)


def duplicates(raw_names: Sequence[tuple[int, str]]) -> Iterator[Violation]:
    """Backends that are called the same as one above them; `raw_names` are the file's, with their places."""
    first: dict[str, int] = {}
    for index, name in raw_names:
        if first.setdefault(name, index) != index:
            yield Violation(("backends", index, "name"), f"{name} is the name of backends[{first[name]}] already")


def unknown_providers(raw: Sequence[tuple[int, str]], known: Mapping[str, KnownProvider]) -> Iterator[Violation]:
    """Backends of a kind that there is not; `raw` are the file's providers with their places."""
    for index, provider in raw:
        if provider not in known:
            hint = did_you_mean(provider, known) or f" There are: {', '.join(sorted(known))}."
            yield Violation(("backends", index, "provider"), f"{provider[:60]} is no provider that Junto knows.{hint}")


def warnings(settings: FileSettings, names: Names) -> Iterator[str]:
    """What may well be meant, and is worth a word."""
    for name in sorted(names.groups & names.models if settings.groups else ()):
        yield f"The group {name} hides the model of the same name; ask for that as BACKEND/{name}."
    if any(models is None for models in names.listed.values()):
        return  # that backend may turn out to have any model
    for path, name in (*_members(settings), *_targets(settings)):
        pinned = name.partition("/")[0] in names.backends
        if name not in names.groups and name.removesuffix(_LATEST) not in names.models and not pinned:
            yield f"{path_text(path)}: no backend lists {name}; it counts once one is found to have it."


def _server(settings: FileSettings) -> Iterator[Violation]:
    open_beyond = settings.auth.mode == "open" and not is_loopback(settings.server.host)
    if open_beyond and not settings.auth.allow_open_beyond_loopback:
        yield Violation(
            ("server", "host"),
            f"{settings.server.host} can be reached from other machines while auth.mode is open;"
            " set auth.mode to keys, or auth.allow_open_beyond_loopback to true if that is meant",
        )
    if settings.server.workers > 1:
        yield Violation(
            ("server", "workers"),
            "must be 1: a command is one process. Start `junto serve` several times, each with its own data_dir and port,"
            " with one Postgres database_url and one redis_url",
        )


def _backend(backend: BackendSettings, path: Path, known: Mapping[str, KnownProvider]) -> Iterator[Violation]:
    if backend.name == BUILTIN:
        yield Violation((*path, "name"), f"{BUILTIN} is the name of the built-in model's backend")
    provider = known.get(backend.provider)
    if provider is None:
        return  # unknown_providers() says so
    if provider.needs_url and backend.url is None:
        yield Violation((*path, "url"), f"is needed: {backend.provider} has no address of its own")
    if provider.needs_models and backend.models is None:
        yield Violation((*path, "models"), f"is needed: {backend.provider} serves the files that are named here")
    without_key = backend.enabled and backend.url is None and not backend.api_key
    if provider.key_variable and provider.url and without_key:
        yield Violation(
            (*path, "api_key"), f"is needed, here or in the variable {provider.key_variable}; there is none"
        )


def _group_names(settings: FileSettings, names: Names) -> Iterator[Violation]:
    for name in settings.groups:
        prefix, slash, _ = name.partition("/")
        if slash and prefix in names.backends:
            yield Violation(
                ("groups", name), f"names a model pinned to the backend {prefix}; a group needs another name"
            )
        if name.endswith(_LATEST):
            yield Violation(("groups", name), f"must not end in {_LATEST}, which goes without saying")


def _references(settings: FileSettings, names: Names) -> Iterator[Violation]:
    for path, name in _members(settings):
        if (
            name in names.groups
            and settings.groups
            and name.removesuffix(_LATEST) not in names.models
            and path[1] != name
        ):
            yield Violation(path, f"{name} is a group; members are models (a group can be the `fallback`)")
        else:
            yield from _reference(path, name, names)
    for path, name in _targets(settings):
        if name not in names.groups:
            yield from _reference(path, name, names)


def _members(settings: FileSettings) -> Iterator[tuple[Path, str]]:
    for name, group in settings.groups.items():
        for index, member in enumerate(group.members):
            yield ("groups", name, "members", index), member.model


def _targets(settings: FileSettings) -> Iterator[tuple[Path, str]]:
    """All names that something falls back to, and the names for which there are rules."""
    for name, group in settings.groups.items():
        if group.fallback is not None:
            yield ("groups", name, "fallback"), group.fallback
    for name, targets in settings.fallbacks.items():
        yield ("fallbacks", name), name
        for index, target in enumerate(targets):
            yield ("fallbacks", name, index), target


def _reference(path: Path, name: str, names: Names) -> Iterator[Violation]:
    """Whether a name can mean a model at all."""
    if is_reserved(name):
        yield Violation(path, f"{name[:60]} is no model; only models and groups can stand here")
        return
    plain = name.removesuffix(_LATEST)
    prefix, slash, model = plain.partition("/")
    if plain in names.models or not slash:
        return
    if prefix not in names.backends:
        yield Violation(
            path,
            f"no backend is called {prefix[:60]}.{did_you_mean(prefix, names.backends)}"
            " A model whose own name holds a slash is written BACKEND/NAME here, or listed in a backend's `models`",
        )
        return
    models = names.listed.get(prefix)
    if models is not None and model not in models:
        yield Violation(path, f"{prefix} lists no model {model[:60]}.{did_you_mean(model, models)}")


def _circles(settings: FileSettings) -> Iterator[Violation]:
    """Groups that fall back to one another in a circle, once for each circle; and rules of a name to itself."""
    reported: set[frozenset[str]] = set()
    for start in settings.groups:
        chain = [start]
        while (following := settings.groups[chain[-1]].fallback) in settings.groups and following not in chain:
            chain.append(str(following))
        if following == start and frozenset(chain) not in reported:
            reported.add(frozenset(chain))
            yield Violation(("groups", start, "fallback"), f"goes round in a circle: {' -> '.join([*chain, start])}")
    for name, targets in settings.fallbacks.items():
        for index, target in enumerate(targets):
            if target == name:
                yield Violation(("fallbacks", name, index), "falls back to itself")
