"""The provider for models that Junto runs itself: requests go to the child process of their model."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from junto.core.capability import Capability
from junto.core.errors import FailureKind, NotFound, UpstreamFailure
from junto.dialects import anthropic, openai
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply, Resident
from junto.providers.llama_cpp.process import Model, ModelProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

WIRES = (openai.CHAT, openai.COMPLETIONS, openai.EMBEDDINGS, anthropic.MESSAGES)


class LlamaCpp:
    """One backend of GGUF files; each model is a process, in memory while it runs."""

    def __init__(self, name: str, models: Sequence[Model]) -> None:
        self.name = name
        self._processes = {model.name: ModelProcess(model, name) for model in models}

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        process = self._find(call.model)
        if not process.is_ready:
            await process.start()
        connection = process.connection
        if connection is None:
            raise UpstreamFailure(FailureKind.CONNECT, "the model process has just ended")
        return await connection.open(clearance, call)

    async def probe(self) -> Probe:
        if self._processes and all(process.is_failing for process in self._processes.values()):
            raise UpstreamFailure(FailureKind.CONNECT, "no model process stays up")
        return Probe(
            models=tuple(
                FoundModel(
                    name=name,
                    capabilities=Capability.EMBEDDINGS if process.model.embedding else process.model.capabilities,
                    context_length=process.model.context // process.model.slots,
                    size_bytes=_size(process.model),
                )
                for name, process in self._processes.items()
            ),
            residents=tuple(
                Resident(name=name, size_bytes=_size(process.model) or 0)
                for name, process in self._processes.items()
                if process.is_ready
            ),
        )

    async def load(self, model: str) -> None:
        await self._find(model).start()

    async def unload(self, model: str) -> None:
        await self._find(model).stop()

    async def start(self) -> None:
        """Bring every model up; one that does not come up is tried again when it is asked for."""
        for process in self._processes.values():
            with contextlib.suppress(UpstreamFailure):
                await process.start()

    async def close(self) -> None:
        for process in self._processes.values():
            await process.close()

    def _find(self, model: str) -> ModelProcess:
        process = self._processes.get(model)
        if process is None:
            raise NotFound(f"The backend {self.name} has no model {model}.")
        return process


def _size(model: Model) -> int | None:
    try:
        return model.path.stat().st_size
    except OSError:
        return None  # the child will find that out, too
