"""A stream of 3 kB that breaks off after each of its bytes, by a reset or by an early end, relayed and translated.

What came before the break stays, what follows is one error in the caller's dialect, and nothing is held afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from junto.bootstrap.build import Services, build
from junto.bootstrap.known import known_providers
from junto.settings.load import parse
from junto.settings.model import ServeOptions
from tests.chaos.floor.calling import ask
from tests.flow.malformed.good import ANTHROPIC, DIALECTS, OLLAMA, OPENAI, chunk, dumps, event, head
from tests.flow.malformed.verdict import ANSWER, ERROR, PATHS, question, verdict
from tests.upstreams.connection import RESET_ON_CLOSE
from tests.upstreams.raw import chunk as framed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

LENGTH = 3000
TRANSLATED_EVERY = 7  # relayed after each byte, translated after every seventh
AT_ONCE = 16
_CUT = re.compile(rb"cut-(\d+)-")


def long_stream(dialect: str) -> bytes:
    """A good stream of at least so many bytes."""
    opening, closing = {
        "openai": (OPENAI[:1], OPENAI[3:]),
        "ollama": ((), OLLAMA[2:]),
        "anthropic": (ANTHROPIC[:2], ANTHROPIC[5:]),
    }[dialect]
    end = b"".join(event(dialect, value) for value in closing) + (b"data: [DONE]\n\n" if dialect == "openai" else b"")
    data = b"".join(event(dialect, value) for value in opening)
    number = 0
    while len(data) + len(end) < LENGTH:
        number += 1
        data += event(dialect, saying(dialect, f"Wörd {number} "))
    return data + end


def saying(dialect: str, word: str) -> dict[str, Any]:
    """The event that adds a word."""
    match dialect:
        case "openai":
            return chunk({"content": word})
        case "ollama":
            return {**OLLAMA[0], "message": {"role": "assistant", "content": word}}
        case _:
            return {**ANTHROPIC[3], "delta": {"type": "text_delta", "text": word}}


STREAMS = {dialect: long_stream(dialect) for dialect in DIALECTS}


class Breaking:
    """Sends as many bytes of its stream as the prompt asks for, and breaks: an odd number by a reset, an even one by its end."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.port = 0

    async def listen(self) -> asyncio.Server:
        """Begin; the caller closes the server."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = b""
        while (cut := _CUT.search(received)) is None:
            received += await reader.read(65536)
        count = int(cut[1])
        writer.write(head(self.dialect, streamed=True) + (framed(STREAMS[self.dialect][:count]) if count else b""))
        if count % 2:
            await asyncio.sleep(0.001)  # or the reset would overtake the bytes
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
        else:
            writer.close()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of breaks are not worth a line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def junto(tmp_path: Path) -> AsyncIterator[Services]:
    backends: list[dict[str, Any]] = []
    servers = []
    for dialect in DIALECTS:
        upstream = Breaking(dialect)
        servers.append(await upstream.listen())
        url = f"http://127.0.0.1:{upstream.port}{'/v1' if dialect == 'openai' else ''}"
        backends.append(
            {"name": dialect, "provider": dialect, "url": url, "models": {f"{dialect}-model": "m"}, "slots": 8}
        )
    text = dumps({"builtin_model": "off", "backends": backends, "routing": {"max_attempts": 1}}).decode()
    environ = {"JUNTO_ADMIN_KEY": "jt_a-key-for-tests-only-0123456789"}
    settings = parse(text, environ, ServeOptions(data_dir=tmp_path), known_providers=known_providers())
    async with build(settings, beat=False) as services:
        yield services
    for server in servers:
        server.close()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_break_after_any_byte_is_told_in_the_callers_dialect(junto: Services, dialect: str) -> None:
    stream = STREAMS[dialect]
    assert len(stream) >= LENGTH
    callers = list(PATHS)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(count: int, caller: str) -> None:
        path, body = question(caller, f"{dialect}-model", stream=True)
        body["messages"][0]["content"] = f"cut-{count}-"
        if caller == "openai":
            body["stream_options"] = {"include_usage": True}  # else a relayed stream would lack it
        async with gate:
            status, answer = await ask(junto.app, path, body, {})
        came = verdict(caller, status, answer, stream=True)
        # With the closing event, less its last blank line at most, all is said: then the break does no harm.
        due = {ERROR} if count < len(stream) - 2 else {ANSWER, ERROR} if count % 2 or count < len(stream) else {ANSWER}
        assert came in due, (count, caller, answer[-200:])
        if caller == dialect and status == 200:
            said = (
                answer
                if came == ANSWER
                else answer[: answer.rstrip(b"\n").rfind(b"\n\n" if dialect != "ollama" else b"\n") + 1]
            )
            assert stream.startswith(said.rstrip(b"\n")), (count, said[-200:])

    cuts = range(len(stream) + 1)
    await asyncio.gather(*(one(count, dialect) for count in cuts))
    await asyncio.gather(*(one(count, callers[count % 4]) for count in cuts[::TRANSLATED_EVERY]))
    live = junto.heartbeats.backends[dialect].live
    assert (live.in_flight, live.in_use, live.queued, live.retries_in_flight) == (0, 0, 0, 0)
