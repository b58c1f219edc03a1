"""One delivery over real sockets: where it goes, what it carries, and what it does not let a receiver do."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence

import pytest

from junto.providers.outbound import Allowed, DelivererOnDemand, Guard
from junto.providers.outbound.deliverer import PinnedDeliverer
from tests.contract.outbound.receiver import receiving

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def deliverer(
    *addresses: str,
    allow: Sequence[str] = ("127.0.0.0/8",),
    tls: ssl.SSLContext | None = None,
    seconds: float = 10.0,
) -> AsyncIterator[PinnedDeliverer]:
    """For which every name has those addresses."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    sender = PinnedDeliverer(
        Guard(allowed=lambda: Allowed.of(allow), resolve=resolve),
        ssl_context=tls or ssl.create_default_context(),
        seconds=seconds,
    )
    try:
        yield sender
    finally:
        await sender.close()
        await sender.close()


async def test_the_request_goes_to_the_checked_address_and_names_the_host_of_the_url() -> None:
    async with receiving() as receiver, deliverer("127.0.0.1") as sender:
        url = f"http://hook.test:{receiver.port}/in?a=b"
        delivered = await sender.post(url, {"x-one": "1", "content-type": "application/json"}, b'{"a":1}')
    assert (delivered.status, delivered.failure, delivered.succeeded) == (200, "", True)
    [(head, body)] = receiver.requests
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /in?a=b http/1.1"
    assert f"host: hook.test:{receiver.port}".encode() in lines
    assert b"x-one: 1" in lines
    assert body == b'{"a":1}'


async def test_a_name_is_looked_up_once_per_delivery_so_that_it_cannot_change_in_between() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    guard = Guard(allowed=lambda: Allowed.of(["127.0.0.1"]), resolve=rebinding)
    sender = PinnedDeliverer(guard, ssl_context=ssl.create_default_context())
    async with receiving() as receiver:
        first = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
        second = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    await sender.close()
    assert first.succeeded
    assert "private address" in second.failure
    assert (asked, receiver.connections) == (["hook.test", "hook.test"], 1)


async def test_what_is_not_allowed_is_not_connected_to() -> None:
    async with receiving() as receiver, deliverer("127.0.0.1", allow=()) as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"secret")
        literal = await sender.post(f"http://127.0.0.1:{receiver.port}/", {}, b"secret")
    assert "loopback" in delivered.failure
    assert "loopback" in literal.failure
    assert receiver.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with receiving() as target:
        location = f"http://127.0.0.1:{target.port}/"
        answer = f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
        async with receiving(answer) as receiver, deliverer("127.0.0.1") as sender:
            delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert (delivered.status, target.connections) == (status, 0)
    assert "redirects are not followed" in delivered.failure


async def test_an_answer_without_end_is_cut_off_and_its_status_counts() -> None:
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 100_000
    async with receiving(endless, then_hold=True) as receiver, deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert (delivered.status, delivered.succeeded) == (200, True)


async def test_a_receiver_that_says_nothing_is_given_up() -> None:
    async with receiving(b"", then_hold=True) as receiver, deliverer("127.0.0.1", seconds=0.2) as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert delivered.status is None
    assert delivered.failure


async def test_a_status_above_299_is_a_failure_and_says_when_to_come_back() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nretry-after: 120\r\ncontent-length: 6\r\n\r\nsecret"
    async with receiving(answer) as receiver, deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert (delivered.status, delivered.retry_after) == (503, 120.0)
    assert delivered.failure == "The receiver answered 503."


async def test_what_is_not_http_is_a_failure_in_words_of_ours() -> None:
    async with receiving(b"SSH-2.0-OpenSSH_9.9\r\n") as receiver, deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert not delivered.succeeded
    assert "SSH" not in delivered.failure


async def test_the_next_address_is_tried_where_nobody_listens_at_the_first() -> None:
    async with receiving() as receiver, deliverer("127.0.0.2", "127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert delivered.succeeded


async def test_nobody_there_is_a_failure() -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{port}/", {}, b"")
    assert delivered.failure == "The receiver could not be reached."


async def test_tls_is_verified_against_the_host_of_the_url_not_the_address(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with receiving(tls=server_tls) as receiver, deliverer("127.0.0.1", tls=client_tls) as sender:
        right = await sender.post(f"https://hook.test:{receiver.port}/", {}, b"{}")
        wrong = await sender.post(f"https://other.test:{receiver.port}/", {}, b"{}")
    assert right.succeeded
    assert "certificate is refused" in wrong.failure
    assert len(receiver.requests) == 1


async def test_an_unknown_certificate_is_refused(server_tls: ssl.SSLContext) -> None:
    async with receiving(tls=server_tls) as receiver, deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"https://hook.test:{receiver.port}/", {}, b"{}")
    assert "certificate is refused" in delivered.failure
    assert receiver.requests == []


async def test_the_environment_sends_nothing_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with deliverer("127.0.0.1") as sender:
            delivered = await sender.post(f"http://hook.test:{receiver.port}/", {}, b"")
    assert delivered.succeeded
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_a_header_cannot_end_its_line_early() -> None:
    async with receiving() as receiver, deliverer("127.0.0.1") as sender:
        delivered = await sender.post(f"http://hook.test:{receiver.port}/", {"x-a": "1\r\nx-b: 2"}, b"")
    assert not delivered.succeeded
    assert receiver.requests == []


async def test_the_one_that_is_loaded_on_demand_delivers_and_is_closed_twice() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    sender = DelivererOnDemand(Guard(allowed=lambda: Allowed.of(["127.0.0.0/8"]), resolve=resolve))
    await sender.close()  # before anything was delivered
    async with receiving() as receiver:
        delivered = [await sender.post(f"http://hook.test:{receiver.port}/{n}", {}, b"{}") for n in range(2)]
    await sender.close()
    await sender.close()
    assert [one.status for one in delivered] == [200, 200]
