"""Sends one request to a URL that a user named. Implements ports.outbound.Deliverer.

Works below the HTTP library's client, on its transport: no redirect is followed, no proxy or .netrc of the environment is
looked at, no cookie kept, no body decoded. No connection is used twice, so none that was verified for one host serves another.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from typing import TYPE_CHECKING

import httpx2

from junto.core.errors import InvalidField
from junto.ports.outbound import Delivered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.providers.outbound.guard import Guard
    from junto.providers.outbound.urls import Address, Destination

_MOST_ADDRESSES_TRIED = 3
_ANSWER_BYTES = 16 * 1024
_ANSWER_SECONDS = 2.0
_CONNECTIONS = 64
_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE = 3600.0
_DIGITS = re.compile(r"[0-9]{1,9}")
_OK = range(200, 300)
_REDIRECTS = range(300, 400)


class PinnedDeliverer:
    """Connects to the addresses that the guard admitted, and verifies TLS against the URL's host."""

    def __init__(self, guard: Guard, *, ssl_context: ssl.SSLContext | None = None, seconds: float = _SECONDS) -> None:
        self._guard = guard
        self._ssl_context = ssl_context
        self._seconds = seconds
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Delivered:
        try:
            async with asyncio.timeout(self._seconds):
                destination, addresses = await self._guard.admit(url)
                return await self._send(destination, addresses[:_MOST_ADDRESSES_TRIED], headers, body)
        except InvalidField as refused:
            return Delivered(failure=refused.message)
        except TimeoutError:
            return Delivered(failure=f"The receiver did not answer within {self._seconds:g} s.")

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _send(
        self,
        destination: Destination,
        addresses: Sequence[Address],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Delivered:
        failure = Delivered(failure="The receiver could not be reached.")
        for address in addresses:
            try:
                return await self._exchange(destination, address, headers, body)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:  # nothing was sent: the next address may do
                failure = Delivered(failure=_connect_failure(error))
            except httpx2.TimeoutException:
                return Delivered(failure="The receiver stopped answering.")
            except httpx2.TransportError:
                return Delivered(failure="The receiver broke off, or did not speak HTTP.")
            except (httpx2.InvalidURL, ValueError):
                return Delivered(failure="The request could not be written.")
        return failure

    async def _exchange(
        self, destination: Destination, address: Address, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        transport = await self._opened()
        shown = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
        request = httpx2.Request(
            "POST",
            f"{destination.scheme}://{shown}:{destination.port}{destination.target}",
            headers={**headers, "host": destination.host_header, "accept-encoding": "identity", "connection": "close"},
            content=body,
            extensions={
                "sni_hostname": destination.host,
                "timeout": {
                    "connect": _CONNECT_SECONDS,
                    "read": self._seconds,
                    "write": self._seconds,
                    "pool": self._seconds,
                },
            },
        )
        response = await transport.handle_async_request(request)
        try:
            await _read_some(response)
        finally:
            with contextlib.suppress(httpx2.TransportError):
                await response.aclose()
        return _delivered(response)

    async def _opened(self) -> httpx2.AsyncHTTPTransport:
        if self._transport is None:
            context = self._ssl_context
            if context is None:  # reading the trust store takes milliseconds
                context = await asyncio.to_thread(ssl.create_default_context)
            if self._transport is None:
                limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0)
                self._transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
        return self._transport


async def _read_some(response: httpx2.Response) -> None:
    """Let the receiver finish a short answer; what it says is of no interest, and a long one is cut off."""
    received = 0
    with contextlib.suppress(
        httpx2.TransportError, TimeoutError
    ):  # the status is here: how the body ends changes nothing
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for piece in response.aiter_raw():
                received += len(piece)
                if received > _ANSWER_BYTES:
                    return


def _delivered(response: httpx2.Response) -> Delivered:
    status = response.status_code
    if status in _OK:
        return Delivered(status=status)
    if status in _REDIRECTS:
        return Delivered(status=status, failure=f"The receiver answered {status}: redirects are not followed.")
    return Delivered(
        status=status,
        failure=f"The receiver answered {status}.",
        retry_after=_pause(response.headers.get("retry-after", "")),
    )


def _pause(value: str) -> float | None:
    """Seconds of a Retry-After in its usual form; a date is not worth reading."""
    return min(float(value), _LONGEST_PAUSE) if _DIGITS.fullmatch(value) else None


def _connect_failure(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The receiver's certificate is refused: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "The receiver does not speak TLS."
        cause = cause.__cause__ or cause.__context__
    return "The receiver could not be reached."
