"""The worker's own metrics over real sockets: what it serves, and what it does not put up with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from junto.telemetry.exposition import MetricsListener

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[MetricsListener]:
    async def scrape() -> bytes:
        return b"junto_build_info 1.0\n"

    listener = MetricsListener(scrape, port=0)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()
        await listener.stop()


async def raw(port: int, data: bytes) -> bytes:
    """What comes back for those bytes, until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/prometheus", "/metrics?x=y"])
async def test_metrics_are_served_to_a_plain_client(path: str) -> None:
    async with listening() as listener, httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{listener.port}{path}")
    assert (answer.status_code, answer.text) == (200, "junto_build_info 1.0\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_nothing_else_is_served() -> None:
    async with listening() as listener, httpx2.AsyncClient(trust_env=False) as http:
        base = f"http://127.0.0.1:{listener.port}"
        assert (await http.get(f"{base}/health/live")).status_code == 200
        assert (await http.get(f"{base}/v1/models")).status_code == 404
        assert (await http.post(f"{base}/metrics")).status_code == 405
        head = await http.head(f"{base}/metrics")
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 100_000,
        b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 50_000 + b"\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
)
async def test_nonsense_ends_its_own_connection_only(data: bytes) -> None:
    async with listening() as listener:
        answer = await raw(listener.port, data)
        assert not answer.startswith(b"HTTP/1.1 200")
        assert (await raw(listener.port, b"GET /metrics HTTP/1.0\r\n\r\n")).endswith(b"junto_build_info 1.0\n")


async def test_stopping_does_not_wait_for_those_who_say_nothing() -> None:
    async with listening() as listener:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        await asyncio.sleep(0.02)
    writer.close()


async def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    async with listening() as listener:
        assert listener._server is not None
        assert listener._server.sockets[0].getsockname()[0] == "127.0.0.1"
