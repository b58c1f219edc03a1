"""How model names compare, and what a name alone tells about locality."""

from __future__ import annotations

LATEST = ":latest"
_REGISTRY = ("https://", "http://", "registry.ollama.ai/", "library/")
_CLOUD_TAGS = ("-cloud", ":cloud")
_LONGEST = 256


def canonical(name: str) -> str:
    """The name without the tag that goes without saying: `llama3:latest` is `llama3`."""
    return name.removesuffix(LATEST)


def upstream_identity(name: str) -> str:
    """A backend's own name in the one form in which two spellings of it are equal, as Ollama reads them."""
    plain = name.lower()
    for prefix in _REGISTRY:
        plain = plain.removeprefix(prefix)
    return canonical(plain)


def says_cloud(upstream_name: str) -> bool:
    """Whether an Ollama name says of itself that its content leaves the machine."""
    return upstream_identity(upstream_name).endswith(_CLOUD_TAGS)


def is_usable(name: str) -> bool:
    """Whether a name found on a backend may be shown and routed to: short, printable, no spaces."""
    return 0 < len(name) <= _LONGEST and name.isprintable() and " " not in name
