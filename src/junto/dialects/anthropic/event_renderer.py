"""Streams of `/messages`, written: the core's events to server-sent events, each in its block with its index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from junto.core.events import (
    Event,
    Failure,
    Finish,
    Progress,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
)
from junto.dialects.anthropic.errors import render_error
from junto.dialects.anthropic.responses import head_of
from junto.dialects.anthropic.usage import render_reason, render_usage

if TYPE_CHECKING:
    from junto.core.errors import JuntoError
    from junto.dialects.wire import Rendering


class AnthropicEventRenderer:
    """Opens and closes blocks as the events change their kind. The usage, known only at the end, comes with message_delta."""

    def __init__(self, rendering: Rendering) -> None:
        self._head = head_of(rendering)
        self._begun = False
        self._open = ""  # the kind of the block that is open, "" for none
        self._index = -1  # of the latest block
        self._blocks: dict[int, int] = {}  # the block of each tool call
        self._text_opening = b""

    def render(self, events: list[Event]) -> bytes:
        return b"".join([self._render(event) for event in events])

    def error(self, error: JuntoError) -> bytes:
        return b"event: error\ndata: " + render_error(error) + b"\n\n"

    def _render(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                opened = b"" if self._open == "text" else self._open_text()
                return opened + self._text_opening + msgspec.json.encode(text) + b"}}\n\n"
            case ThinkingDelta():
                return self._thinking(event)
            case Progress(text):
                return self._thinking(ThinkingDelta(text))
            case ToolCallStart(index, id, name):
                opened = self._open_block("tool_use", {"id": id, "name": name, "input": {}})
                self._blocks[index] = self._index
                return opened
            case ToolCallDelta(index, arguments):
                block = self._blocks.get(index)
                return b"" if block is None else _delta(block, "input_json_delta", partial_json=arguments)
            case Start():
                return self._begin()
            case Finish():
                return self._begin() + self._close() + self._finish(event)
            case Failure():
                return b""  # said by `error`, in Junto's own words
            case _:
                assert_never(event)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message = {
            **self._head,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": render_usage(None),
        }
        return _event("message_start", message=message)

    def _thinking(self, event: ThinkingDelta) -> bytes:
        if event.redacted is not None:
            return self._open_block("redacted_thinking", {"data": event.redacted}) + self._close()
        out = b""
        if self._open != "thinking":
            out = self._open_block("thinking", {"thinking": "", "signature": ""})
        if event.text:
            out += _delta(self._index, "thinking_delta", thinking=event.text)
        if event.signature is not None:
            out += _delta(self._index, "signature_delta", signature=event.signature) + self._close()
        return out

    def _open_text(self) -> bytes:
        """Open a block of text, and prepare what all its deltas have in common."""
        opened = self._open_block("text", {"text": ""})
        self._text_opening = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":' % self._index
        )
        return opened

    def _open_block(self, kind: str, block: dict[str, Any]) -> bytes:
        closed = self._begin() + self._close()
        self._open = kind
        self._index += 1
        return closed + _event("content_block_start", index=self._index, content_block={"type": kind, **block})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", index=self._index)

    def _finish(self, finish: Finish) -> bytes:
        delta = {"stop_reason": render_reason(finish.reason), "stop_sequence": None}
        return _event("message_delta", delta=delta, usage=render_usage(finish.usage), **finish.beside) + _event(
            "message_stop"
        )


def _delta(index: int, kind: str, **said: str) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": kind, **said})


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))
