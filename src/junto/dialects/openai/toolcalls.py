"""Tool calls put together from the pieces that upstreams stream, however they number and name them.

In the wild an index is missing or always 0, an id is repeated, null or never sent, a name comes late, arguments come
as an object, or a whole call comes in one piece. Out come calls numbered from 0, each begun once, one after another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from junto.core.events import ToolCallDelta, ToolCallStart
from junto.dialects.openai.chunks import invented_id
from junto.dialects.openai.messages import arguments_text

if TYPE_CHECKING:
    from junto.core.events import Event
    from junto.dialects.openai.chunks import CallPiece


class Interleaved(ValueError):
    """More of a call came after a later one had begun."""


@dataclass(slots=True)
class _Call:
    index: int
    wire_index: int | None
    id: str = ""
    name: str = ""
    started: bool = False
    waiting: list[str] = field(default_factory=list)  # arguments that came before the name


class ToolCalls:
    """The calls of one answer so far."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: CallPiece, answer: str) -> list[Event]:
        """The events that one piece makes; `answer` is the id that missing call ids are made from. May raise Interleaved."""
        name = (piece.function.name if piece.function else None) or ""
        arguments = arguments_text(piece.function.arguments) if piece.function else ""
        call = self._find(piece, name)
        events = [] if call is not None else self.end(answer)
        if call is None:
            call = _Call(len(self._calls), piece.index)
            self._calls.append(call)
        call.id = call.id or piece.id or ""
        call.name = call.name or name
        if arguments:
            if call is not self._calls[-1]:
                raise Interleaved
            call.waiting.append(arguments)
        if call.name:
            events += self._release(call, answer)
        return events

    def end(self, answer: str) -> list[Event]:
        """What the last call still holds back, when no name ever came for it."""
        return self._release(self._calls[-1], answer) if self._calls else []

    def _find(self, piece: CallPiece, name: str) -> _Call | None:
        """The call that a piece belongs to; None when it begins a new one."""
        if not self._calls:
            return None
        last = self._calls[-1]
        if piece.index is None:
            if piece.id:
                return next((call for call in self._calls if call.id == piece.id), None if last.id or name else last)
            return None if name and last.name else last
        call = next((call for call in reversed(self._calls) if call.wire_index == piece.index), None)
        other = call is not None and name and piece.id and call.id and piece.id != call.id
        return None if other else call

    def _release(self, call: _Call, answer: str) -> list[Event]:
        events: list[Event] = []
        if not call.started:
            call.started = True
            call.id = call.id or invented_id(answer, call.index, call.name)
            events.append(ToolCallStart(call.index, call.id, call.name))
        events += [ToolCallDelta(call.index, arguments) for arguments in call.waiting]
        call.waiting.clear()
        return events
