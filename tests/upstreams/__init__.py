"""Upstreams for tests: emulated vendors, a raw server for broken streams, a tiny real model; all on real sockets.

    with OllamaEmulator(Script(Scripted(text="hi"))) as server:
        ...  # server.url, server.script.requests, server.kill(), server.restart()

Everything runs on a thread of its own, so synchronous and async tests use it alike.
"""

from tests.upstreams.anthropic_emulator import AnthropicEmulator
from tests.upstreams.ask import Ask
from tests.upstreams.llama_server import LlamaServer, start_llama_server
from tests.upstreams.ollama_emulator import OllamaEmulator
from tests.upstreams.ollama_models import OllamaModel, local_models, remote_models
from tests.upstreams.openai_emulator import OpenAIEmulator
from tests.upstreams.plan import Call, Fail, Gate, Scripted, Usage
from tests.upstreams.raw import Hang, RawServer, Reset, Sleep
from tests.upstreams.received import Received
from tests.upstreams.script import Script
from tests.upstreams.tiny_model import write_tiny_model

__all__ = [
    "AnthropicEmulator",
    "Ask",
    "Call",
    "Fail",
    "Gate",
    "Hang",
    "LlamaServer",
    "OllamaEmulator",
    "OllamaModel",
    "OpenAIEmulator",
    "RawServer",
    "Received",
    "Reset",
    "Script",
    "Scripted",
    "Sleep",
    "Usage",
    "local_models",
    "remote_models",
    "start_llama_server",
    "write_tiny_model",
]
