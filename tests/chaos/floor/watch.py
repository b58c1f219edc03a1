"""Hears of every socket connect and every name look-up of this process, through the interpreter's own audit hook."""

from __future__ import annotations

import socket
import sys
from typing import Any

NO_SUCH_NAME = ".invalid"  # the names of clouds in these tests; a look-up of one is heard and goes no further
_LOOK_UPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


class Watch:
    """`contacts` are the hosts and ports connected to and the names looked up since `begin`, in their order.

    The event loop must be asyncio's own: uvloop connects past the interpreter and raises no event.
    """

    def __init__(self) -> None:
        self.contacts: list[tuple[str, int]] = []
        self._listening = False
        sys.addaudithook(self._hear)  # cannot be taken away again, so it does nothing while nobody listens

    def begin(self) -> None:
        """Listen, and forget what was heard before."""
        self.contacts = []
        self._listening = True

    def end(self) -> list[tuple[str, int]]:
        """Listen no longer; what was heard."""
        self._listening = False
        return self.contacts

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and self._listening:
            address = arguments[1]
            self.contacts.append(
                (str(address[0]), int(address[1])) if isinstance(address, tuple) else (str(address), 0)
            )
        elif event in _LOOK_UPS:
            name = str(arguments[0])
            if self._listening:
                self.contacts.append((name, int(arguments[1] or 0) if event == "socket.getaddrinfo" else 0))
            if name.endswith(NO_SUCH_NAME):
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
