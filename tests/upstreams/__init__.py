"""Upstreams for tests: emulated vendors, a raw server for broken streams, a tiny real model; all on real sockets.

    with OllamaEmulator(Script(Scripted(text="hi"))) as server:
        ...  # server.url, server.script.requests, server.kill(), server.restart()

Everything runs on a thread of its own, so synchronous and async tests use it alike.
"""

from tests.upstreams.ask import Ask
from tests.upstreams.ollama_emulator import OllamaEmulator
from tests.upstreams.ollama_models import OllamaModel, local_models, remote_models
from tests.upstreams.openai_emulator import OpenAIEmulator
from tests.upstreams.plan import Call, Fail, Gate, Scripted, Usage
from tests.upstreams.received import Received
from tests.upstreams.script import Script

__all__ = [
    "Ask",
    "Call",
    "Fail",
    "Gate",
    "OllamaEmulator",
    "OllamaModel",
    "OpenAIEmulator",
    "Received",
    "Script",
    "Scripted",
    "Usage",
    "local_models",
    "remote_models",
]
