"""Short ways to load settings in tests: the providers that Junto knows, as settings see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.core.document import ConfigError, ConfigErrors
from junto.settings.load import parse
from junto.settings.model import KnownProvider, ServeOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.settings.model import Settings

KNOWN = {
    "openai": KnownProvider(url="https://api.openai.com/v1", key_variable="OPENAI_API_KEY"),
    "groq": KnownProvider(url="https://api.groq.com/openai/v1", key_variable="GROQ_API_KEY"),
    "anthropic": KnownProvider(url="https://api.anthropic.com/v1", key_variable="ANTHROPIC_API_KEY"),
    "ollama": KnownProvider(url="http://127.0.0.1:11434"),
    "vllm": KnownProvider(needs_url=True),
    "llama_cpp": KnownProvider(needs_models=True),
    "fake": KnownProvider(),
}


def settings(text: str = "", environ: Mapping[str, str] | None = None, options: ServeOptions | None = None) -> Settings:
    """What that file means in that environment."""
    return parse(text, environ or {}, options or ServeOptions(), known_providers=KNOWN)


def errors(
    text: str = "", environ: Mapping[str, str] | None = None, options: ServeOptions | None = None
) -> list[ConfigError]:
    """Everything that is wrong with it; there must be something."""
    with pytest.raises(ConfigErrors) as caught:
        settings(text, environ, options)
    return caught.value.errors


def places(found: list[ConfigError]) -> list[tuple[str, int | None]]:
    """Path and line of each error."""
    return [(error.path, error.line) for error in found]
