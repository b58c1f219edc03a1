"""The usual stage: one Junto in front of an OpenAI-compatible, an Ollama and an Anthropic backend, all emulated."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tests.flow.running import RunningJunto
from tests.upstreams import AnthropicEmulator, OllamaEmulator, OllamaModel, OpenAIEmulator, local_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.upstreams import Script

ABLE = OllamaModel(name="able:7b", capabilities=("completion", "tools", "thinking", "vision"))
MODELS = {"openai": "gpt-test", "ollama": "able:7b", "anthropic": "claude-test"}
EMBEDDERS = {"openai": "embed-test", "ollama": "nomic-embed-text:latest"}


class Stage:
    """Junto and the scripts of its backends, by their kind."""

    def __init__(self, junto: RunningJunto, scripts: dict[str, Script]) -> None:
        self.junto = junto
        self.scripts = scripts


@contextmanager
def set_stage(data_dir: Path, config: dict[str, Any] | None = None, **options: Any) -> Iterator[Stage]:
    """Start everything, and stop it in reverse order; `config` and `options` are Junto's besides the backends."""
    with ExitStack() as stack:
        openai = stack.enter_context(OpenAIEmulator())
        ollama = stack.enter_context(OllamaEmulator(models=[ABLE, *local_models()]))
        anthropic = stack.enter_context(AnthropicEmulator())
        backends = [
            {"name": "gpts", "provider": "openai", "url": openai.base_url},
            {"name": "desk", "provider": "ollama", "url": ollama.url, "slots": 4},
            {"name": "claudes", "provider": "anthropic", "url": anthropic.url},
        ]
        junto = stack.enter_context(RunningJunto(data_dir, {"backends": backends, **(config or {})}, **options))
        yield Stage(junto, {"openai": openai.script, "ollama": ollama.script, "anthropic": anthropic.script})
