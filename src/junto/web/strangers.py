"""Keeps web pages of strangers away from a Junto that needs no key.

Any page that a person on this machine looks at can post to a loopback address, and one that rebinds its own name to that
address can even read the answers. So while inference is open, a browser's `Origin` must be of this machine, and `Host` an
address or a name of this machine. Programs send no Origin. With keys nothing of this is needed.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from junto.core.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_REMEMBERED = 256


class Strangers:
    """Tells requests of foreign web pages from those of programs and of this machine's own pages."""

    def __init__(self) -> None:
        self._welcome: set[bytes] = set()  # values of Host and Origin that were found to be of this machine

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise Forbidden for a request that a foreign page made."""
        for name, value in headers:
            if (name == b"host" or name == b"origin") and value not in self._welcome:  # noqa: PLR1714  the faster way
                self._look(name, value)

    def _look(self, name: bytes, value: bytes) -> None:
        text = value.decode("latin-1")
        if not is_of_this_machine(text if name == b"origin" else f"http://{text}"):
            header = name.decode().capitalize()
            raise Forbidden(f"{header} {text[:100]!r} is not of this machine: without keys only its own pages may ask.")
        if len(self._welcome) < _MOST_REMEMBERED:
            self._welcome.add(value)


def is_of_this_machine(origin: str) -> bool:
    """Whether an origin's host is an address, or a name that always means this machine; `null` is nobody's."""
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
