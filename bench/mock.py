"""The mock upstream: answers OpenAI, Anthropic and Ollama calls with prepared bytes, at a fixed pace.

It runs as its own process (`python -m bench.mock --port N`) and prints its port. It must stay much cheaper than any
gateway in front of it, so it decodes nothing and builds nothing per request.
"""

import argparse
import asyncio
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import httptools
import uvloop

from bench import payload

PACE_S: Final = 0.010
"""Seconds between two events of a stream."""

AT_ONCE: Final = "/at-once"
"""Before a path: a stream comes whole, so that only the gateway's own time is left."""

SLOW: Final = "/slow"
"""Before a path: the same after a while, so that many requests wait together."""

SLOW_S: Final = 4.0
"""That while, in seconds."""

WAITING: Final = "/waiting"
"""A page: the most requests that waited together since it was last read."""

_SSE: Final = b"text/event-stream"
_NDJSON: Final = b"application/x-ndjson"


def whole(body: bytes, *, status: bytes = b"200 OK") -> bytes:
    """Return a complete sized HTTP answer."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def chunked(events: tuple[bytes, ...], kind: bytes) -> tuple[bytes, ...]:
    """Return the writes of a streamed answer: head with the first event, one chunk an event, then the end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % kind
    frames = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    frames[0] = head + frames[0]
    frames[-1] += b"0\r\n\r\n"
    return tuple(frames)


def asks(body: bytes, key: bytes, *, default: bool = False) -> bool:
    """Tell whether a JSON body sets the quoted `key` to true, without decoding it."""
    at = body.find(key)
    if at < 0:
        return default
    return b"true" in body[at + len(key) : at + len(key) + 7]


class Late(NamedTuple):
    """An answer that is written after so many seconds."""

    body: bytes
    seconds: float


type Answer = bytes | tuple[bytes, ...] | Late


class Answers:
    """Every answer, prepared once."""

    def __init__(self) -> None:
        self._completion = whole(payload.completion())
        self._message = whole(payload.anthropic_message())
        self._chat = whole(payload.ollama_chat(payload.ANSWER_TEXT, done=True))
        self._openai = chunked(payload.openai_events(usage=False), _SSE)
        self._openai_usage = chunked(payload.openai_events(usage=True), _SSE)
        self._anthropic = chunked(payload.anthropic_events(), _SSE)
        self._ollama = chunked(payload.ollama_lines(), _NDJSON)
        self._missing = whole(b'{"error":{"message":"no such path"}}', status=b"404 Not Found")
        self._whole_stream = b"".join(self._openai_usage)
        self._calls: dict[bytes, Callable[[bytes], Answer]] = {
            b"/v1/chat/completions": self._on_openai,
            AT_ONCE.encode() + b"/v1/chat/completions": self._on_openai_at_once,
            SLOW.encode() + b"/v1/chat/completions": self._on_openai_slow,
            b"/v1/messages": self._on_anthropic,
            b"/api/chat": self._on_ollama,
        }
        models, tags = whole(payload.model_list()), whole(payload.ollama_tags())
        self._pages = {
            b"/": whole(b"{}"),
            b"/v1/models": models,
            AT_ONCE.encode() + b"/v1/models": models,
            SLOW.encode() + b"/v1/models": models,
            b"/api/tags": tags,
            b"/api/ps": tags,
            b"/api/show": whole(payload.ollama_show()),
            b"/api/version": whole(b'{"version":"0.12.0"}'),
        }

    def to(self, path: bytes, body: bytes) -> Answer:
        """Return the bytes of an answer, of one that comes late, or the paced writes of a stream."""
        call = self._calls.get(path)
        if call is not None:
            return call(body)
        return self._pages.get(path.partition(b"?")[0], self._missing)

    def _on_openai(self, body: bytes) -> bytes | tuple[bytes, ...]:
        if not asks(body, b'"stream"'):
            return self._completion
        return self._openai_usage if asks(body, b'"include_usage"') else self._openai

    def _on_openai_at_once(self, body: bytes) -> bytes:
        return self._whole_stream if asks(body, b'"stream"') else self._completion

    def _on_openai_slow(self, body: bytes) -> Late:
        return Late(self._on_openai_at_once(body), SLOW_S)

    def _on_anthropic(self, body: bytes) -> bytes | tuple[bytes, ...]:
        return self._anthropic if asks(body, b'"stream"') else self._message

    def _on_ollama(self, body: bytes) -> bytes | tuple[bytes, ...]:
        return self._ollama if asks(body, b'"stream"', default=True) else self._chat


class Stream:
    """One paced answer: writes event n at its start plus n times the pace."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, write: Callable[[bytes], None], frames: tuple[bytes, ...]
    ) -> None:
        self._loop = loop
        self._write = write
        self._frames = iter(frames)
        self._due = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def step(self) -> None:
        """Write the next event and set the timer for the one after it."""
        frame = next(self._frames, None)
        if frame is None:
            return
        self._write(frame)
        self._due += PACE_S
        self._timer = self._loop.call_at(self._due, self.step)

    def stop(self) -> None:
        """Stop writing: the caller went away."""
        if self._timer is not None:
            self._timer.cancel()


class Waiting:
    """How many late answers are awaited, and the most that ever were since it was last asked."""

    def __init__(self) -> None:
        self._now = 0
        self._most = 0

    def begin(self) -> None:
        """One more waits."""
        self._now += 1
        self._most = max(self._most, self._now)

    def end(self) -> None:
        """One has its answer, or has gone."""
        self._now -= 1

    def page(self) -> bytes:
        """Return the most as an answer, and begin again."""
        most, self._most = self._most, self._now
        return whole(b'{"most":%d}' % most)


class Upstream(asyncio.Protocol):
    """One connection of the mock upstream."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answers: Answers, waiting: Waiting) -> None:
        self._loop = loop
        self._answers = answers
        self._waiting = waiting
        self._late: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._stream: Stream | None = None
        self._path = b""
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (uvloop's do not inherit from asyncio's classes, hence the cast)."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop a stream under way, and forget a late answer."""
        del exc
        if self._stream is not None:
            self._stream.stop()
        if self._late is not None:
            self._late.cancel()
            self._waiting.end()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a malformed request closes the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_url(self, url: bytes) -> None:
        """Take (a piece of) the path."""
        self._path += url

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer the request."""
        parts, path = self._parts, self._path
        self._parts, self._path = [], b""
        transport = self._transport
        if transport is None:
            return
        answer = self._answers.to(path, parts[0] if len(parts) == 1 else b"".join(parts))
        if path == WAITING.encode():
            answer = self._waiting.page()
        if isinstance(answer, Late):
            self._waiting.begin()
            self._late = self._loop.call_later(answer.seconds, self._answer_late, transport, answer.body)
        elif isinstance(answer, bytes):
            # A HEAD answer must end after its head, or the next answer on this connection is misread.
            head_only = self._parser.get_method() == b"HEAD"
            transport.write(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head_only else answer)
        else:
            self._stream = Stream(self._loop, transport.write, answer)
            self._stream.step()

    def _answer_late(self, transport: asyncio.Transport, body: bytes) -> None:
        self._late = None
        self._waiting.end()
        transport.write(body)


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until cancelled; print the port once it accepts connections."""
    loop = asyncio.get_running_loop()
    answers, waiting = Answers(), Waiting()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    server = await loop.create_server(lambda: Upstream(loop, answers, waiting), sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Run the mock upstream as a process."""
    parser = argparse.ArgumentParser(prog="bench.mock", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
