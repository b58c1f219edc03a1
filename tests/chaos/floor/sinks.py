"""Upstreams that answer in every dialect, fail as they are told, and remember whose content reached them.

They run on the loop of the test, in the same process, since thousands of configurations share them.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.upstreams.connection import RESET_ON_CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = re.compile(rb"canary-(kept|free)-\d+")
FAILURES = ("500", "429", "503", "404", "garbage", "reset", "truncate", "silent close")
_TLS = b"\x16"  # how a handshake begins, which no sink takes part in
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of an Ollama server. `told` is where the server says that another machine answers for it; "" is a local tag."""

    name: str
    told: str = ""


@dataclass(eq=False, kw_only=True)
class Sink:
    """One upstream. `seen` holds (tier, model) of each canary that arrived; `connections` counts every caller."""

    host: str
    behave: Callable[[], str] = lambda: "ok"
    tags: dict[str, Tag] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://{self.host}:{self.port}"

    def find(self, model: str) -> Tag | None:
        """The tag that a name means, read as Ollama reads names."""
        name = model.lower().removesuffix(":latest")
        return next((tag for tag in self.tags.values() if tag.name.lower().removesuffix(":latest") == name), None)

    def is_elsewhere(self, model: str) -> bool:
        """Whether another machine answers for a model of this Ollama server."""
        tag = self.find(model)
        return (tag is not None and bool(tag.told)) or model.lower().removesuffix(":latest").endswith(
            ("-cloud", ":cloud")
        )

    async def listen(self) -> asyncio.Server:
        """Begin; the caller closes the server."""
        server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            first = await reader.readexactly(1)
            if first == _TLS:
                return
            head = first + await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            await self._answer(head, body, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a caller that left
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        asked: dict[str, Any] = json.loads(body) if body else {}
        for canary in {found[1].decode() for found in CANARY.finditer(head + body)}:
            self.seen.append((canary, str(asked.get("model", ""))))
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        is_content = CANARY.search(body) is not None
        behaviour = self.behave() if is_content else "ok"
        if path == "/api/show" and self.find(str(asked.get("model"))) is None:
            behaviour = "404"
        if behaviour == "reset":
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
        elif behaviour in {"500", "429", "503", "404"}:
            retry = b"retry-after: 0\r\n" if behaviour == "429" else b""
            writer.write(
                b"HTTP/1.1 %b Sad\r\n%bcontent-length: 2\r\nconnection: close\r\n\r\n{}" % (behaviour.encode(), retry)
            )
        elif behaviour == "garbage":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<garbage>")
        elif behaviour in {"ok", "truncate"}:
            answer = answer_to(path, asked, self)
            whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(answer), answer)
            writer.write(whole if behaviour == "ok" else whole[: -len(answer) // 2])


def answer_to(path: str, asked: dict[str, Any], sink: Sink) -> bytes:
    """What a healthy server of the dialect that the path belongs to answers."""
    make = _ANSWERS.get(path.removeprefix("/v1") if path.startswith("/v1") else path)
    value = make(asked, sink) if make is not None else {}
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _events(*events: Any, names: bool = False) -> bytes:
    return b"".join(
        (b"event: %b\n" % event["type"].encode() if names else b"") + b"data: %b\n\n" % json.dumps(event).encode()
        for event in events
    )


def _chat(asked: dict[str, Any], _: Sink) -> Any:
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "yes"}
        return {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    delta = {"id": "1", "choices": [{"index": 0, "delta": {"content": "yes"}}]}
    last = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return _events(delta, last) + b"data: [DONE]\n\n"


def _completion(asked: dict[str, Any], _: Sink) -> Any:
    answer = {"id": "1", "choices": [{"index": 0, "text": "yes", "finish_reason": "stop"}]}
    return _events(answer) + b"data: [DONE]\n\n" if asked.get("stream") else answer


def _message(asked: dict[str, Any], _: Sink) -> Any:
    message = {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    if not asked.get("stream"):
        return {**message, "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"}
    return _events(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "yes"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
        names=True,
    )


def _lines(asked: dict[str, Any], said: dict[str, Any]) -> Any:
    whole = {"model": asked["model"], "created_at": "2026-01-01T00:00:00Z", **said, "done": True, "done_reason": "stop"}
    if asked.get("stream") is False:
        return whole
    return b"".join(json.dumps(line).encode() + b"\n" for line in ({**whole, "done": False}, whole))


def _listed(_: dict[str, Any], sink: Sink) -> Any:
    remote = {"tags.host": {"remote_host": "https://elsewhere.invalid"}, "tags.model": {"remote_model": "big"}}
    return {
        "models": [
            {"name": tag.name, "size": 1, "digest": tag.name, **remote.get(tag.told, {})} for tag in sink.tags.values()
        ]
    }


def _shown(asked: dict[str, Any], sink: Sink) -> Any:
    tag = sink.find(str(asked["model"]))
    told = tag.told if tag is not None else ""
    remote = {"show.host": {"remote_host": "https://elsewhere.invalid"}, "show.model": {"remote_model": "big"}}
    return {"capabilities": ["completion", "embedding", "tools"], **remote.get(told, {})}


_ANSWERS: dict[str, Callable[[dict[str, Any], Sink], Any]] = {
    "/models": lambda _, __: {"data": [{"id": "m0"}, {"id": "m1"}, {"id": "e0"}]},
    "/chat/completions": _chat,
    "/completions": _completion,
    "/embeddings": lambda _, __: {"data": [{"index": 0, "embedding": [1.0, 0.0]}]},
    "/messages": _message,
    "/api/version": lambda _, __: {"version": "0.40.0"},
    "/api/tags": _listed,
    "/api/ps": lambda _, __: {"models": []},
    "/api/show": _shown,
    "/api/chat": lambda asked, _: _lines(asked, {"message": {"role": "assistant", "content": "yes"}}),
    "/api/generate": lambda asked, _: _lines(asked, {"response": "yes"}),
    "/api/embed": lambda _, __: {"model": "m", "embeddings": [[1.0, 0.0]]},
    "/api/embeddings": lambda _, __: {"embedding": [1.0, 0.0]},
}
