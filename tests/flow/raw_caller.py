"""A caller made of one bare socket: it writes what no SDK would, reads as little as it likes, and hangs up when it likes."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Self

PATHS = {
    "openai": "/v1/chat/completions",
    "ollama": "/api/chat",
    "anthropic": "/v1/messages",
    "native": "/complete",
}
_RESET = struct.pack("ii", 1, 0)


def chat_request(dialect: str, model: str, prompt: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of a plain question in a dialect."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if dialect == "native":
        return ("/complete/stream" if stream else "/complete"), body
    if dialect == "anthropic":
        body["max_tokens"] = 1000
    return PATHS[dialect], body | {"stream": stream}


def request_bytes(path: str, body: dict[str, Any] | bytes, *headers: str) -> bytes:
    """A POST with a sized JSON body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


class RawCaller:
    """`with RawCaller(junto.port) as caller: caller.send(...)`; leaving the block hangs up."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self._socket.sendall(data)

    def read_until(self, expected: bytes) -> bytes:
        """Read until these bytes have come; AssertionError when the connection ends before."""
        while expected not in self.heard:
            self.read_more()
        return self.heard

    def read_more(self) -> bytes:
        """Read what comes next; AssertionError when the connection has ended."""
        piece = self._socket.recv(65536)
        assert piece, f"the connection ended after {self.heard!r}"
        self.heard += piece
        return self.heard

    def read_to_end(self) -> bytes:
        """Read until the connection ends, by its proper end or by a reset."""
        try:
            while piece := self._socket.recv(65536):
                self.heard += piece
        except ConnectionResetError:
            pass
        return self.heard

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer with a Content-Length: status, headers in lower case, body."""
        head, _, body = self.read_until(b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            piece = self._socket.recv(65536)
            assert piece, "the connection ended within the body"
            body += piece
        self.heard = body[length:]
        return int(first.split()[1]), headers, body[:length]

    def hang_up(self) -> None:
        """Close as a client does that has lost interest; safe to call twice."""
        self._socket.close()

    def reset(self) -> None:
        """Break the connection with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()
