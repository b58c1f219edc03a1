"""Answers that are ready in one turn of the loop: the first is written at once, those behind it together at the turn's end.

One write to the journal stands for all of them, and callers on the other end are woken once rather than one by one, which
is a good part of an answer's price. Owns the order: first the records, then the answers. Knows no dialect.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.core.errors import JuntoError

if TYPE_CHECKING:
    from collections.abc import Callable

type Refusal = Callable[[JuntoError], bytes]


class Outbox:
    """Holds whole answers for the rest of one turn. `commit` writes their records down, or raises: then each is refused."""

    __slots__ = ("_holding", "_waiting", "commit")

    def __init__(self, commit: Callable[[], None]) -> None:
        self.commit = commit
        self._holding = False
        self._waiting: list[tuple[asyncio.Transport, bytes, Refusal]] = []

    def add(self, transport: asyncio.Transport, answer: bytes, refusal: Refusal) -> None:
        """Write `answer` within this turn, or what `refusal` makes of the error when its record cannot be written."""
        self._waiting.append((transport, answer, refusal))
        if not self._holding:
            self.flush()
            self._holding = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._holding = False
        self.flush()

    def flush(self) -> None:
        """Write everything now. Never raises."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self.commit()
        except JuntoError as error:
            for transport, _, refusal in waiting:
                transport.write(refusal(error))
            return
        for transport, answer, _ in waiting:
            transport.write(answer)
