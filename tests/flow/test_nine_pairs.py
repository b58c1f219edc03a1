"""Three dialects in, three kinds of backend behind: everything an SDK can ask comes through, whichever way it is translated."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import anthropic
import ollama
import openai
import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import AnthropicEmulator, OllamaEmulator, OpenAIEmulator, Script, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACKENDS = ("openai", "ollama", "anthropic")
MODELS = {"openai": "gpt-test", "ollama": "llama3.2:3b", "anthropic": "claude-test"}
PIXEL = base64.b64encode(b"\x89PNG not really a picture").decode()
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


class Stage:
    """One Junto in front of one backend, with the SDKs pointed at it."""

    def __init__(self, junto: RunningJunto, script: Script, model: str) -> None:
        self.junto = junto
        self.script = script
        self.model = model
        self.openai = openai.OpenAI(base_url=f"{junto.url}/v1", api_key="any", max_retries=0)
        self.ollama = ollama.Client(host=junto.url)
        self.anthropic = anthropic.Anthropic(base_url=junto.url, api_key="any", max_retries=0)
