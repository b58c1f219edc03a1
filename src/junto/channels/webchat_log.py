"""The latest events of one conversation, numbered, so that a page that was cut off gets what it missed. Knows no sockets.

The log is short and forgetful on purpose: the stored turns are the truth, and what is not here any more is read from there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

MOST_EVENTS: Final = 1_000
MOST_CHARACTERS: Final = 64_000
_DELTA, _TYPING, _REPLY = "delta", "typing", "reply"


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `fields` are plain JSON; `id` in them is the message that it is about."""

    number: int
    type: str
    fields: dict[str, Any]

    @property
    def size(self) -> int:
        """Characters, about."""
        return len(self.fields.get("text", "")) + 100


class EventLog:
    """Events from number 1 on. `id` tells this log from others of the same conversation, which count for themselves."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.last = 0
        self._events: deque[Event] = deque()
        self._size = 0
        self._forgotten = 0  # the number of the last event that is not here though nothing stands for it
        self._wakes: set[asyncio.Event] = set()

    def add(self, type: str, **fields: Any) -> None:
        """Write an event down and wake those who watch. A reply stands for all that came of it piece by piece."""
        self.last += 1
        if type == _REPLY:
            self._drop_pieces(fields["id"])
        event = Event(self.last, type, fields)
        self._events.append(event)
        self._size += event.size
        while len(self._events) > MOST_EVENTS or self._size > MOST_CHARACTERS:
            oldest = self._events.popleft()
            self._size -= oldest.size
            self._forgotten = oldest.number
        for wake in self._wakes:
            wake.set()

    def since(self, number: int) -> list[Event] | None:
        """What came after that event, small pieces put together; None where some of it is gone, or it never was."""
        if not self._forgotten <= number <= self.last:
            return None
        new: list[Event] = []
        for event in reversed(self._events):
            if event.number <= number:
                break
            new.append(event)
        return merged(reversed(new))

    def watch(self, wake: asyncio.Event) -> None:
        """Set it whenever there is something new."""
        self._wakes.add(wake)

    def unwatch(self, wake: asyncio.Event) -> None:
        """Do not any more."""
        self._wakes.discard(wake)

    def _drop_pieces(self, id: str) -> None:
        kept = [event for event in self._events if event.type not in {_DELTA, _TYPING} or event.fields["id"] != id]
        self._events = deque(kept)
        self._size = sum(event.size for event in kept)


def merged(events: Iterable[Event]) -> list[Event]:
    """The same events with deltas that follow upon each other as one, under the number of the last."""
    made: list[Event] = []
    for event in events:
        before = made[-1] if made else None
        if before is not None and event.type == before.type == _DELTA and _continues(before, event):
            text = before.fields["text"] + event.fields["text"]
            made[-1] = Event(event.number, _DELTA, {**before.fields, "text": text})
        else:
            made.append(event)
    return made


def _continues(before: Event, event: Event) -> bool:
    first, second = before.fields, event.fields
    return bool(first["id"] == second["id"] and first["offset"] + len(first["text"]) == second["offset"])
