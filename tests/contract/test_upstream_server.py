"""The servers under the emulators: async tests, breaking unary answers, backpressure, restarts, the record."""

from __future__ import annotations

import asyncio
import socket
import threading

import httpx2
import pytest

from tests.upstreams import Ask, Fail, Gate, OllamaEmulator, OpenAIEmulator, RawServer, Script, Scripted
from tests.upstreams.received import until

pytestmark = pytest.mark.anyio

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}


async def test_an_async_test_sees_its_caller_cancelled() -> None:
    """A task cancelled before the head of the answer is noticed by the server."""
    with OpenAIEmulator(Script(Scripted(fail=Fail(how="hang")))) as server:
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            asking = asyncio.create_task(client.post("/chat/completions", json=CHAT))
            (received,) = await server.script.arrived(1)
            asking.cancel()
            assert await received.abandoned_within(5)
            assert received.abandoned_at is not None
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_an_unstreamed_answer_breaks_inside_its_body(how: str) -> None:
    """With `after`, the head promises more than comes."""
    fail = Fail(how="reset" if how == "reset" else "close", after=1)
    with OpenAIEmulator(Script(Scripted(text="one two", fail=fail))) as server:
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            with pytest.raises(httpx2.TransportError):
                await client.post("/chat/completions", json=CHAT)


async def test_a_truncated_stream_ends_properly_without_its_last_events() -> None:
    """Chunked framing is complete, but neither finish reason nor `[DONE]` came."""
    with OpenAIEmulator(Script(Scripted(text="one two", fail=Fail(how="truncate", after=9)))) as server:
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            body = (await client.post("/chat/completions", json=STREAM)).text
    assert '"content":" two"' in body
    assert '"finish_reason":"stop"' not in body
    assert "[DONE]" not in body


async def test_a_reader_that_stops_holds_the_server_back() -> None:
    """The server waits with further pieces until its caller reads again."""
    huge = Scripted(pieces=("x" * 200_000,) * 100)
    with OpenAIEmulator(Script(huge)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            body = b'{"model":"gpt-test","messages":[{"role":"user","content":"hi"}],"stream":true}'
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            caller.sendall(head + body)
            (received,) = await server.script.arrived(1)
            assert await until(lambda: received.pieces_sent > 0, 5)
            await asyncio.sleep(0.05)
            assert received.pieces_sent < 100
        assert await received.abandoned_within(5)


async def test_connections_are_kept_alive_and_counted() -> None:
    """Two calls of one client come over one connection, and it is gone when the client closes."""
    with OpenAIEmulator() as server:
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            await client.get("/models")
            await client.post("/chat/completions", json=CHAT)
            assert (server.connections_made, server.open_connections) == (1, 1)
        first, second = server.script.requests
    assert first.peer_port == second.peer_port
    assert server.open_connections == 0


async def test_the_record_tells_content_from_probes() -> None:
    """Lists, shows, loads and unloads carry nothing of a user."""
    with OllamaEmulator() as server:
        async with httpx2.AsyncClient(base_url=server.url) as client:
            await client.get("/api/tags")
            await client.post("/api/show", json={"model": "llama3.2"})
            await client.post("/api/generate", json={"model": "llama3.2", "keep_alive": 0})
            await client.post("/api/generate", json={"model": "llama3.2", "prompt": "secret"})
    assert len(server.script.requests) == 4
    assert [received.json["prompt"] for received in server.script.inferences] == ["secret"]
    assert server.script.asks == [Ask(model="llama3.2", stream=True, prompt="secret", prompt_tokens=1)]


async def test_the_default_can_be_replaced_and_paths_planned_for_good() -> None:
    """`always` and `always_at` hold until they are changed."""
    script = Script()
    script.always(lambda ask: Scripted(text=ask.prompt.upper()))
    script.always_at("/v1/models", Scripted(fail=Fail(status=500)))
    with OpenAIEmulator(script) as server:
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            said = (await client.post("/chat/completions", json=CHAT)).json()
            down = [(await client.get("/models")).status_code for _ in range(2)]
            script.always_at("/v1/models", None)
            up = (await client.get("/models")).status_code
    assert said["choices"][0]["message"]["content"] == "HI"
    assert (down, up) == ([500, 500], 200)


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/api/chat", str), ("/v1/chat/completions", dict), ("/v1/messages", dict)],
)
async def test_a_full_queue_refuses_in_each_wire(path: str, shape: type) -> None:
    """Ollama's 503 is worded for the wire that was spoken."""
    gate = Gate()
    chat = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    with OllamaEmulator(Script(Scripted(gate=gate)), parallel=1, max_queue=0) as server:
        async with httpx2.AsyncClient(base_url=server.url) as client:
            first = asyncio.create_task(client.post("/api/chat", json=chat))
            await server.script.arrived(1)
            refused = await client.post(path, json=chat)
            gate.open()
            assert (await first).status_code == 200
    assert refused.status_code == 503
    assert isinstance(refused.json()["error"], shape)
    assert "maximum pending requests exceeded" in refused.text


async def test_a_restart_forgets_what_was_loaded() -> None:
    """What is in memory dies with the process; the port and the script stay."""
    with OllamaEmulator() as server:
        async with httpx2.AsyncClient(base_url=server.url) as client:
            await client.post("/api/generate", json={"model": "llama3.2"})
            assert server.resident == ["llama3.2:latest"]
            server.kill()
            with pytest.raises(httpx2.TransportError):
                await client.get("/api/ps")
            server.restart()
            assert (await client.get("/api/ps")).json() == {"models": []}
        assert len(server.script.requests) == 2


async def test_what_is_not_http_or_not_json_is_refused() -> None:
    """Garbage gets 400, on the connection or in the dialect's words."""
    with OllamaEmulator() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01garbage\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        async with httpx2.AsyncClient(base_url=server.url) as client:
            answers = [
                await client.post("/api/chat", content=b"{"),
                await client.post("/api/chat", content=b""),
                await client.post("/v1/chat/completions", content=b"["),
            ]
    assert [answer.status_code for answer in answers] == [400, 400, 400]


async def test_starts_leave_no_threads_behind() -> None:
    """Each stop ends its thread, also with connections open and stuck."""
    before = threading.active_count()
    for _ in range(5):
        with OpenAIEmulator() as server, RawServer([b"x"]) as raw:
            for port in (server.port, raw.port):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
    assert threading.active_count() == before


async def test_a_fault_in_an_emulator_fails_its_test() -> None:
    """A handler that raises is not mistaken for a broken gateway: the error comes out at the end."""
    script = Script(default=lambda ask: Scripted(text=str(1 // len(ask.tools))))
    with pytest.raises(ZeroDivisionError), OpenAIEmulator(script) as server:  # noqa: PT012
        async with httpx2.AsyncClient(base_url=server.base_url) as client:
            with pytest.raises(httpx2.TransportError):
                await client.post("/chat/completions", json=CHAT)
