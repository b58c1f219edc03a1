"""Which requests may become a socket: one kind at one kind of address; all others are served as if they had not asked."""

from __future__ import annotations

import pytest

from junto.web.upgrades import is_chat

type Headers = list[tuple[bytes, bytes]]

BY_THE_BOOK: Headers = [
    (b"host", b"localhost"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]


def without(name: bytes, *more: tuple[bytes, bytes]) -> Headers:
    return [header for header in BY_THE_BOOK if header[0] != name] + list(more)


def asked(headers: Headers, *, method: bytes = b"GET", version: str = "1.1", path: bytes = b"/chat/front-desk") -> bool:
    return is_chat(method, version, path, headers)


def test_a_chats_socket_is_one() -> None:
    assert asked(BY_THE_BOOK)
    assert asked(without(b"connection", (b"connection", b"keep-alive, Upgrade")))  # as Firefox says it
    assert asked(without(b"upgrade", (b"upgrade", b"WebSocket")))


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/chat",
        b"/chat/",
        b"/chat/a/b",
        b"/chat/A",
        b"/chat/a%2f",
        b"/chat/" + b"a" * 65,
        b"/v1/models",
        b"//chat/a",
        b"/chat/a\n",
    ],
)
def test_no_other_address_is(path: bytes) -> None:
    assert not asked(BY_THE_BOOK, path=path)


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"CONNECT", b"get"])
def test_no_other_method_is(method: bytes) -> None:
    assert not asked(BY_THE_BOOK, method=method)


def test_no_older_version_is() -> None:
    assert not asked(BY_THE_BOOK, version="1.0")


@pytest.mark.parametrize(
    "headers",
    [
        without(b"upgrade"),
        without(b"upgrade", (b"upgrade", b"h2c")),
        without(b"upgrade", (b"upgrade", b"websocket, h2c")),
        without(b"", (b"upgrade", b"h2c")),
        without(b"", (b"upgrade", b"websocket")),
        without(b"connection"),
        without(b"connection", (b"connection", b"keep-alive")),
        without(b"sec-websocket-key"),
        without(b"", (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")),
        without(b"sec-websocket-version", (b"sec-websocket-version", b"8")),
        without(b"", (b"content-length", b"0")),
        without(b"", (b"content-length", b"5")),
        without(b"", (b"transfer-encoding", b"chunked")),
        without(b"", (b"expect", b"100-continue")),
        without(b"", (b"cookie", b"x" * 8_001)),
        without(b"", *[(b"x", b"y")] * 100),
    ],
)
def test_nothing_that_two_could_read_in_two_ways_is(headers: Headers) -> None:
    assert not asked(headers)
