"""The stream to a caller: events to bytes, for chat and legacy completions.

The parts of a chunk that never change are encoded once; a delta costs one encoding of its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.events import Failure, Finish, Progress, Start, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart
from junto.dialects.openai.errors import render_error_event
from junto.dialects.openai.taps import DONE
from junto.dialects.openai.usage import render_usage

if TYPE_CHECKING:
    from junto.core.errors import JuntoError
    from junto.core.events import Event
    from junto.dialects.wire import Rendering

_encode = msgspec.json.encode


def _head(rendering: Rendering, kind: str) -> bytes:
    """The start of each chunk, up to its choices."""
    head = {"id": rendering.id, "object": kind, "created": rendering.created, "model": rendering.model}
    return b"data: %b," % _encode(head)[:-1]


def _usage_chunk(head: bytes, finish: Finish) -> bytes:
    if finish.usage is None:
        return b""
    return b'%b"choices":[],"usage":%b}\n\n' % (head, _encode(render_usage(finish.usage)))


def _beside(chunk: bytes, fields: dict[str, Any]) -> bytes:
    """The chunk with further fields of its object."""
    return chunk.removesuffix(b"}\n\n") + b",%b\n\n" % _encode(fields)[1:]


class ChatRenderer:
    """Renders one stream of `chat.completion.chunk` objects."""

    def __init__(self, rendering: Rendering) -> None:
        self._head = _head(rendering, "chat.completion.chunk")
        self._before = self._head + b'"choices":[{"index":0,"delta":'
        self._include_usage = rendering.include_usage
        self._begun = False
        self._bare_call: int | None = None  # the last call, while it has no arguments

    def render(self, events: list[Event]) -> bytes:
        """The chunks for these events."""
        return b"".join([self._render(event) for event in events])

    def error(self, error: JuntoError) -> bytes:
        """The event that ends a stream that has begun."""
        return render_error_event(error)

    def _render(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._said(b'{"content":%b}' % _encode(text)) if text else b""
            case ThinkingDelta(text):
                return self._said(b'{"reasoning_content":%b}' % _encode(text)) if text else b""
            case ToolCallDelta(index, arguments):
                return self._arguments(index, arguments) if arguments else b""
            case Progress(text, data):
                return self._told(text, data)
            case ToolCallStart():
                return self._call(event)
            case Start():
                return self._begin()
            case Finish():
                return self._finish(event)
            case Failure():
                return b""  # how it is told is decided with what is known of it: see error

    def _chunk(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return b'%b%b,"logprobs":null,"finish_reason":%b}]}\n\n' % (self._before, delta, finish)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._chunk(b'{"role":"assistant","content":""}')

    def _said(self, delta: bytes) -> bytes:
        return self._begin() + self._chunk(delta)

    def _told(self, text: str, data: dict[str, Any]) -> bytes:
        """Progress: reasoning for people, and fields of the chunk for programs."""
        delta = b'{"reasoning_content":%b}' % _encode(text) if text else b"{}"
        if not data:
            return self._said(delta)
        return self._begin() + _beside(self._chunk(delta), data)

    def _call(self, call: ToolCallStart) -> bytes:
        bare = self._complete_bare_call()
        self._bare_call = call.index
        function = {"name": call.name, "arguments": ""}
        return bare + self._tool({"index": call.index, "id": call.id, "type": "function", "function": function})

    def _arguments(self, index: int, arguments: str) -> bytes:
        self._bare_call = None if index == self._bare_call else self._bare_call
        return self._tool({"index": index, "function": {"arguments": arguments}})

    def _tool(self, call: dict[str, Any]) -> bytes:
        return self._said(_encode({"tool_calls": [call]}))

    def _complete_bare_call(self) -> bytes:
        """A call without arguments is a call with none: clients decode them as JSON."""
        return b"" if self._bare_call is None else self._arguments(self._bare_call, "{}")

    def _finish(self, finish: Finish) -> bytes:
        usage = _usage_chunk(self._head, finish) if self._include_usage else b""
        last = self._begin() + self._complete_bare_call()
        chunk = self._chunk(b"{}", b'"%b"' % finish.reason.value.encode())
        if finish.beside:
            chunk = _beside(chunk, finish.beside)
        return last + chunk + usage + DONE


class CompletionRenderer:
    """Renders one stream of `text_completion` objects: words only, since this wire has none for the rest."""

    def __init__(self, rendering: Rendering) -> None:
        self._head = _head(rendering, "text_completion")
        self._include_usage = rendering.include_usage

    def render(self, events: list[Event]) -> bytes:
        """The chunks for these events."""
        return b"".join([self._render(event) for event in events])

    def error(self, error: JuntoError) -> bytes:
        """The event that ends a stream that has begun."""
        return render_error_event(error)

    def _render(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._chunk(_encode(text)) if text else b""
            case Finish():
                usage = _usage_chunk(self._head, event) if self._include_usage else b""
                return self._chunk(b'""', b'"%b"' % text_reason(event).encode()) + usage + DONE
            case Progress(text):
                return b": %b\n\n" % " ".join(text.split()).encode()  # this wire has no place for it but a comment
            case _:
                return b""

    def _chunk(self, text: bytes, finish: bytes = b"null") -> bytes:
        return b'%b"choices":[{"index":0,"text":%b,"logprobs":null,"finish_reason":%b}]}\n\n' % (
            self._head,
            text,
            finish,
        )


def text_reason(finish: Finish) -> str:
    """The finish reason in legacy words, which know no tool calls."""
    return "stop" if finish.reason.value == "tool_calls" else finish.reason.value
