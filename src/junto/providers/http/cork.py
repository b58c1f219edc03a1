"""Requests of one turn of the loop: the first is written at once, those behind it together at the turn's end.

Each write to an idle upstream wakes it up, which costs the writer as much as the rest of the write; of many in a row only
the first one does. Must not hold a request beyond the turn, nor write to a connection that was given up meanwhile.
"""

import asyncio


class Cork:
    """Holds what is to be written for the rest of one turn of one event loop."""

    __slots__ = ("_in", "_waiting")

    def __init__(self) -> None:
        self._in = False
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def write(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, data: bytes) -> None:
        """Write `data` now if it is the first of this turn, else at the turn's end."""
        if self._in:
            self._waiting.append((transport, data))
            return
        self._in = True
        loop.call_soon(self._pull)
        transport.write(data)

    def _pull(self) -> None:
        self._in = False
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
