"""A scripted provider, shipped so that anyone can test against Junto without a model. Never found by itself.

Each call takes the next step of the script (the last one repeats); a step answers with events or fails. It speaks no wire:
answers are always translated, which makes it the smallest example of a provider.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from junto.core.chat import EmbedRequest
from junto.core.completion import Completion, Embeddings, fold
from junto.core.events import Event, Finish, FinishReason, Start, TextDelta
from junto.core.usage import Usage
from junto.gateway import egress
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from junto.core.errors import JuntoError, UpstreamFailure


def saying(text: str, *, usage: Usage | None = None) -> tuple[Event, ...]:
    """The events of an answer that says that text, word by word."""
    words = text.split(" ")
    pieces = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    counted = usage or Usage(input=len(words), output=len(words))
    return (Start("fake"), *(TextDelta(piece) for piece in pieces), Finish(FinishReason.STOP, counted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One scripted behaviour: fail at once, or answer with events, waiting `pause` seconds before each."""

    events: tuple[Event, ...] = ()
    failure: UpstreamFailure | JuntoError | None = None
    pause: float = 0.0


@dataclass(slots=True)
class FakeReply:
    """Plays a step's events."""

    step: Step
    embeddings: Embeddings | None = None
    relayed: bool = False
    closed: bool = False
    position: int = 0

    async def read(self) -> bytes:
        return b""

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Nothing is relayed."""

    async def events(self) -> Sequence[Event]:
        if self.position >= len(self.step.events):
            return ()
        await asyncio.sleep(self.step.pause)
        event = self.step.events[self.position]
        self.position += 1
        return (event,)

    async def whole(self) -> Completion | Embeddings:
        if self.embeddings is not None:
            return self.embeddings
        await asyncio.sleep(self.step.pause)
        return fold(self.step.events)

    def close(self, *, finished: bool = False) -> None:  # noqa: ARG002  nothing is left on a wire
        self.closed = True


@dataclass(slots=True)
class Fake:
    """One scripted backend. `calls` and `replies` are what it saw, newest last, bounded."""

    name: str
    models: Sequence[str] = ("fake-model",)
    script: Iterable[Step] = (Step(events=saying("Hello from the fake provider.")),)
    probe_failure: UpstreamFailure | None = None
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=1000))
    replies: deque[FakeReply] = field(default_factory=lambda: deque(maxlen=1000))
    _steps: deque[Step] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._steps.extend(self.script)

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        egress.demand(clearance, self.name, call.model)
        self.calls.append(call)
        step = self._steps.popleft() if len(self._steps) > 1 else self._steps[0]
        if step.failure is not None:
            raise step.failure
        request = call.request()
        vectors = None
        if isinstance(request, EmbedRequest):
            vectors = Embeddings(
                vectors=tuple((float(len(text)), 1.0) for text in request.inputs), usage=Usage(input=1)
            )
        reply = FakeReply(step, vectors)
        self.replies.append(reply)
        return reply

    async def probe(self) -> Probe:
        if self.probe_failure is not None:
            raise self.probe_failure
        return Probe(models=tuple(FoundModel(name=model) for model in self.models))

    async def load(self, model: str) -> None:
        """A scripted model is always there."""

    async def unload(self, model: str) -> None:
        """A scripted model cannot go."""

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""
