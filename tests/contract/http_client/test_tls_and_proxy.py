"""TLS that verifies, and tunnels that keep the proxy's and the origin's headers apart."""

import asyncio
import contextlib
import ssl

import pytest

from junto.providers.http import Deadlines, Origin, TransportFailure, TransportFailureKind
from tests.contract.http_client.peers import LONG, OK, Peer, Script, client, head, peer, replies, silence

pytestmark = pytest.mark.anyio
Kind = TransportFailureKind


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of either side."""
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.transport.abort()


async def forwarding(proxy: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy: CONNECT, then copy both ways."""
    request = await proxy.request(reader)
    host, _, port = request.split(b" ")[1].decode().partition(":")
    inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def ask_twice(upstream: Peer, scheme: str, **options: object) -> list[tuple[bytes, bytes]]:
    """Two requests in turn; returns the headers of the second response."""
    url = upstream.url(scheme)
    async with client(url, **options) as http:  # type: ignore[arg-type]
        for _ in range(2):
            response = await http.send(head(url), b"{}", LONG)
            assert await response.read_all(9) == b"ok"
            response.close()
        assert (http.in_use, http.idle) == (0, 1)
        return response.headers


async def refusal(url: str, *, deadlines: Deadlines = LONG, **options: object) -> TransportFailure:
    """The failure of one request."""
    async with client(url, **options) as http:  # type: ignore[arg-type]
        with pytest.raises(TransportFailure) as caught:
            await http.send(head(url), b"{}", deadlines)
        assert (http.in_use, http.idle) == (0, 0)
    return caught.value


async def test_tls_with_a_trusted_certificate(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with peer(replies(OK, OK), server_tls) as upstream:
        await ask_twice(upstream, "https", ssl_context=client_tls)
        assert (upstream.accepted, len(upstream.requests)) == (1, 2)


async def test_tls_names_the_host_and_checks_it(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    names: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    async with peer(replies(OK), server_tls) as upstream:
        async with client(f"https://localhost:{upstream.port}", ssl_context=client_tls) as http:
            (await http.send(head(upstream.url("https")), b"", LONG)).close()
        assert names == ["localhost"]


async def test_tls_with_a_certificate_nobody_vouches_for_is_refused_by_default(server_tls: ssl.SSLContext) -> None:
    async with peer(replies(OK), server_tls) as upstream:
        failure = await refusal(upstream.url("https"))
        assert (failure.kind, failure.sent) == (Kind.TLS, False)
        assert "certificate" in failure.detail
        assert upstream.requests == []


async def test_tls_to_a_server_that_speaks_none_is_a_failure() -> None:
    async def plain(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(plain) as upstream:
        failure = await refusal(upstream.url("https"))
        assert (failure.kind, failure.sent) == (Kind.TLS, False)


async def test_a_peer_that_closes_in_the_handshake_is_a_tls_failure() -> None:
    async def closing(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        raise EOFError

    async with peer(closing) as upstream:
        failure = await refusal(upstream.url("https"))
        assert (failure.kind, failure.sent) == (Kind.TLS, False)


async def test_a_handshake_that_hangs_fails_in_time() -> None:
    async with peer(silence) as upstream:
        failure = await refusal(upstream.url("https"), deadlines=Deadlines(connect=0.05))
        assert (failure.kind, failure.sent) == (Kind.CONNECT_TIMEOUT, False)
        await upstream.until_gone()


async def test_a_response_cut_off_under_tls_is_a_reset(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def short(upstream: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        writer.close()

    async with peer(short, server_tls) as upstream, client(upstream.url("https"), ssl_context=client_tls) as http:
        response = await http.send(head(upstream.url("https")), b"", LONG)
        with pytest.raises(TransportFailure) as caught:
            await response.read_all(100)
        assert caught.value.kind is Kind.RESET
        response.close()


async def test_cancelled_in_a_body_under_tls_the_socket_is_closed(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with (
        peer(replies(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), server_tls) as upstream,
        client(upstream.url("https"), ssl_context=client_tls) as http,
    ):
        response = await http.send(head(upstream.url("https")), b"", LONG)
        task = asyncio.ensure_future(response.read())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert http.in_use == 0
        await upstream.until_gone()


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel_keeps_proxy_and_origin_apart(
    scheme: str,
    proxy_scheme: str,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async with (
        peer(replies(OK, OK), server_tls if scheme == "https" else None) as upstream,
        peer(forwarding, server_tls if proxy_scheme == "https" else None) as proxy,
    ):
        through = Origin.parse(proxy.url(proxy_scheme))
        headers = await ask_twice(upstream, scheme, ssl_context=client_tls, proxy=through)
        target = f"127.0.0.1:{upstream.port}".encode()
        assert proxy.requests == [b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n\r\n"]
        assert upstream.accepted == 1
        assert all(b"Bearer sk-origin" in request and b"roxy" not in request for request in upstream.requests)
        assert headers == [(b"content-length", b"2")]


def answering(data: bytes) -> Script:
    """A proxy that answers CONNECT with `data` and closes."""

    async def script(proxy: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await proxy.request(reader)
        writer.write(data)
        await writer.drain()
        raise EOFError

    return script


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=secret\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\nsecret", "502"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://secret/\r\n\r\n", "302"),
        (b"garbage secret\r\n\r\n", "not an HTTP/1.1 response"),
        (b"HTTP/2 200\r\n\r\n", "not an HTTP/1.1 response"),
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "closed"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", "behind"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "limit"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 30_000 + b"\r\n\r\n", "not an HTTP|limit"),
    ],
    ids=["407", "502", "302", "garbage", "http2", "closed", "cut", "smuggling", "endless", "large"],
)
async def test_a_proxy_that_opens_no_tunnel_is_a_failure_with_nothing_sent(answer: bytes, detail: str) -> None:
    async with peer(answering(answer)) as proxy:
        failure = await refusal("http://127.0.0.1:9", proxy=Origin.parse(proxy.url()))
        assert (failure.kind, failure.sent) == (Kind.PROXY, False)
        assert any(part in failure.detail for part in detail.split("|"))
        assert "secret" not in str(failure)
        assert b"sk-origin" not in b"".join(proxy.requests)


async def test_a_proxy_that_is_not_there_is_a_failure() -> None:
    failure = await refusal("http://127.0.0.1:9", proxy=Origin.parse("http://127.0.0.1:9"))
    assert (failure.kind, failure.sent) == (Kind.PROXY, False)


async def test_a_proxy_that_keeps_silent_fails_in_time() -> None:
    async with peer(silence) as proxy:
        failure = await refusal(
            "http://127.0.0.1:9", proxy=Origin.parse(proxy.url()), deadlines=Deadlines(connect=0.05)
        )
        assert (failure.kind, failure.sent) == (Kind.CONNECT_TIMEOUT, False)
        await proxy.until_gone()
