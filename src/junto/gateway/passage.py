"""How an upstream's reply becomes bytes for the caller: relayed or translated, whole or streamed, behind one interface.

A passage knows wires and nothing of slots, money or records; gateway/answer.py drives it and settles what it learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from junto.core.chat import Text, Thinking, ToolCall
from junto.core.completion import Completion
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.events import Failure, Finish, FinishReason, Start, TextDelta, ThinkingDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.errors import JuntoError
    from junto.core.events import Event
    from junto.core.usage import Usage
    from junto.dialects.wire import EventRenderer, Rendering, Tap, Wire
    from junto.ports.provider import Reply

WHOLE_LIMIT = 64 * 1024 * 1024  # bytes of one whole answer; upstreams are not trusted to come to an end


class Passage(Protocol):
    """Pull-based: each `advance` gives the next bytes that may go to the caller."""

    @property
    def finished(self) -> bool:
        """Whether the answer is complete; the last `advance` returned its closing bytes."""

    @property
    def usage(self) -> Usage | None:
        """What the upstream said it used, as far as it is known."""

    @property
    def finish_reason(self) -> str:
        """Why the model stopped, in the words of the wire it came in; "" while unknown."""

    @property
    def output_characters(self) -> int:
        """About how much was answered, for answers without usage."""

    async def advance(self) -> bytes:
        """The next bytes, b"" when this piece had none for the caller; raises UpstreamFailure when the answer breaks."""

    async def pump(self, give: Callable[[bytes], bool]) -> bytes:
        """Let pieces go straight to `give` while they are plain and it takes them; returns the one it has not been given."""

    def error(self, error: JuntoError) -> bytes:
        """The bytes that end a stream which has already begun."""

    def cut(self) -> bytes:
        """The bytes that end a stream as if its maximum were reached."""

    def close(self) -> None:
        """Let go of the upstream."""


class RelayedStream:
    """Same wire on both sides: pieces pass through the tap."""

    __slots__ = ("_rendering", "_reply", "_tap", "_wire")

    def __init__(self, reply: Reply, tap: Tap, wire: Wire, rendering: Rendering) -> None:
        self._reply = reply
        self._tap = tap
        self._wire = wire
        self._rendering = rendering

    @property
    def finished(self) -> bool:
        return self._tap.finished

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    @property
    def finish_reason(self) -> str:
        return self._tap.finish_reason

    @property
    def output_characters(self) -> int:
        return self._tap.output_characters

    async def advance(self) -> bytes:
        tap = self._tap
        if tap.failure is not None:
            self._raise_failure()
        data = await self._reply.read()
        passed = tap.feed(data) if data else tap.end()
        if not passed:
            self._raise_failure()
            if not data and not tap.finished:
                raise UpstreamFailure(FailureKind.RESET, "the relayed answer ended without its end", usage=tap.usage)
        return passed  # what came before a failure goes first; the next call tells of it

    async def pump(self, give: Callable[[bytes], bool]) -> bytes:
        tap = self._tap
        left = b""

        def take(data: bytes) -> bool:
            nonlocal left
            passed = tap.feed(data)
            if tap.finished or tap.failure is not None or (passed and not give(passed)):
                left = passed
                return False
            return True

        await self._reply.pump(take)
        return left

    def error(self, error: JuntoError) -> bytes:
        return self._wire.event_renderer(self._rendering).error(error)

    def cut(self) -> bytes:
        # Only in dialects in which a maximum may be left out; their streams can be ended at any event.
        tap = self._tap
        tap.finish_reason = FinishReason.LENGTH.value
        return self._wire.event_renderer(self._rendering).render([Finish(FinishReason.LENGTH, tap.usage)])

    def close(self) -> None:
        self._reply.close(finished=self.finished)

    def _raise_failure(self) -> None:
        tap = self._tap
        if tap.failure is not None:
            raise UpstreamFailure(tap.failure, "relayed answer", usage=tap.usage)


class RelayedWhole(RelayedStream):
    """Same wire on both sides, one body: read to its end before anything passes."""

    __slots__ = ()

    async def advance(self) -> bytes:
        tap = self._tap
        pieces = []
        size = 0
        while piece := await self._reply.read():
            pieces.append(piece)
            size += len(piece)
            if size > WHOLE_LIMIT:
                raise UpstreamFailure(FailureKind.TOO_LARGE, "the relayed answer exceeds the limit")
        body = tap.feed(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        body += tap.end()
        self._raise_failure()
        return body


class TranslatedStream:
    """Different wires: events of the one are rendered in the other."""

    __slots__ = ("_failure", "_renderer", "_reply", "finish_reason", "finished", "output_characters", "usage")

    def __init__(self, reply: Reply, renderer: EventRenderer) -> None:
        self._reply = reply
        self._renderer = renderer
        self._failure: UpstreamFailure | None = None
        self.finished = False
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0

    async def advance(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        events = await self._reply.events()
        if not events:
            raise UpstreamFailure(FailureKind.RESET, "the events ended without an end", usage=self.usage)
        passed: list[Event] = []
        for event in events:
            if type(event) is Failure:
                return self._until_failure(passed, event)
            self._note(event)
            passed.append(event)
        return self._renderer.render(passed)

    async def pump(self, give: Callable[[bytes], bool]) -> bytes:  # noqa: ARG002  each event is looked at
        return b""

    def error(self, error: JuntoError) -> bytes:
        return self._renderer.error(error)

    def cut(self) -> bytes:
        self.finish_reason = FinishReason.LENGTH.value
        return self._renderer.render([Finish(FinishReason.LENGTH, self.usage)])

    def close(self) -> None:
        self._reply.close(finished=self.finished)

    def _until_failure(self, passed: list[Event], failure: Failure) -> bytes:
        """What came before a failure goes first, and the next call tells of it; a mere start is not worth the commit."""
        self.usage = failure.usage
        self._failure = UpstreamFailure(failure.kind, failure.detail, usage=failure.usage)
        if all(type(event) is Start for event in passed):
            raise self._failure
        return self._renderer.render(passed)

    def _note(self, event: Event) -> None:
        match event:
            case TextDelta(text) | ThinkingDelta(text) | ToolCallDelta(_, text):
                self.output_characters += len(text)
            case Finish(reason, usage):
                self.finished = True
                self.finish_reason = reason.value
                self.usage = usage
            case _:
                pass


class TranslatedWhole:
    """Different wires, one answer: parsed by the provider, rendered for the caller."""

    __slots__ = ("_rendering", "_reply", "_wire", "finish_reason", "finished", "output_characters", "usage")

    def __init__(self, reply: Reply, wire: Wire, rendering: Rendering) -> None:
        self._reply = reply
        self._wire = wire
        self._rendering = rendering
        self.finished = False
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.output_characters = 0

    async def advance(self) -> bytes:
        answer = await self._reply.whole()
        self.usage = answer.usage
        if isinstance(answer, Completion):
            self.finish_reason = answer.reason.value
            self.output_characters = sum(map(_characters, answer.parts))
        self.finished = True
        return self._wire.render_response(answer, self._rendering)

    async def pump(self, give: Callable[[bytes], bool]) -> bytes:  # noqa: ARG002  there is one piece only
        return b""

    def error(self, error: JuntoError) -> bytes:
        return self._wire.render_error(error)

    def cut(self) -> bytes:
        return b""  # a whole answer is there or not

    def close(self) -> None:
        self._reply.close(finished=self.finished)


def choose(reply: Reply, wire: Wire, rendering: Rendering, *, stream: bool, wants_usage: bool) -> Passage:
    """The passage for this reply to a caller who speaks that wire."""
    if reply.relayed:
        if stream:
            return RelayedStream(reply, wire.stream_tap(wants_usage), wire, rendering)
        return RelayedWhole(reply, wire.whole_tap(), wire, rendering)
    if stream:
        return TranslatedStream(reply, wire.event_renderer(rendering))
    return TranslatedWhole(reply, wire, rendering)


def _characters(part: Text | Thinking | ToolCall) -> int:
    match part:
        case Text(text) | Thinking(text):
            return len(text)
        case ToolCall():
            return len(part.arguments)
