"""Requests that wish to go on in another protocol, as Java's own client does with each of its first ones.

The parser takes such a request to end with its head, whatever length it tells. One wish is granted: a WebSocket at the address of a
chat, asked for by the book and without a body. Every other request is served as if it had wished for nothing: its body has to be
read as its body, or it would be taken for the next request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httptools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.web.server import JuntoProtocol

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_CHAT = re.compile(rb"/chat/[a-z0-9-]{1,64}")
_BY_THE_BOOK: Final = {b"upgrade": b"websocket", b"sec-websocket-version": b"13"}
_KEY: Final = b"sec-websocket-key"
_MOST_LINES: Final = 100
_LONGEST_LINE: Final = 8_000  # bytes; those who read the head a second time take little more


def is_chat(method: bytes, version: str, raw_path: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request may become a socket: no two parties on the way to it can read it in two ways."""
    if method != b"GET" or version != "1.1" or not _CHAT.fullmatch(raw_path):
        return False
    told: dict[bytes, list[bytes]] = {}
    for lines, (name, value) in enumerate(headers, 1):
        if lines > _MOST_LINES or len(name) + len(value) > _LONGEST_LINE:
            return False
        told.setdefault(name, []).append(value.strip().lower())
    if _FRAMING & told.keys() or b"expect" in told or len(told.get(_KEY, ())) != 1:
        return False
    steps = [step.strip() for value in told.get(b"connection", ()) for step in value.split(b",")]
    return b"upgrade" in steps and all(told.get(name) == [value] for name, value in _BY_THE_BOOK.items())


def parser_of_body(
    connection: JuntoProtocol, headers: Iterable[tuple[bytes, bytes]]
) -> httptools.HttpRequestParser | None:
    """A parser that goes on with the body of a request with these headers, and with what follows; None when it has no body."""
    framing = [(name, value) for name, value in headers if name in _FRAMING]
    if all(name == b"content-length" and not int(value) for name, value in framing):
        return None
    parser = httptools.HttpRequestParser(_Continued(connection))
    lines = [b"%b: %b\r\n" % header for header in framing]
    parser.feed_data(b"".join((b"POST / HTTP/1.1\r\n", *lines, b"\r\n")))
    return parser


class _Continued:
    """Tells the connection what a parser finds, but for the first head, which the connection has seen."""

    def __init__(self, connection: JuntoProtocol) -> None:
        self._connection = connection
        self._was_seen = False

    def on_message_begin(self) -> None:
        if self._was_seen:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._was_seen:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._was_seen:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._was_seen:
            self._connection.on_headers_complete()
        self._was_seen = True

    def on_body(self, body: bytes) -> None:
        self._connection.on_body(body)

    def on_message_complete(self) -> None:
        self._connection.on_message_complete()
