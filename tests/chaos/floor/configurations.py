"""Random configurations: backends here and in clouds, groups, fallbacks, strategies, failures, and tags that are not what they seem.

What may see confidential content is decided here, by what the operator wrote and where a server stands, and not by asking Junto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.chaos.floor.sinks import FAILURES, Sink, Tag

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

NAMES = ("m0", "m1", "m2", "e0")
STRATEGIES = ("smart", "priority", "round-robin", "latency", "cost")
CLOUDS = ("openai", "vllm", "groq", "mistral", "openrouter", "lmstudio", "litellm", "anthropic", "llama_cpp_server")
WAYS_TO_TELL = ("tags.host", "tags.model", "show.host", "show.model", "name")
NOWHERE = "http://cloud.invalid:4430"
TIMEOUTS = {"connect": 2, "headers": 2, "first_token": 2, "cold_first_token": 2, "idle": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every upstream there is: on the premises, in clouds, Ollama servers on the premises, and a port where nobody listens."""

    local: Sequence[Sink]
    cloud: Sequence[Sink]
    ollama: Sequence[Sink]
    closed: str

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """All of them."""
        return (*self.local, *self.cloud, *self.ollama)

    def leaks(self) -> list[tuple[str, str]]:
        """Where content that had to stay was seen: a cloud, or a tag for which another machine answers."""
        beyond = [(sink.url, model) for sink in self.cloud for tier, model in sink.seen if tier == "kept"]
        remote = [
            (sink.url, model)
            for sink in self.ollama
            for tier, model in sink.seen
            if tier == "kept" and sink.is_elsewhere(model)
        ]
        return beyond + remote

    def forget(self) -> None:
        """Begin a new count."""
        for sink in self.sinks:
            sink.seen.clear()
            sink.connections = 0


@dataclass(kw_only=True)
class Configuration:
    """What goes into junto.yaml, and what a caller may not do."""

    file: dict[str, Any] = field(default_factory=dict)
    allows_internal: bool = False
    default: str = "internal"


def random_configuration(rng: random.Random, world: World, number: int) -> Configuration:
    """One configuration; the upstreams get their tags and their failures with it."""
    for sink in world.sinks:
        sink.behave = partial(_behaviour, rng, 0.7 if rng.random() < 0.5 else 0.0)
    for sink in world.ollama:
        sink.tags = {tag.name: tag for tag in _tags(rng)}
    backends = [_backend(rng, world, f"b{index}-{number // 10}") for index in range(rng.randint(1, 5))]
    names = [*NAMES, *(f"{one['name']}/{model}" for one in backends for model in one.get("models", ()))]
    groups = {name: _group(rng, names) for name in ("g0", "g1", "g2")[: rng.randint(0, 3)]}
    known = [*names, *groups]
    allows, default = rng.random() < 0.5, rng.choice(("public", "internal", "confidential"))
    file: dict[str, Any] = {
        "builtin_model": "off",
        "auth": {"open_client": {"allow_cloud_for_internal": allows}},
        "backends": backends,
        "groups": groups,
        "fallbacks": {rng.choice(NAMES): rng.sample(known, min(2, len(known))) for _ in range(rng.randint(0, 2))},
        "routing": {
            "strategy": rng.choice(STRATEGIES),
            "default_sensitivity": default,
            "max_attempts": rng.randint(1, 6),
            "prefer_loaded": rng.random() < 0.5,
        },
    }
    return Configuration(file=file, allows_internal=allows, default=default)


def _behaviour(rng: random.Random, trouble: float) -> str:
    return rng.choice(FAILURES) if rng.random() < trouble else "ok"


def _group(rng: random.Random, names: Sequence[str]) -> dict[str, Any]:
    members = rng.sample(names, rng.randint(1, min(4, len(names))))
    group: dict[str, Any] = {
        "members": [{"model": name, "weight": rng.randint(1, 5)} for name in members],
        "strategy": rng.choice(STRATEGIES),
    }
    if rng.random() < 0.5:
        group["fallback"] = rng.choice(names)
    return group


def _tags(rng: random.Random) -> list[Tag]:
    """Tags of an Ollama server, each here or elsewhere, and if elsewhere told in one way or another."""
    tags = []
    for name in NAMES:
        told = rng.choice(WAYS_TO_TELL) if rng.random() < 0.4 else ""
        tag = f"{name}{rng.choice(('-cloud', ':cloud', ':8b-cloud', '-Cloud'))}" if told == "name" else name
        tags.append(Tag(f"{tag}:latest" if ":" not in tag and rng.random() < 0.5 else tag, told))
    return tags


def _backend(rng: random.Random, world: World, name: str) -> dict[str, Any]:
    kind = rng.choice(("cloud", "cloud", "declared local", "ollama", "ollama"))
    backend: dict[str, Any] = {
        "name": name,
        "priority": rng.randint(1, 3),
        "enabled": rng.random() < 0.95,
        "timeouts": TIMEOUTS,
    }
    if rng.random() < 0.4:
        backend["slots"] = rng.randint(1, 3)
    upstream: Sequence[str] = NAMES
    if kind == "cloud":
        backend["provider"] = rng.choice((*CLOUDS, "ollama"))
        backend["url"] = NOWHERE if rng.random() < 0.15 else rng.choice(world.cloud).url
        if backend["provider"] == "ollama" or rng.random() < 0.3:
            backend["locality"] = "cloud"
    elif kind == "declared local":
        backend |= {"provider": rng.choice(CLOUDS), "locality": "local", "url": rng.choice(world.local).url}
        if rng.random() < 0.1:
            backend["url"] = world.closed if rng.random() < 0.5 else backend["url"].replace("http:", "https:")
    else:
        sink = rng.choice(world.ollama)
        upstream = [*sink.tags, "m9", "M1-CLOUD", *(name.upper() for name in sink.tags)]
        backend |= {"provider": "ollama", "url": sink.url}
        if rng.random() < 0.3:
            backend["locality"] = "local"
    if backend["url"].endswith(tuple("0123456789")) and backend["provider"] not in {"ollama", "anthropic"}:
        backend["url"] += "/v1"
    if rng.random() < 0.6:
        public = rng.sample(NAMES, rng.randint(1, 4))
        backend["models"] = {one: rng.choice(upstream) for one in public}
    return backend
